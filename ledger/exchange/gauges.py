"""What an operator watches, as numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ledger.errors import LedgerError
from ledger.exchange.catalogue import read_standing
from ledger.exchange.parts import Parts
from ledger.surface.views import HealthView

__all__ = ["read_gauges"]

_Gauges = dict[str, tuple[str, float]]

_MEANINGS: Final = {
    "chain_head_block": "The chain's newest block",
    "chain_final_block": "The newest final block",
    "indexed_block": "The newest block that is indexed",
    "index_lag_blocks": "Blocks that are not indexed yet",
    "outbox_depth": "Transactions without an outcome",
    "writes": "Whether this process takes statements: one of those that share a database",
    "log_entries": "Entries of the log",
    "anchored_entries": "Entries under a checkpoint on chain",
}


def read_gauges(parts: Parts, health: HealthView) -> _Gauges:
    """By name: what it says, and the number now. What database or chain do not answer is left out, never 0."""
    known: dict[str, int | None] = {
        "chain_head_block": health.head,
        "chain_final_block": health.final,
        "indexed_block": health.indexed,
        "index_lag_blocks": _lag(health),
        "outbox_depth": health.outbox_depth,
        "writes": int(health.writes),
        "log_entries": health.log_size,
        "anchored_entries": health.anchored_size,
    }
    return {name: (_MEANINGS[name], value) for name, value in known.items() if value is not None} | _read_ages(parts)


def _lag(health: HealthView) -> int | None:
    return None if health.head is None or health.indexed is None else max(0, health.head - health.indexed)


def _read_ages(parts: Parts) -> _Gauges:
    try:
        oldest = parts.store.statements.oldest_unanchored(parts.log)
        in_flight = parts.store.outbox.oldest_at()
        last = parts.store.chain.last_checkpoint(parts.log)
        catalogue = read_standing(parts.store, parts.now())
    except LedgerError:
        return {}
    now = parts.now()
    gauges: _Gauges = {
        "oldest_unanchored_seconds": (
            "Age of the oldest statement that no checkpoint on chain covers; 0: there is none",
            _age_s(now, oldest),
        ),
        "oldest_in_flight_seconds": (
            "Age of the oldest transaction without an outcome; 0: there is none",
            _age_s(now, in_flight),
        ),
    }
    gauges |= catalogue.to_gauges()
    if last is not None:
        gauges["checkpoint_age_seconds"] = ("Age of the last checkpoint on chain", _age_s(now, last.time))
    return gauges


def _age_s(now: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
