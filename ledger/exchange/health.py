"""How a gateway is: chain, database and log are looked at one by one, and what does not answer is not known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ledger.errors import LedgerError
from ledger.exchange.parts import Parts
from ledger.surface.views import HealthView

__all__ = ["look_at"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Stored:
    indexed: int
    anchored_size: int
    outbox_depth: int


def look_at(parts: Parts, reasons: dict[str, str], *, writes: bool, writer: str | None) -> HealthView:
    """What can be read now; ``reasons``, by worker, are what keeps the workers, and get what does not answer."""
    chain = _ask("chain", reasons, lambda: _read_heads(parts))
    stored = _ask("database", reasons, lambda: _read_stored(parts))
    log_size = _ask("database", reasons, lambda: parts.sequencer.size)  # a reader of a shared database looks there
    return HealthView(
        ready=not reasons,
        reasons=reasons,
        head=None if chain is None else chain[0],
        final=None if chain is None else chain[1],
        indexed=None if stored is None else stored.indexed,
        log_size=log_size,
        anchored_size=None if stored is None else stored.anchored_size,
        outbox_depth=None if stored is None else stored.outbox_depth,
        writes=writes,
        writer=writer,
    )


def _ask(name: str, reasons: dict[str, str], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except LedgerError as error:
        reasons[name] = str(error)
        return None


def _read_heads(parts: Parts) -> tuple[int, int]:
    return parts.edge.head().number, parts.edge.final_head().number


def _read_stored(parts: Parts) -> _Stored:
    store = parts.store
    with store.snapshot():
        last = store.chain.last_checkpoint(parts.log)
        return _Stored(store.chain.as_of_block(), 0 if last is None else last.size, store.outbox.depth())
