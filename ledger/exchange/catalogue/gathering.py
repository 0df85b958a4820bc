"""Asks other members' gateways what they offer, in the background, each for itself: a slow one holds up no reader.

Whom it asks and at which addresses is decided as for deliveries (`Peers`): the endpoint is the one of the profile whose
hash the provider stated on chain, and an address within a private network is asked only where the operator listed it.
Each gateway has half a minute in all and bounded pages; a redirect is not followed. What it answers counts as far as
the chain says the same (`OfferCheck`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ledger.canonical import JsonValue
from ledger.client.catalogue import offers
from ledger.errors import LedgerError, UnavailableError
from ledger.exchange.catalogue.asking import Asking
from ledger.exchange.catalogue.checking import Checked, OfferCheck
from ledger.exchange.catalogue.learning import Learning
from ledger.exchange.deliveries.peers import Peers, endpoint_of
from ledger.exchange.deliveries.run import InterruptedTryError
from ledger.exchange.parts import Parts
from ledger.store.rows import PeerRow
from ledger.types import Bytes32

__all__ = ["Gathering"]

_LOOK_AGAIN_S: Final = 30.0
_LONGEST_PAUSE_S: Final = 3600.0
_MOST_DOUBLINGS: Final = 6
_MOST_OFFERS: Final = 10_000
_MOST_BYTES: Final = 32 << 20
_MOST_TOLD: Final = 500
_PAGE: Final = 200
_TOO_MANY: Final = "too-many"
_NAME_TAKEN: Final = "name-taken"
_logger = logging.getLogger(__name__)


class Gathering:
    """One thread calls `step` again and again; `stop` comes from another."""

    def __init__(self, parts: Parts, peers: Peers) -> None:
        self._parts = parts
        self._peers = peers
        self._rows = parts.store.catalogue
        self._asking = Asking(parts)
        self._learning = Learning(parts, peers, self._asking)
        self._met: set[Bytes32] = set()
        """Whom this process asked: after a start, settings may be others, so all are asked at once."""

    def step(self) -> float:
        """Ask all whose turn it is; say in how many seconds to come back.

        Raises:
            UnavailableError: the database failed.
        """
        every_s = self._parts.settings.catalogue_every_s
        if every_s == 0:
            self._rows.keep_only(())
            return _LONGEST_PAUSE_S
        self._rows.drop_older(self._parts.now() - timedelta(seconds=self._parts.settings.catalogue_kept_s))
        with suppress(InterruptedTryError):
            self._learning.step()
            self._visit_all()
        return min(every_s, _LOOK_AGAIN_S)

    def stop(self) -> None:
        """Interrupt what is under way, for good."""
        self._asking.stop()

    def _visit_all(self) -> None:
        members = self._find_members()
        self._rows.keep_only(members.keys())
        known = {each.provider: each for each in self._rows.peers()}
        unanswered: dict[str, LedgerError] = {}
        for provider, endpoint in members.items():
            before = known.get(provider)
            if endpoint is None or not self._is_due(provider, before, endpoint):
                continue
            self._met.add(provider)
            self._visit(provider, endpoint, before, unanswered)

    def _find_members(self) -> dict[Bytes32, str | None]:
        """The active participants that are at home elsewhere, with the endpoint that each one's profile names."""
        found: dict[Bytes32, str | None] = {}
        people, cursor = self._parts.store.participants, None
        while True:
            page = people.list(state="active", limit=_PAGE, cursor=cursor)
            found |= {row.id: endpoint_of(row.profile) for row in page.items}
            cursor = page.next
            if cursor is None:
                break
        own = found.pop(self._parts.config.operator, None)
        return {provider: endpoint for provider, endpoint in found.items() if endpoint is None or endpoint != own}

    def _is_due(self, provider: Bytes32, before: PeerRow | None, endpoint: str) -> bool:
        if before is None or before.endpoint != endpoint or provider not in self._met:
            return True
        return before.next_ask_at <= self._parts.now()

    def _visit(
        self, provider: Bytes32, endpoint: str, before: PeerRow | None, unanswered: dict[str, LedgerError]
    ) -> None:
        """Ask one gateway and record what came of it; one that was silent for another provider is not asked again."""
        now = self._parts.now()
        row = before or PeerRow(provider, endpoint, now, None, now)
        row = replace(row, endpoint=endpoint, asked_at=now)
        if endpoint in unanswered:
            self._note_failure(row, unanswered[endpoint])
            return
        try:
            left_out = self._ask(provider, endpoint, now)
        except InterruptedTryError:
            raise
        except LedgerError as error:
            if isinstance(error, UnavailableError):
                unanswered[endpoint] = error
            self._note_failure(row, error)
        except Exception as error:
            _logger.exception("the catalogue of %s could not be read", endpoint)
            self._note_failure(row, error)
        else:
            following = now + timedelta(seconds=self._parts.settings.catalogue_every_s)
            self._rows.note(PeerRow(provider, endpoint, now, now, following, left_out=left_out))

    def _ask(self, provider: Bytes32, endpoint: str, now: datetime) -> int:
        """Keep what a provider's gateway offers; how many of its entries are not so. Raises: LedgerError."""
        peer = self._peers.choose(provider, endpoint)
        intake = _Intake(self._parts, OfferCheck(provider, endpoint, now, self._rows.registered))
        self._asking.ask(peer, offers(provider, intake.take))
        self._rows.drop_unseen(provider, now)
        if intake.checked.wrong:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(intake.checked.left_out.items()))
            _logger.warning("of what %s offers for %s was left out: %s", endpoint, provider, reasons)
        return intake.checked.wrong

    def _note_failure(self, row: PeerRow, error: Exception) -> None:
        failures = row.failures + 1
        every_s = self._parts.settings.catalogue_every_s
        pause_s = max(min(every_s * 2 ** min(failures - 1, _MOST_DOUBLINGS), _LONGEST_PAUSE_S), every_s)
        code = str(getattr(error, "code", None) or type(error).__name__)
        _logger.info("%s did not tell what it offers: %s", row.endpoint, error)
        self._rows.note(
            replace(
                row,
                failures=failures,
                next_ask_at=row.asked_at + timedelta(seconds=pause_s),
                error_code=code[:64],
                error=str(error)[:_MOST_TOLD],
            )
        )


class _Intake:
    """Takes one gateway's answer, page by page, as long as it is of a size that a catalogue has."""

    def __init__(self, parts: Parts, check: OfferCheck) -> None:
        self._rows = parts.store.catalogue
        self._check = check
        self._count = self._size = 0
        self.checked = Checked()

    def take(self, items: list[JsonValue]) -> bool:
        """Keep of a page what is so; whether more is wanted."""
        found = self._check.check(items)
        self.checked.left_out.update(found.left_out)
        self._count += len(items)
        self._size += sum(len(each.body) for each in found.offers)
        if self._count > _MOST_OFFERS or self._size > _MOST_BYTES:
            self.checked.left_out[_TOO_MANY] += 1
            return False
        self.checked.left_out[_NAME_TAKEN] += len(found.offers) - self._rows.keep(found.offers)
        return True
