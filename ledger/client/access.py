"""Access requests, grants and revocations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.client.flow import Flow
from ledger.client.identity import Identity
from ledger.client.reads import filters, read_all, read_one
from ledger.client.statements import state
from ledger.surface.outcomes import Outcome
from ledger.surface.views import AccessRequestView, GrantView
from ledger.types import Bytes32

__all__ = ["deny", "grant", "grant_request", "grants", "request", "requests", "revoke", "show_grant", "show_request"]


def requests(
    *,
    role: str | None = None,
    status: str | None = None,
    dataset: str | None = None,
    since: datetime | None = None,
    text: str | None = None,
) -> Flow[tuple[AccessRequestView, ...]]:
    """Requests made and received; ``role="provider", status="open"`` is a provider's inbox."""
    query = filters(role=role, state=status, dataset=dataset, since=since and since.isoformat(), text=text)
    return (yield from read_all(AccessRequestView, "/v1/access-requests", query))


def show_request(digest: Bytes32) -> Flow[AccessRequestView]:
    """One request."""
    return (yield from read_one(AccessRequestView, f"/v1/access-requests/{digest}"))


def grants(
    *,
    role: str | None = None,
    status: str | None = None,
    dataset: str | None = None,
    since: datetime | None = None,
) -> Flow[tuple[GrantView, ...]]:
    """Grants given and received."""
    query = filters(role=role, state=status, dataset=dataset, since=since and since.isoformat())
    return (yield from read_all(GrantView, "/v1/grants", query))


def show_grant(digest: Bytes32) -> Flow[GrantView]:
    """One grant."""
    return (yield from read_one(GrantView, f"/v1/grants/{digest}"))


def request(
    dataset: str,
    identity: Identity | None = None,
    *,
    purpose: str,
    rights: Sequence[str],
    valid_until: datetime,
    valid_from: datetime | None = None,
    first_version: int = 1,
    last_version: int = 0,
    policy: Mapping[str, JsonValue] | None = None,
    wait_s: int = 0,
) -> Flow[Outcome]:
    """Ask a dataset's provider for access. ``purpose``: an IRI or a word of the DPV vocabulary."""
    terms = _terms(purpose, rights, valid_from, valid_until, first_version, last_version, policy)
    return (yield from state("AccessRequest", {"dataset": dataset, **terms}, identity, wait_s=wait_s))


def deny(digest: Bytes32, reason: str, identity: Identity | None = None, *, wait_s: int = 0) -> Flow[Outcome]:
    """Deny a request."""
    intent: dict[str, JsonValue] = {"request": str(digest), "reason": reason}
    return (yield from state("AccessDenial", intent, identity, wait_s=wait_s))


def grant_request(digest: Bytes32, identity: Identity | None = None, *, wait_s: int = 0) -> Flow[Outcome]:
    """Grant what a request asks for, on its terms."""
    return (yield from state("AccessGrant", {"request": str(digest)}, identity, wait_s=wait_s))


def grant(
    dataset: str,
    consumer: str,
    identity: Identity | None = None,
    *,
    purpose: str,
    rights: Sequence[str],
    valid_until: datetime,
    valid_from: datetime | None = None,
    first_version: int = 1,
    last_version: int = 0,
    policy: Mapping[str, JsonValue] | None = None,
    wait_s: int = 0,
) -> Flow[Outcome]:
    """Grant access without a request."""
    terms = _terms(purpose, rights, valid_from, valid_until, first_version, last_version, policy)
    intent: dict[str, JsonValue] = {"dataset": dataset, "consumer": consumer, **terms}
    return (yield from state("AccessGrant", intent, identity, wait_s=wait_s))


def revoke(digest: Bytes32, identity: Identity | None = None, *, wait_s: int = 0) -> Flow[Outcome]:
    """End a grant."""
    return (yield from state("AccessRevocation", {"grant": str(digest)}, identity, wait_s=wait_s))


def _terms(
    purpose: str,
    rights: Sequence[str],
    valid_from: datetime | None,
    valid_until: datetime,
    first_version: int,
    last_version: int,
    policy: Mapping[str, JsonValue] | None,
) -> dict[str, JsonValue]:
    return {
        "purpose": purpose,
        "rights": list(rights),
        "valid_from": None if valid_from is None else valid_from.isoformat(),
        "valid_until": valid_until.isoformat(),
        "first_version": first_version,
        "last_version": last_version,
        "policy": None if policy is None else dict(policy),
    }
