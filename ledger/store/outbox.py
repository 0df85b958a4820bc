"""The outbox: signed transactions, durable before they are sent (DESIGN, The chain edge)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.store.rows import OutboxRow, SignedTransaction
from ledger.types import Address, Bytes32

__all__ = ["Outbox"]


class Outbox:
    """Transactions on their way to the chain, one nonce each."""

    def enqueue(
        self,
        relay: Address,
        chain_nonce: int,
        items: Sequence[tuple[str, Callable[[int], SignedTransaction]]],
        now: datetime,
    ) -> tuple[OutboxRow, ...]:
        """Give each (subject, sign) the next nonce of ``relay``, sign and store it, all in one transaction.

        ``chain_nonce`` is the account's transaction count on chain; nonces go on from the highest stored one or from
        it, whichever is higher. A subject that is in the outbox already is skipped. ``sign(nonce)`` must not block.
        """
        raise NotImplementedError

    def next_nonce(self, relay: Address, chain_nonce: int) -> int:
        """The nonce that `enqueue` would give next."""
        raise NotImplementedError

    def take(self, relay: Address, *, limit: int, resend_before: datetime) -> tuple[OutboxRow, ...]:
        """What is to be sent now, by nonce: pending ones, and sent ones last touched before ``resend_before``."""
        raise NotImplementedError

    def in_flight(self, relay: Address | None = None) -> tuple[OutboxRow, ...]:
        """Everything without an outcome, by relay and nonce."""
        raise NotImplementedError

    def find(self, subject: str) -> OutboxRow | None:
        """The row of a statement's digest or a checkpoint."""
        raise NotImplementedError

    def find_by_hash(self, transaction: Bytes32) -> OutboxRow | None:
        """The row whose present transaction has this hash."""
        raise NotImplementedError

    def mark_sent(self, subjects: Sequence[str], now: datetime) -> None:
        """They were handed to a node; counts an attempt."""
        raise NotImplementedError

    def mark_included(self, subject: str, block: int, now: datetime) -> None:
        """It is in a block that is not final yet."""
        raise NotImplementedError

    def mark_done(self, subject: str, now: datetime, *, block: int | None = None) -> None:
        """Its effect is final (whoever relayed it)."""
        raise NotImplementedError

    def mark_failed(self, subject: str, refusal: Mapping[str, JsonValue], now: datetime) -> None:
        """It will have no effect; in the same transaction the statement's refusal is recorded."""
        raise NotImplementedError

    def refuse_and_fill(
        self, subject: str, refusal: Mapping[str, JsonValue], noop: SignedTransaction, now: datetime
    ) -> None:
        """A certain refusal: record it as the statement's, and put a transaction without effect at its nonce, which
        stays in flight so that nobody behind it waits. `mark_failed` once that is final."""
        raise NotImplementedError

    def put_back(self, subjects: Sequence[str], now: datetime) -> None:
        """Sent or included ones are pending again (the head went back, the node lost its pool)."""
        raise NotImplementedError

    def depth(self) -> int:
        """How many have no outcome yet."""
        raise NotImplementedError
