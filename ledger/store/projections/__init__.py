"""Projections: contract events folded into rows that can be rebuilt from the chain."""

from ledger.store.projections.projections import Projections

__all__ = ["Projections"]
