"""Who may have it: intents about access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, cast

from pydantic import Field

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.exchange.intents.draft import Draft
from ledger.exchange.intents.intent import Intent
from ledger.statements import Statement
from ledger.surface.codec import MOST_IN_LIST
from ledger.surface.terms import build_policy, check_policy, expand_purpose, hash_purpose, parse_rights, to_seconds
from ledger.types import Bytes32

__all__ = [
    "AccessDenialIntent",
    "AccessGrantIntent",
    "AccessRequestIntent",
    "AccessRevocationIntent",
    "build_denial",
    "build_grant",
    "build_request",
    "build_revocation",
]

_TERMS = ("firstVersion", "lastVersion", "purpose", "rights", "validFrom", "validUntil", "policyHash")


@dataclass(frozen=True, kw_only=True)
class AccessRequestIntent(Intent):
    """Ask a provider for access. ``purpose`` is an IRI or a short word of the DPV vocabulary, ``rights`` ODRL actions.

    ``policy`` is an ODRL policy without ids, target, parties and time; None: built from purpose and rights.
    """

    TYPE: ClassVar[str] = "AccessRequest"

    dataset: str
    purpose: str
    rights: Annotated[tuple[str, ...], Field(max_length=MOST_IN_LIST)]
    valid_until: datetime
    valid_from: datetime | None = None
    first_version: int = 1
    last_version: int = 0
    policy: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, kw_only=True)
class AccessDenialIntent(Intent):
    """Deny a request."""

    TYPE: ClassVar[str] = "AccessDenial"

    request: Bytes32
    reason: str


@dataclass(frozen=True, kw_only=True)
class AccessGrantIntent(Intent):
    """Permit a consumer: by ``request``, whose terms it takes, or by dataset, consumer and terms."""

    TYPE: ClassVar[str] = "AccessGrant"

    request: Bytes32 | None = None
    dataset: str | None = None
    consumer: str | None = None
    purpose: str | None = None
    rights: Annotated[tuple[str, ...], Field(max_length=MOST_IN_LIST)] = ()
    valid_until: datetime | None = None
    valid_from: datetime | None = None
    first_version: int = 1
    last_version: int = 0
    policy: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, kw_only=True)
class AccessRevocationIntent(Intent):
    """End a grant, named by its digest."""

    TYPE: ClassVar[str] = "AccessRevocation"

    grant: Bytes32


def build_request(draft: Draft, intent: AccessRequestIntent) -> Statement:
    """A request to the dataset's provider."""
    dataset = draft.directory.dataset(intent.dataset)
    terms = _build_terms(draft, intent, intent.purpose, intent.valid_until)
    return draft.build(intent, provider=dataset.provider, dataset=dataset.id, **terms)


def _build_terms(
    draft: Draft, intent: AccessRequestIntent | AccessGrantIntent, purpose: str, valid_until: datetime
) -> dict[str, Any]:
    iri, rights = expand_purpose(purpose), parse_rights(intent.rights)
    policy = build_policy(iri, rights) if intent.policy is None else check_policy(intent.policy)
    return {
        "firstVersion": intent.first_version,
        "lastVersion": intent.last_version,
        "purpose": hash_purpose(iri),
        "rights": int(rights),
        "validFrom": draft.now_s if intent.valid_from is None else to_seconds(intent.valid_from),
        "validUntil": to_seconds(valid_until),
        "policyHash": draft.attach(policy),
    }


def build_denial(draft: Draft, intent: AccessDenialIntent) -> Statement:
    """The answer no."""
    request = draft.directory.statement(intent.request, "AccessRequest")
    reason = draft.attach({"reason": intent.reason})
    return draft.build(intent, consumer=request.participant, request=intent.request, reasonHash=reason)


def build_grant(draft: Draft, intent: AccessGrantIntent) -> Statement:
    """The answer yes to a request, or a grant that nobody asked for."""
    if intent.request is not None:
        return _build_grant_of_request(draft, intent, intent.request)
    if intent.dataset is None or intent.consumer is None or intent.purpose is None or intent.valid_until is None:
        raise MalformedError("a grant names a request, or dataset, consumer, purpose, rights and valid_until")
    return draft.build(
        intent,
        datasetSalt=draft.dataset_salt(intent.dataset),
        consumer=draft.directory.participant(intent.consumer),
        **_build_terms(draft, intent, intent.purpose, intent.valid_until),
    )


def _build_grant_of_request(draft: Draft, intent: AccessGrantIntent, digest: Bytes32) -> Statement:
    if intent.dataset or intent.consumer or intent.purpose or intent.rights or intent.valid_until or intent.policy:
        raise MalformedError("a grant that names a request takes its terms: leave the others out")
    request = draft.directory.statement(digest, "AccessRequest")
    policy = draft.directory.document(cast("Bytes32", request.message["policyHash"]), draft.participant)
    if policy is not None:
        draft.keep(policy)
    return draft.build(
        intent,
        datasetSalt=draft.dataset_salt(str(request.message["dataset"])),
        consumer=request.participant,
        **dict[str, Any]({name: request.message[name] for name in _TERMS}),
    )


def build_revocation(draft: Draft, intent: AccessRevocationIntent) -> Statement:
    """The end of a grant."""
    return draft.build(intent, grant=intent.grant)
