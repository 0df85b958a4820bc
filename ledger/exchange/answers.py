"""What nodes answer to transactions that they do not take: looked for, judged, and told.

An answer is about one moment of one node. Whatever it says, the transaction itself is looked for first: the answer to
an earlier sending may have been lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeGuard

from ledger.chain import Refusal, RefusalKind
from ledger.errors import FatalError, UnavailableError
from ledger.exchange.nonces import Nonces
from ledger.exchange.parts import Parts
from ledger.exchange.relays import Relays
from ledger.exchange.reporting import refusal_json
from ledger.store.rows import OutboxRow, SignedTransaction
from ledger.types import Bytes32

__all__ = ["Answers", "Refused", "is_refused"]

_PAUSE_S: Final = 1.0

Refused = tuple[OutboxRow, Refusal]


def is_refused(answer: Refusal | None) -> TypeGuard[Refusal]:
    """Whether a node does not have what it was sent."""
    return answer is not None and not answer.kind.is_sent


class Answers:
    """Judges refusals of transactions; the submitter's thread alone calls it."""

    def __init__(self, parts: Parts, nonces: Nonces, relays: Relays) -> None:
        self._parts = parts
        self._nonces = nonces
        self._relays = relays
        self._contested: set[Bytes32] = set()
        """those whose nonce something else in a pool has: the database is an older copy, or another node's pool"""

    def find_known(self, refused: Sequence[Refused]) -> set[str]:
        """The subjects of ``refused`` that the node has all the same, pooled or mined; former transactions count.

        Raises:
            UnavailableError: node or database do not answer.
        """
        outbox, subjects = self._parts.store.outbox, {row.subject for row, _ in refused}
        formers = [each for each in outbox.formers_in_flight() if each.subject in subjects]
        known = self._parts.edge.known_transactions([row.hash for row, _ in refused] + [each.hash for each in formers])
        found = {row.subject for row, _ in refused if row.hash in known}
        for each in formers:
            if each.hash in known and each.subject not in found:
                outbox.take_back(each.subject, each.hash, self._parts.now())
                found.add(each.subject)
        return found

    def judge(self, refused: Sequence[Refused]) -> None:
        """Do about each what its refusal asks for; the node has none of them.

        Raises:
            FatalError: somebody else sends with the key of a relay account.
            UnavailableError: some are to be sent again later; the sentence says why.
        """
        reasons = [reason for row, refusal in refused if (reason := self._judge(row, refusal)) is not None]
        if reasons:
            raise UnavailableError(reasons[0], retry_after_s=_PAUSE_S)

    def _judge(self, row: OutboxRow, refusal: Refusal) -> str | None:
        """Why it is to be sent again later; None: another transaction takes its nonce, which is sent at once."""
        if refusal.kind is RefusalKind.REPLACEMENT_UNDERPRICED:  # nothing is spent yet
            self._contested.add(row.hash)
            return (
                f"a transaction that this gateway does not know has nonce {row.nonce} of the relay account {row.relay} "
                "in the node's pool: what waits for that nonce gets another one once it is in a block"
            )
        if refusal.kind is RefusalKind.NONCE_TOO_LOW:
            return self._judge_spent(row)
        if refusal.kind.is_certain and not row.noop:
            self._fill(row, refusal)
            return None
        if refusal.kind is RefusalKind.NONCE_GAP:
            self._nonces.fill_gap(self._relays.find(row.relay))
        return f"the node does not take a transaction ({refusal.message}): {refusal.kind.advise(row.relay)}"

    def _judge_spent(self, row: OutboxRow) -> str | None:
        self._nonces.check_node()
        if self._parts.edge.nonce(row.relay) <= row.nonce:
            return f"the node says that nonce {row.nonce} of the relay account {row.relay} is spent, and counts fewer"
        if row.hash in self._contested or self._is_ours(row):
            self._contested.discard(row.hash)
            self._nonces.renew_lost(self._relays.find(row.relay), row, "a transaction from another time had its nonce")
            return None
        raise FatalError(
            f"nonce {row.nonce} of the relay account {row.relay} was spent by a transaction that is not ours: "
            "stop whoever else uses this key, and restart"
        )

    def _is_ours(self, row: OutboxRow) -> bool:
        """Whether a transaction that was ours has this nonce, whatever it was for."""
        formers = self._parts.store.outbox.formers_at(row.relay, row.nonce)
        return bool(self._parts.edge.known_transactions([each.hash for each in formers]))

    def _fill(self, row: OutboxRow, refusal: Refusal) -> None:
        noop = self._parts.edge.sign_noop(self._relays.find(row.relay), row.nonce)
        self._parts.store.outbox.refuse_and_fill(
            row.subject,
            refusal_json(f"transaction-{refusal.kind.value}", refusal.message, {"code": refusal.code}),
            SignedTransaction(noop.raw, noop.hash),
            self._parts.now(),
        )
