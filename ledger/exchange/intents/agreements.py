"""What was agreed, used and settled: intents about sharing agreements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from ledger.canonical import JsonValue
from ledger.exchange.intents.intent import Intent
from ledger.statements import Resource
from ledger.types import Bytes32

__all__ = [
    "AgreementAcceptanceIntent",
    "AgreementProposalIntent",
    "AgreementRejectionIntent",
    "AgreementTerminationIntent",
    "SettlementRecordIntent",
    "UsageConfirmationIntent",
    "UsageDisputeIntent",
    "UsageReportIntent",
]


@dataclass(frozen=True, kw_only=True)
class AgreementProposalIntent(Intent):
    """Propose an agreement, or with ``agreement`` its next revision. ``quota`` is in ``unit`` (a UCUM code)."""

    TYPE: ClassVar[str] = "AgreementProposal"

    agreement: Bytes32 | None = None
    parties: tuple[str, ...]
    supplier: str
    user: str
    resource: Resource
    terms: Mapping[str, JsonValue]
    valid_from: datetime
    valid_until: datetime
    quota: Decimal
    decimals: int = 3
    unit: str


@dataclass(frozen=True, kw_only=True)
class AgreementAcceptanceIntent(Intent):
    """Accept a revision: the present one, unless ``proposal`` names another by its digest."""

    TYPE: ClassVar[str] = "AgreementAcceptance"

    agreement: Bytes32
    proposal: Bytes32 | None = None


@dataclass(frozen=True, kw_only=True)
class AgreementRejectionIntent(Intent):
    """Reject a revision: the present one, unless ``proposal`` names another by its digest."""

    TYPE: ClassVar[str] = "AgreementRejection"

    agreement: Bytes32
    proposal: Bytes32 | None = None


@dataclass(frozen=True, kw_only=True)
class AgreementTerminationIntent(Intent):
    """End an active agreement."""

    TYPE: ClassVar[str] = "AgreementTermination"

    agreement: Bytes32


@dataclass(frozen=True, kw_only=True)
class UsageReportIntent(Intent):
    """Report what was used in a period."""

    TYPE: ClassVar[str] = "UsageReport"

    agreement: Bytes32
    quantity: Decimal
    period_from: datetime
    period_until: datetime
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UsageConfirmationIntent(Intent):
    """Confirm a report, named by its digest."""

    TYPE: ClassVar[str] = "UsageConfirmation"

    report: Bytes32


@dataclass(frozen=True, kw_only=True)
class UsageDisputeIntent(Intent):
    """Dispute a report, named by its digest."""

    TYPE: ClassVar[str] = "UsageDispute"

    report: Bytes32
    reason: str


@dataclass(frozen=True, kw_only=True)
class SettlementRecordIntent(Intent):
    """Record what was settled; ``quantity`` None: all that is confirmed and not settled."""

    TYPE: ClassVar[str] = "SettlementRecord"

    agreement: Bytes32
    quantity: Decimal | None = None
    invoice: Mapping[str, JsonValue] = field(default_factory=dict)
