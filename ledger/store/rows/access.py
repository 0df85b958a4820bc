"""Who may have it: requests, grants, revocations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.types import Bytes32

__all__ = ["AccessRequestRow", "GrantRow", "RevocationRow", "TermsRow"]


@dataclass(frozen=True, slots=True)
class TermsRow:
    """The terms of a request or grant, as stated: times in UTC seconds (any uint64), rights a bit mask."""

    first_version: int
    last_version: int
    purpose: Bytes32
    rights: int
    valid_from: int
    valid_until: int
    policy_hash: Bytes32
    policy: JsonValue
    """the document when this gateway has it, else None"""


@dataclass(frozen=True, slots=True)
class AccessRequestRow:
    """A request for access that went through this gateway."""

    digest: Bytes32
    consumer: Bytes32
    consumer_handle: str | None
    provider: Bytes32
    provider_handle: str | None
    dataset: Bytes32
    dataset_slug: str | None
    terms: TermsRow
    state: str
    """granted (by a grant of the same policy hash), denied, expired, else open"""
    grant: Bytes32 | None
    denial: Bytes32 | None
    stated_at: datetime


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant, said here or in force."""

    digest: Bytes32
    provider: Bytes32
    provider_handle: str | None
    consumer: Bytes32
    consumer_handle: str | None
    dataset: Bytes32
    dataset_salt: Bytes32 | None
    """known when this gateway took one of its registrations or grants: events do not tell it"""
    dataset_slug: str | None
    terms: TermsRow
    state: str
    """refused, revoked, retired (its dataset is), expired, pending (not in force or not valid yet), else active"""
    request: Bytes32 | None
    granted_at: datetime | None
    granted_block: int | None
    revoked_at: datetime | None
    revoked_block: int | None
    revocation: Bytes32 | None
    retired_at: datetime | None
    stated_at: datetime


@dataclass(frozen=True, slots=True)
class RevocationRow:
    """A revocation in force."""

    digest: Bytes32
    provider: Bytes32
    grant: Bytes32
    block: int
    time: datetime
