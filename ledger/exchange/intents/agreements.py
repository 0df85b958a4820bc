"""What was agreed, used and settled: intents about sharing agreements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, cast

from pydantic import Field

from ledger.canonical import JsonValue
from ledger.errors import ConflictError, MalformedError
from ledger.exchange.directory import AgreementRecord
from ledger.exchange.intents.draft import Draft, draw_salt
from ledger.exchange.intents.intent import Intent
from ledger.statements import Resource, Statement, compute_agreement_id
from ledger.surface.codec import MOST_IN_LIST
from ledger.surface.terms import dump_quantity, parse_quantity, parse_unit, to_seconds
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
    "build_acceptance",
    "build_confirmation",
    "build_dispute",
    "build_proposal",
    "build_rejection",
    "build_report",
    "build_settlement",
    "build_termination",
    "check_quota",
]


@dataclass(frozen=True, kw_only=True)
class AgreementProposalIntent(Intent):
    """Propose an agreement, or with ``agreement`` its next revision. ``quota`` is in ``unit`` (a UCUM code)."""

    TYPE: ClassVar[str] = "AgreementProposal"

    agreement: Bytes32 | None = None
    parties: Annotated[tuple[str, ...], Field(max_length=MOST_IN_LIST)]
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


def build_proposal(draft: Draft, intent: AgreementProposalIntent) -> Statement:
    """The first revision of an agreement, or the next."""
    salt = draw_salt()
    known = None if intent.agreement is None else draft.directory.agreement(intent.agreement)
    if not 0 <= intent.decimals <= 18:
        raise MalformedError("decimals is from 0 to 18")
    return draft.build(
        intent,
        salt=salt,
        agreement=compute_agreement_id(draft.participant, salt) if known is None else known.id,
        revision=1 if known is None else known.revision + 1,
        parties=sorted({draft.directory.participant(name) for name in intent.parties} | {draft.participant}),
        supplier=draft.directory.participant(intent.supplier),
        user=draft.directory.participant(intent.user),
        resource=int(intent.resource),
        termsHash=draft.attach(dict(intent.terms)),
        validFrom=to_seconds(intent.valid_from),
        validUntil=to_seconds(intent.valid_until),
        quota=parse_quantity(intent.quota, intent.decimals),
        decimals=intent.decimals,
        unit=parse_unit(intent.unit),
    )


def build_acceptance(draft: Draft, intent: AgreementAcceptanceIntent) -> Statement:
    """A party accepts."""
    return draft.build(intent, agreement=intent.agreement, proposal=_proposal(draft, intent))


def build_rejection(draft: Draft, intent: AgreementRejectionIntent) -> Statement:
    """A party rejects."""
    return draft.build(intent, agreement=intent.agreement, proposal=_proposal(draft, intent))


def _proposal(draft: Draft, intent: AgreementAcceptanceIntent | AgreementRejectionIntent) -> Bytes32:
    return intent.proposal or draft.directory.agreement(intent.agreement).proposal


def build_termination(draft: Draft, intent: AgreementTerminationIntent) -> Statement:
    """A party ends it."""
    return draft.build(intent, agreement=intent.agreement)


def build_report(draft: Draft, intent: UsageReportIntent) -> Statement:
    """The supplier reports usage."""
    agreement = draft.directory.agreement(intent.agreement)
    quantity = parse_quantity(intent.quantity, agreement.decimals)
    check_quota(agreement, quantity)
    return draft.build(
        intent,
        user=agreement.user,
        agreement=agreement.id,
        quantity=quantity,
        periodFrom=to_seconds(intent.period_from),
        periodUntil=to_seconds(intent.period_until),
        detailHash=draft.attach(dict(intent.detail)),
    )


def check_quota(agreement: AgreementRecord, quantity: int) -> None:
    """Check that a report fits beside those that are confirmed or open.

    Raises:
        ConflictError: it does not; code ``quota-exceeded``.
    """
    remaining = max(0, agreement.quota - max(agreement.reported, agreement.confirmed))
    if quantity > remaining:
        told = dump_quantity(remaining, agreement.decimals)
        raise ConflictError(
            f"the report is over the quota: {told} {agreement.unit} remain. Report less, or agree on a new quota",
            code="quota-exceeded",
            facts={
                "quota": str(dump_quantity(agreement.quota, agreement.decimals)),
                "confirmed": str(dump_quantity(agreement.confirmed, agreement.decimals)),
                "reported": str(dump_quantity(agreement.reported, agreement.decimals)),
                "remaining": str(told),
                "quantity": str(dump_quantity(quantity, agreement.decimals)),
            },
        )


def build_confirmation(draft: Draft, intent: UsageConfirmationIntent) -> Statement:
    """The user confirms a report: the running total grows by its quantity."""
    report = draft.directory.statement(intent.report, "UsageReport")
    agreement = draft.directory.agreement(cast("Bytes32", report.message["agreement"]))
    state = draft.directory.report(intent.report).state
    if state != "reported":
        raise ConflictError(f"the report {intent.report} is {state} already", code=f"report-{state}")
    return draft.build(
        intent,
        agreement=agreement.id,
        sequence=agreement.confirmations + 1,
        report=intent.report,
        total=agreement.confirmed + cast("int", report.message["quantity"]),
    )


def build_dispute(draft: Draft, intent: UsageDisputeIntent) -> Statement:
    """The user disputes a report."""
    report = draft.directory.statement(intent.report, "UsageReport")
    return draft.build(
        intent,
        supplier=report.participant,
        agreement=report.message["agreement"],
        report=intent.report,
        reasonHash=draft.attach({"reason": intent.reason}),
    )


def build_settlement(draft: Draft, intent: SettlementRecordIntent) -> Statement:
    """The supplier settles what was confirmed."""
    agreement = draft.directory.agreement(intent.agreement)
    open_units = agreement.confirmed - agreement.settled
    if intent.quantity is None and open_units == 0:
        raise ConflictError("all that was confirmed is settled", code="nothing-to-settle")
    units = open_units if intent.quantity is None else parse_quantity(intent.quantity, agreement.decimals)
    return draft.build(
        intent,
        agreement=agreement.id,
        sequence=agreement.settlements + 1,
        total=agreement.settled + units,
        invoiceHash=draft.attach(dict(intent.invoice)),
    )
