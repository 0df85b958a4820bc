"""What an operator watches, as numbers."""

from __future__ import annotations

from ledger.errors import LedgerError
from ledger.exchange.catalogue import read_standing
from ledger.exchange.parts import Parts
from ledger.surface.views import HealthView

__all__ = ["read_gauges"]


def read_gauges(parts: Parts, health: HealthView) -> dict[str, tuple[str, float]]:
    """By name: what it says, and the number now. What database or chain do not answer is left out."""
    try:
        oldest = parts.store.statements.oldest_unanchored(parts.log)
        last = parts.store.chain.last_checkpoint(parts.log)
        catalogue = read_standing(parts.store, parts.now())
    except LedgerError:
        return {}
    now = parts.now()
    gauges: dict[str, tuple[str, float]] = {
        "chain_head_block": ("The chain's newest block", health.head),
        "chain_final_block": ("The newest final block", health.final),
        "indexed_block": ("The newest block that is indexed", health.indexed),
        "index_lag_blocks": ("Blocks that are not indexed yet", max(0, health.head - health.indexed)),
        "outbox_depth": ("Transactions without an outcome", health.outbox_depth),
        "writes": ("Whether this process takes statements: one of those that share a database", int(health.writes)),
        "log_entries": ("Entries of the log", health.log_size),
        "anchored_entries": ("Entries under a checkpoint on chain", health.anchored_size),
        "oldest_unanchored_seconds": (
            "Age of the oldest statement that no checkpoint on chain covers; 0: there is none",
            0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()),
        ),
    }
    gauges |= catalogue.to_gauges()
    if last is not None:
        age_s = max(0.0, (now - last.time).total_seconds())
        gauges["checkpoint_age_seconds"] = ("Age of the last checkpoint on chain", age_s)
    return gauges
