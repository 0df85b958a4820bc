"""Brings what is addressed to a participant at another gateway there, as long as a log takes it.

Nothing is kept of it but the statement itself: after a start whatever has not passed its deadline is brought again,
which changes nothing where it arrived. Whom it asks and at which addresses is decided as for deliveries (`Peers`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from ledger.canonical import encode_canonical
from ledger.client.forwarding import forward
from ledger.errors import LedgerError, UnavailableError
from ledger.exchange.catalogue.asking import Asking
from ledger.exchange.deliveries.peers import Peers
from ledger.exchange.deliveries.run import InterruptedTryError
from ledger.exchange.parts import Parts
from ledger.statements import Statement
from ledger.store.rows import StatementRow
from ledger.store.said import document_hashes
from ledger.surface.codec import dump_value
from ledger.surface.forwarding import (
    ADDRESSEES,
    MOST_FORWARDED_BYTES,
    ForwardedDocument,
    ForwardedStatement,
    addressee_of,
)
from ledger.types import Bytes32

__all__ = ["Sending"]

_LOOK_AGAIN_S: Final = 1.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 300.0
_MOST_DOUBLINGS: Final = 10
_MOST_REFUSALS: Final = 8
"""One that says no may not have indexed yet what it is about; then no is its answer."""
_MOST_AHEAD: Final = timedelta(days=31)
"""No log takes a statement whose deadline is further away."""
_AT_ONCE: Final = 100
_MOST_WAITING: Final = 10_000
_logger = logging.getLogger(__name__)


@dataclass
class _Waiting:
    """One that is to be brought: tries so far that failed, refusals among them, and when it is tried next."""

    statement: Statement
    row: StatementRow
    tries: int = 0
    refusals: int = 0
    next_s: float = 0.0


class Sending:
    """One thread calls `step` again and again; `stop` comes from another."""

    def __init__(self, parts: Parts, peers: Peers) -> None:
        self._parts = parts
        self._peers = peers
        self._asking = Asking(parts)
        self._last_arrival = 0
        self._waiting: dict[Bytes32, _Waiting] = {}

    def step(self) -> bool | float:
        """Bring what is due; whether there may be more at once, else in how many seconds.

        Raises:
            UnavailableError: the database failed.
        """
        is_all = self._find_new()
        with suppress(InterruptedTryError):
            self._bring_due()
        return _LOOK_AGAIN_S if is_all else True

    def stop(self) -> None:
        """Interrupt what is under way, for good."""
        self._asking.stop()

    def _find_new(self) -> bool:
        """Take up what was stated since; whether that was all."""
        if len(self._waiting) >= _MOST_WAITING:
            return True  # until some of it is brought, or too late
        statements, since = self._parts.store.statements, self._parts.now() - _MOST_AHEAD
        found = statements.list_arrived(tuple(ADDRESSEES), after=self._last_arrival, since=since, limit=_AT_ONCE)
        for arrival, row in found:
            statement = Statement.parse(row.type, dict(row.message))
            if statement.deadline > self._parts.clock():
                self._waiting[row.digest] = _Waiting(statement, row)
            self._last_arrival = arrival
        return len(found) < _AT_ONCE

    def _bring_due(self) -> None:
        now_s = self._parts.clock()
        silent: dict[str, UnavailableError] = {}
        for digest, each in list(self._waiting.items()):
            if each.statement.deadline <= now_s:
                self._give_up(each, "its deadline has passed")
            elif each.next_s <= now_s and self._is_done(each, silent):
                del self._waiting[digest]

    def _is_done(self, each: _Waiting, silent: dict[str, UnavailableError]) -> bool:
        """Bring one, unless its addressee's gateway has just been silent; whether nothing is left to do."""
        addressee = addressee_of(each.statement)
        endpoint = None if addressee is None else self._peers.find_named(addressee)
        if addressee is None or endpoint is None:
            self._try_later(each)  # its profile may become known
            return False
        if endpoint == self._peers.find_named(self._parts.config.operator):
            return True  # at home here
        if endpoint in silent:
            return self._note_failure(each, endpoint, silent[endpoint])
        try:
            self._asking.ask(self._peers.choose(addressee, endpoint), forward(each.row.digest, self._form(each)))
        except InterruptedTryError:
            raise
        except Exception as error:
            if isinstance(error, UnavailableError):
                silent[endpoint] = error
            elif not isinstance(error, LedgerError):  # what another answers ends no work of this gateway's
                _logger.exception("what %s answered could not be read", endpoint)
            return self._note_failure(each, endpoint, error)
        _logger.info("%s %s is at %s now", each.row.type, each.row.digest, endpoint)
        return True

    def _form(self, each: _Waiting) -> ForwardedStatement:
        """As it was signed, with its documents where they are known here and not too large."""
        row, hashes = each.row, document_hashes(each.statement)
        known = self._parts.store.documents.find_stated(hashes, row.participant, asker=addressee_of(each.statement))
        documents = tuple(ForwardedDocument(salt=found.salt, document=found.document) for found in known.values())
        whole = ForwardedStatement(
            type=row.type,
            message=dict(row.message),
            signature="0x" + row.signature.hex(),
            signer=row.signer,
            documents=documents,
        )
        is_small = len(encode_canonical(dump_value(whole))) <= MOST_FORWARDED_BYTES
        return whole if is_small else replace(whole, documents=())

    def _note_failure(self, each: _Waiting, endpoint: str, error: Exception) -> bool:
        """Try it again later, or no more; whether no more."""
        if each.tries == 0:
            _logger.info("%s did not take %s %s: %s", endpoint, each.row.type, each.row.digest, error)
        each.refusals += not isinstance(error, UnavailableError)
        if each.refusals >= _MOST_REFUSALS:
            _logger.warning("%s %s stays here: %s refused it: %s", each.row.type, each.row.digest, endpoint, error)
            return True
        self._try_later(each)
        return False

    def _try_later(self, each: _Waiting) -> None:
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(each.tries, _MOST_DOUBLINGS), _LONGEST_PAUSE_S)
        each.tries, each.next_s = each.tries + 1, self._parts.clock() + pause_s

    def _give_up(self, each: _Waiting, why: str) -> None:
        del self._waiting[each.row.digest]
        _logger.info(
            "%s %s was not brought to the gateway of %s: %s",
            each.row.type,
            each.row.digest,
            addressee_of(each.statement),
            why,
        )
