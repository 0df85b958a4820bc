"""Sharing agreements, usage under them, and settlement."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.answers import PagingOf, answer_page, answer_stamped
from api.auth import GatewayOf, Reader
from api.names import DigestPath, Since, parse_digest
from api.writes import add_custodial_write
from ledger.exchange.intents import (
    AgreementAcceptanceIntent,
    AgreementProposalIntent,
    AgreementRejectionIntent,
    AgreementTerminationIntent,
    SettlementRecordIntent,
    UsageConfirmationIntent,
    UsageDisputeIntent,
    UsageReportIntent,
)

router = APIRouter(prefix="/v1", tags=["agreements"])

AgreementFilter = Annotated[str | None, Query(description="the agreement's id")]


@router.get("/agreements", summary="Agreements of the asker")
def list_agreements(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    since: Since,
    role: Annotated[str | None, Query(description="supplier or user; without: any party")] = None,
    state: Annotated[str | None, Query(description="proposed, active, rejected or terminated")] = None,
) -> Response:
    """In their present revision, with running totals."""
    return answer_page(gateway.agreements.list(asker, paging, role=role, state=state, since=since))


@router.get("/agreements/{digest}", summary="One agreement")
def get_agreement(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """By its id."""
    return answer_stamped(gateway.agreements.get(asker, digest))


@router.get("/usage", summary="Usage reports")
def list_usage(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    agreement: AgreementFilter = None,
    state: Annotated[str | None, Query(description="reported, confirmed or disputed")] = None,
) -> Response:
    """With what became of each."""
    return answer_page(gateway.agreements.usage(asker, paging, agreement=parse_digest(agreement), state=state))


@router.get("/settlements", summary="Settlement records")
def list_settlements(
    gateway: GatewayOf, asker: Reader, paging: PagingOf, agreement: AgreementFilter = None
) -> Response:
    """In their sequence."""
    return answer_page(gateway.agreements.settlements(asker, paging, agreement=parse_digest(agreement)))


add_custodial_write(router, "/agreements", AgreementProposalIntent, "Propose an agreement, or its next revision")
add_custodial_write(router, "/agreement-acceptances", AgreementAcceptanceIntent, "Accept a revision")
add_custodial_write(router, "/agreement-rejections", AgreementRejectionIntent, "Reject a revision")
add_custodial_write(router, "/agreement-terminations", AgreementTerminationIntent, "End an active agreement")
add_custodial_write(router, "/usage-reports", UsageReportIntent, "Report usage")
add_custodial_write(router, "/usage-confirmations", UsageConfirmationIntent, "Confirm a usage report")
add_custodial_write(router, "/usage-disputes", UsageDisputeIntent, "Dispute a usage report")
add_custodial_write(router, "/settlements", SettlementRecordIntent, "Record a settlement")
