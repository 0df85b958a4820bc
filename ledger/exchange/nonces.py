"""What became of nonces that are not as the outbox has them: spent by a transaction that is not ours, or left out.

Both are put right only where the node has the newest block of the index: a node that is behind, or another chain's,
counts an account's transactions otherwise, and soon will not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from ledger.canonical import JsonValue
from ledger.chain import Signer
from ledger.errors import UnavailableError
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import refusal_json
from ledger.store.rows import OutboxRow, SignedTransaction
from ledger.types import Address

__all__ = ["Nonces"]

MOST_AHEAD: Final = 1024
"""nonces beyond the outbox's own that a node is believed to have counted when it says so twice"""
_LOOKS: Final = 5
"""how often in a row it has to say so of more"""
_MOMENT_S: Final = 0.05
_FILL_AT_ONCE: Final = 16
_SPENT: Final = "another transaction took this nonce"
_logger = logging.getLogger(__name__)


class Nonces:
    """Keeps the nonces of relay accounts without holes; the submitter's thread alone calls it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._far: dict[Address, tuple[int, int]] = {}

    def is_node_current(self) -> bool:
        """Whether the node has what is indexed: else what it says of an account, or of a call, is of another moment."""
        cursor = self._parts.store.projections.cursor()
        if cursor is None:
            return True
        header = self._parts.edge.header(cursor.block)
        return header is not None and header.hash == cursor.hash

    def check_node(self) -> None:
        """Check that nothing is decided by what a node says of another moment, or of another chain.

        Raises:
            UnavailableError: the node does not have what is indexed, or does not answer.
        """
        if not self.is_node_current():
            raise UnavailableError("the node does not have the blocks that are indexed: ask again", retry_after_s=1.0)

    def next_on_chain(self, account: Address) -> int:
        """The account's next nonce by the chain, where the node is to be believed. Raises: as `confirm`."""
        return self.confirm(account, self._parts.edge.nonce(account))

    def confirm(self, account: Address, counted: int) -> int:
        """What the node counted, if it is to be believed: more than this gateway sent only when it says so again.

        A nonce that is too high by mistake would leave a gap that everything behind it waits for.

        Raises:
            UnavailableError: it says something else when it is asked again, is behind, or counts far more for a moment.
        """
        own = self._parts.store.outbox.next_nonce(account, 0)
        if counted <= own or self._parts.edge.rpc is not None:  # a chain in this process does not err
            self._far.pop(account, None)
            return counted
        time.sleep(_MOMENT_S)
        again = self._parts.edge.nonce(account)
        if again != counted:
            raise UnavailableError(
                f"the node counts {counted} transactions of the relay account {account}, then {again}: asked again",
                retry_after_s=1.0,
            )
        self.check_node()
        if own and counted - own > MOST_AHEAD:
            self._await_repeated(account, counted, own)
        return counted

    def _await_repeated(self, account: Address, counted: int, own: int) -> None:
        """A database that was restored from long ago may be so far behind; a node that errs says it a few times."""
        known, looks = self._far.get(account, (counted, 0))
        looks = looks + 1 if known == counted else 1
        self._far[account] = (counted, looks)
        if looks < _LOOKS:
            raise UnavailableError(
                f"the node counts {counted} transactions of the relay account {account} and this gateway sent {own}: "
                "it is believed if it goes on saying so. Compare the node with others; does anybody else use this key?",
                retry_after_s=1.0,
            )

    def renew(self, signer: Signer) -> None:
        """Give what lost its nonce to a transaction that is not ours another one: an effect comes once all the same.

        Raises:
            UnavailableError: node, signer or database do not answer.
        """
        edge, outbox = self._parts.edge, self._parts.store.outbox
        chain_nonce = self.next_on_chain(signer.address) if outbox.in_flight(signer.address) else 0
        spent = [row for row in outbox.in_flight(signer.address) if row.nonce < chain_nonce]
        formers = outbox.formers_in_flight()
        hashes = [(row.subject, row.hash) for row in spent] + [(each.subject, each.hash) for each in formers]
        known = edge.known_transactions([transaction for _, transaction in hashes])
        ours = {subject for subject, transaction in hashes if transaction in known}
        lost = [row for row in spent if row.subject not in ours]
        if not lost or not self.is_node_current():
            return
        for row in lost:
            self.renew_lost(signer, row, _SPENT)

    def renew_lost(self, signer: Signer, row: OutboxRow, why: str) -> None:
        """Like `renew_row`, where a transaction of another subject took the nonce; without an effect it is over.

        Raises:
            UnavailableError: node, signer or database do not answer.
        """
        if row.noop:
            outcome = row.outcome or refusal_json("transaction-invalid", _SPENT, {})
            self._parts.store.outbox.mark_failed(row.subject, outcome, self._parts.now())
        else:
            self.renew_row(signer, row, why)

    def renew_row(
        self, signer: Signer, row: OutboxRow, why: str, outcome: Mapping[str, JsonValue] | None = None
    ) -> None:
        """Have what a transaction does done by another one, with the next nonce; ``outcome`` is noted of the former.

        Raises:
            UnavailableError: node, signer or database do not answer.
        """
        outbox, chain_nonce = self._parts.store.outbox, self.next_on_chain(signer.address)
        signing = self._signing(signer, row)
        renewed = outbox.renew(row.subject, chain_nonce, signing, self._parts.now(), outcome=outcome)
        _logger.warning("%s goes by nonce %d now: %s", row.subject, renewed.nonce, why)

    def _signing(self, signer: Signer, row: OutboxRow) -> Callable[[int], SignedTransaction]:
        def sign(nonce: int) -> SignedTransaction:
            signed = self._parts.edge.sign_again(signer, row.raw, nonce)
            return SignedTransaction(signed.raw, signed.hash)

        return sign

    def fill_gap(self, signer: Signer) -> None:
        """Spend nonces that no transaction has, in front of those that wait for them: a few now, others the next time.

        What waits so far behind that filling would take for ever gets the next nonces instead; its
        former transactions are remembered.

        Raises:
            UnavailableError: node, signer or database do not answer.
        """
        edge, outbox = self._parts.edge, self._parts.store.outbox
        first = edge.nonce(signer.address)
        end = min((row.nonce for row in outbox.in_flight(signer.address)), default=first)
        if end <= first or edge.nonce(signer.address, pending=True) > first or not self.is_node_current():
            return
        if end - first > MOST_AHEAD:
            self._bring_down(signer, first)
            return
        for nonce in range(first, min(end, first + _FILL_AT_ONCE)):
            noop = edge.sign_noop(signer, nonce)
            if outbox.fill(signer.address, nonce, SignedTransaction(noop.raw, noop.hash), self._parts.now()):
                _logger.warning("nothing had nonce %d of the relay account %s: it is spent", nonce, signer.address)

    def _bring_down(self, signer: Signer, first: int) -> None:
        if self._parts.edge.nonce(signer.address) != first:
            return
        beyond = self._parts.store.outbox.in_flight(signer.address)[:MOST_AHEAD]
        signed = [(row.subject, self._signing(signer, row)(first + place)) for place, row in enumerate(beyond)]
        if self._parts.store.outbox.bring_down(signer.address, first, signed, self._parts.now()):
            _logger.warning("%s has sent %d transactions, no more: what waits goes by the next", signer.address, first)
