"""Sharing agreements, usage under them, and settlement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from ledger.canonical import JsonValue
from ledger.client.flow import Flow
from ledger.client.identity import Identity
from ledger.client.reads import filters, read_all, read_one
from ledger.client.statements import state
from ledger.surface.outcomes import Outcome
from ledger.surface.views import AgreementView, SettlementView, UsageView
from ledger.types import Bytes32

__all__ = [
    "accept",
    "confirm_usage",
    "dispute_usage",
    "list_all",
    "propose",
    "reject",
    "report_usage",
    "settle",
    "settlements",
    "show",
    "terminate",
    "usage",
]


def list_all(*, role: str | None = None, status: str | None = None) -> Flow[tuple[AgreementView, ...]]:
    """The asker's agreements."""
    return (yield from read_all(AgreementView, "/v1/agreements", filters(role=role, state=status)))


def show(agreement: Bytes32) -> Flow[AgreementView]:
    """One agreement in its present revision."""
    return (yield from read_one(AgreementView, f"/v1/agreements/{agreement}"))


def usage(agreement: Bytes32 | None = None, *, status: str | None = None) -> Flow[tuple[UsageView, ...]]:
    """Usage reports."""
    return (yield from read_all(UsageView, "/v1/usage", filters(agreement=agreement, state=status)))


def settlements(agreement: Bytes32 | None = None) -> Flow[tuple[SettlementView, ...]]:
    """Settlement records."""
    return (yield from read_all(SettlementView, "/v1/settlements", filters(agreement=agreement)))


def propose(
    identity: Identity | None = None,
    *,
    parties: Sequence[str],
    supplier: str,
    user: str,
    resource: str,
    terms: Mapping[str, JsonValue],
    valid_from: datetime,
    valid_until: datetime,
    quota: Decimal,
    unit: str,
    decimals: int = 3,
    agreement: Bytes32 | None = None,
    wait_s: int = 0,
) -> Flow[Outcome]:
    """Propose an agreement, or with ``agreement`` its next revision; proposing accepts."""
    intent: dict[str, JsonValue] = {
        "agreement": None if agreement is None else str(agreement),
        "parties": list(parties),
        "supplier": supplier,
        "user": user,
        "resource": resource,
        "terms": dict(terms),
        "valid_from": valid_from.isoformat(),
        "valid_until": valid_until.isoformat(),
        "quota": format(quota, "f"),
        "decimals": decimals,
        "unit": unit,
    }
    return (yield from state("AgreementProposal", intent, identity, wait_s=wait_s))


def accept(
    agreement: Bytes32, identity: Identity | None = None, *, proposal: Bytes32 | None = None, wait_s: int = 0
) -> Flow[Outcome]:
    """Accept the revision whose proposal has this digest, which is the one that you read; None: the present one."""
    intent: dict[str, JsonValue] = {
        "agreement": str(agreement),
        "proposal": None if proposal is None else str(proposal),
    }
    return (yield from state("AgreementAcceptance", intent, identity, wait_s=wait_s))


def reject(
    agreement: Bytes32, identity: Identity | None = None, *, proposal: Bytes32 | None = None, wait_s: int = 0
) -> Flow[Outcome]:
    """Reject the revision whose proposal has this digest, which is the one that you read; None: the present one."""
    intent: dict[str, JsonValue] = {
        "agreement": str(agreement),
        "proposal": None if proposal is None else str(proposal),
    }
    return (yield from state("AgreementRejection", intent, identity, wait_s=wait_s))


def terminate(agreement: Bytes32, identity: Identity | None = None, *, wait_s: int = 0) -> Flow[Outcome]:
    """End an active agreement."""
    return (yield from state("AgreementTermination", {"agreement": str(agreement)}, identity, wait_s=wait_s))


def report_usage(
    agreement: Bytes32,
    quantity: Decimal,
    identity: Identity | None = None,
    *,
    period_from: datetime,
    period_until: datetime,
    detail: Mapping[str, JsonValue] | None = None,
    wait_s: int = 0,
) -> Flow[Outcome]:
    """Report what was used in a period."""
    intent: dict[str, JsonValue] = {
        "agreement": str(agreement),
        "quantity": format(quantity, "f"),
        "period_from": period_from.isoformat(),
        "period_until": period_until.isoformat(),
        "detail": dict(detail or {}),
    }
    return (yield from state("UsageReport", intent, identity, wait_s=wait_s))


def confirm_usage(report: Bytes32, identity: Identity | None = None, *, wait_s: int = 0) -> Flow[Outcome]:
    """Confirm a report."""
    return (yield from state("UsageConfirmation", {"report": str(report)}, identity, wait_s=wait_s))


def dispute_usage(report: Bytes32, reason: str, identity: Identity | None = None, *, wait_s: int = 0) -> Flow[Outcome]:
    """Dispute a report."""
    intent: dict[str, JsonValue] = {"report": str(report), "reason": reason}
    return (yield from state("UsageDispute", intent, identity, wait_s=wait_s))


def settle(
    agreement: Bytes32,
    identity: Identity | None = None,
    *,
    quantity: Decimal | None = None,
    invoice: Mapping[str, JsonValue] | None = None,
    wait_s: int = 0,
) -> Flow[Outcome]:
    """Record a settlement; without ``quantity``, of all that is confirmed and not settled."""
    intent: dict[str, JsonValue] = {"agreement": str(agreement), "invoice": dict(invoice or {})}
    if quantity is not None:
        intent["quantity"] = format(quantity, "f")
    return (yield from state("SettlementRecord", intent, identity, wait_s=wait_s))
