"""Reads: projections joined with what went through this gateway."""

from ledger.store.queries.access import Access
from ledger.store.queries.agreements import Agreements
from ledger.store.queries.chain import Chain
from ledger.store.queries.datasets import Datasets
from ledger.store.queries.governance import Governance
from ledger.store.queries.participants import Participants

__all__ = ["Access", "Agreements", "Chain", "Datasets", "Governance", "Participants"]
