"""What was agreed, used and settled. Quantities are whole numbers in units of 10^-decimals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.statements import Resource
from ledger.types import Bytes32

__all__ = ["AgreementRow", "SettlementRow", "UsageRow"]


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """An agreement in its present revision."""

    id: Bytes32
    proposal: Bytes32
    revision: int
    proposer: Bytes32
    state: str
    """pending (said here, not in force), proposed, active, rejected, terminated"""
    parties: tuple[Bytes32, ...]
    party_handles: tuple[str | None, ...]
    accepted_by: tuple[Bytes32, ...]
    supplier: Bytes32
    user: Bytes32
    resource: Resource
    terms_hash: Bytes32
    terms: JsonValue
    """the document when this gateway has it, else None"""
    valid_from: int
    valid_until: int
    quota: int
    decimals: int
    unit: Bytes32
    confirmed: int
    settled: int
    confirmations: int
    """sequence number of the last confirmation"""
    settlements: int
    """sequence number of the last settlement"""
    reported: int
    """sum of the reports known here that are not disputed (or are confirmed)"""
    proposed_at: datetime
    block: int | None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """A usage report that went through this gateway; ``state`` is reported, confirmed or disputed."""

    digest: Bytes32
    agreement: Bytes32
    supplier: Bytes32
    user: Bytes32
    quantity: int
    decimals: int
    unit: Bytes32
    period_from: int
    period_until: int
    detail_hash: Bytes32
    detail: JsonValue
    state: str
    confirmation: Bytes32 | None
    dispute: Bytes32 | None
    reason: JsonValue
    stated_at: datetime


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """A settlement in force; ``quantity`` is ``total`` less that of the one before."""

    digest: Bytes32
    agreement: Bytes32
    sequence: int
    quantity: int
    total: int
    decimals: int
    unit: Bytes32
    invoice_hash: Bytes32
    invoice: JsonValue
    settled_at: datetime
    block: int
