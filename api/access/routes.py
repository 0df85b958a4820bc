"""Access requests, denials, grants and revocations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.answers import PagingOf, answer_page, answer_stamped
from api.auth import GatewayOf, Reader
from api.names import DigestPath, Since
from api.writes import add_custodial_write
from ledger.exchange.intents import (
    AccessDenialIntent,
    AccessGrantIntent,
    AccessRequestIntent,
    AccessRevocationIntent,
)

router = APIRouter(prefix="/v1", tags=["access"])

Role = Annotated[str | None, Query(description="provider or consumer; without: both")]
DatasetFilter = Annotated[str | None, Query(max_length=200, description="dataset's id or provider/slug")]


@router.get("/access-requests", summary="Requests for access")
def list_requests(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    since: Since,
    role: Role = None,
    state: Annotated[str | None, Query(description="open, granted, denied or expired")] = None,
    dataset: DatasetFilter = None,
    text: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """A provider's inbox: `?role=provider&state=open`."""
    return answer_page(
        gateway.access.requests(asker, paging, role=role, state=state, dataset=dataset, since=since, text=text)
    )


@router.get("/access-requests/{digest}", summary="One request")
def get_request(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """With its terms and what became of it."""
    return answer_stamped(gateway.access.request(asker, digest))


@router.get("/grants", summary="Grants given and received")
def list_grants(
    gateway: GatewayOf,
    asker: Reader,
    paging: PagingOf,
    since: Since,
    role: Role = None,
    state: Annotated[str | None, Query(description="pending, active, revoked, expired, retired or refused")] = None,
    dataset: DatasetFilter = None,
) -> Response:
    """Grants of which the asker is provider or consumer; all, for scope audit."""
    return answer_page(gateway.access.grants(asker, paging, role=role, state=state, dataset=dataset, since=since))


@router.get("/grants/{digest}", summary="One grant")
def get_grant(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """With its terms, and whether it was revoked."""
    return answer_stamped(gateway.access.grant(asker, digest))


add_custodial_write(router, "/access-requests", AccessRequestIntent, "Ask a provider for access")
add_custodial_write(router, "/access-denials", AccessDenialIntent, "Deny a request")
add_custodial_write(router, "/grants", AccessGrantIntent, "Grant access")
add_custodial_write(router, "/revocations", AccessRevocationIntent, "Revoke a grant")
