"""Attempts: what the gateway's own account asks of a contract for somebody, again if need be, each numbered.

Each goes through the outbox, so that what was asked for comes, whatever dies in between, and the asker finds it again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from ledger.chain import Call
from ledger.errors import RefusedError, UnavailableError
from ledger.exchange.parts import Parts
from ledger.store.rows import OutboxRow

__all__ = ["Attempts", "Sends"]

_MOST_IN_FLIGHT: Final = 64
_BEHIND: Final = {
    "checkpoint-log-not-current": "a new checkpoint was just published: ask again",
    "checkpoint-log-not-kept": "the chain has just moved on: ask again",
    "dataset-registry-version-taken": "the chain has just moved on: ask again",
}
"""What contracts say when the index is behind the chain, and what the asker is told."""


class Sends(Protocol):
    """What gives a call its nonce and stores it signed: `ledger.exchange.submitter.Submitter`."""

    def enqueue(self, subject: str, call: Call) -> OutboxRow | None: ...


class Attempts:
    """Attempts of one ``kind``: the outbox has them as ``kind:what:number``. One thread at a time sends of one what."""

    def __init__(self, kind: str, parts: Parts, sender: Sends, on_enqueued: Callable[[], None]) -> None:
        self._kind = kind
        self._parts = parts
        self._sender = sender
        self._on_enqueued = on_enqueued

    def simulate(self, call: Call) -> bytes:
        """What the contract would return, where there is room for another attempt.

        Raises:
            RefusedError: the contract says no.
            UnavailableError: too many are on their way, the index is behind the chain, or that does not answer.
        """
        parts, kind = self._parts, self._kind
        # Statements on their way do not count: however many there are, a few attempts find room.
        if parts.store.outbox.depth(f"{kind}:") >= _MOST_IN_FLIGHT:
            raise UnavailableError(f"too many {kind}s are on their way to the chain: come back soon", retry_after_s=1.0)
        try:
            return parts.edge.simulate(call, parts.relay.address)
        except RefusedError as error:
            if error.code in _BEHIND:
                raise UnavailableError(_BEHIND[error.code], retry_after_s=0.5) from error
            raise

    def send(self, what: str, call: Call) -> None:
        """Put the next attempt on its way."""
        self._sender.enqueue(f"{self._kind}:{what}:{self._count(what)}", call)
        self._on_enqueued()

    def newest(self, what: str) -> OutboxRow | None:
        """The last attempt."""
        return next(self.rows(what), None)

    def rows(self, what: str) -> Iterator[OutboxRow]:
        """All attempts, the newest first."""
        numbers = range(self._count(what) - 1, -1, -1)
        return filter(None, (self._find(what, number) for number in numbers))

    def _count(self, what: str) -> int:
        """How many there are: they are numbered from 0 without gaps, so that a few look-ups tell."""
        end = 1
        while self._find(what, end - 1) is not None:
            end *= 2
        return bisect_left(range(end), True, lo=end // 2, key=lambda number: self._find(what, number) is None)

    def _find(self, what: str, number: int) -> OutboxRow | None:
        return self._parts.store.outbox.find(f"{self._kind}:{what}:{number}")
