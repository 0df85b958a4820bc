"""What became of nonces that are not as the outbox has them: spent by a transaction that is not ours, or left out.

Both are put right only where the node has the newest block of the index: a node that is behind, or another chain's,
counts an account's transactions otherwise, and soon will not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from ledger.canonical import JsonValue
from ledger.chain import Signer
from ledger.errors import UnavailableError
from ledger.exchange.parts import Parts
from ledger.exchange.reporting import refusal_json
from ledger.store.rows import OutboxRow, SignedTransaction

__all__ = ["Nonces"]

_SPENT: Final = "another transaction took this nonce"
_logger = logging.getLogger(__name__)


class Nonces:
    """Keeps the nonces of relay accounts without holes; the submitter's thread alone calls it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

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

    def renew(self, signer: Signer) -> None:
        """Give what lost its nonce to a transaction that is not ours another one: an effect comes once all the same.

        Raises:
            UnavailableError: node, signer or database do not answer.
        """
        edge, outbox = self._parts.edge, self._parts.store.outbox
        chain_nonce = edge.nonce(signer.address)
        spent = [row for row in outbox.in_flight(signer.address) if row.nonce < chain_nonce]
        formers = outbox.formers_in_flight()
        known = edge.known_transactions([each.hash for each in (*spent, *formers)])
        ours = {each.subject for each in (*spent, *formers) if each.hash in known}
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
        outbox, chain_nonce = self._parts.store.outbox, self._parts.edge.nonce(signer.address)
        signing = self._signing(signer, row)
        renewed = outbox.renew(row.subject, chain_nonce, signing, self._parts.now(), outcome=outcome)
        _logger.warning("%s goes by nonce %d now: %s", row.subject, renewed.nonce, why)

    def _signing(self, signer: Signer, row: OutboxRow) -> Callable[[int], SignedTransaction]:
        def sign(nonce: int) -> SignedTransaction:
            signed = self._parts.edge.sign_again(signer, row.raw, nonce)
            return SignedTransaction(signed.raw, signed.hash)

        return sign

    def fill_gap(self, signer: Signer) -> None:
        """Spend nonces that no transaction has, in front of those that wait for them.

        Raises:
            UnavailableError: node, signer or database do not answer.
        """
        edge, outbox = self._parts.edge, self._parts.store.outbox
        first = edge.nonce(signer.address)
        end = min((row.nonce for row in outbox.in_flight(signer.address)), default=first)
        if end <= first or edge.nonce(signer.address, pending=True) > first or not self.is_node_current():
            return
        for nonce in range(first, end):
            noop = edge.sign_noop(signer, nonce)
            if outbox.fill(signer.address, nonce, SignedTransaction(noop.raw, noop.hash), self._parts.now()):
                _logger.warning("nothing had nonce %d of the relay account %s: it is spent", nonce, signer.address)
