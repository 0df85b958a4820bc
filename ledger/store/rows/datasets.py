"""Datasets and their versions, said and in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.store.rows.catalogue import OriginRow
from ledger.types import Bytes32

__all__ = ["DatasetRow", "DescendantRow", "ParentRow", "VersionRow"]


@dataclass(frozen=True, slots=True)
class ParentRow:
    """A version that another is derived from."""

    dataset: Bytes32
    version: int
    registration: Bytes32


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version: a registration that was said here or is in force, and was not refused."""

    dataset: Bytes32
    dataset_salt: Bytes32 | None
    """known when this gateway took one of its registrations or grants: events do not tell it"""
    provider: Bytes32
    version: int
    registration: Bytes32
    content_hash: Bytes32
    metadata_hash: Bytes32
    metadata: JsonValue
    """the document when this gateway has it, else None"""
    content_root: Bytes32 | None
    version_salt: Bytes32 | None
    file_count: int | None
    size_bytes: int | None
    parents: tuple[ParentRow, ...]
    in_force: bool
    registered_at: datetime
    """time of its block, or, while it is not in force, of its arrival here"""
    block: int | None
    erased: Bytes32 | None = None
    """digest of its erasure, which this gateway's log has"""


@dataclass(frozen=True, slots=True)
class DescendantRow:
    """A version that is derived from another, over whatever many generations."""

    dataset: Bytes32
    provider_handle: str | None
    slug: str | None
    version: int
    registration: Bytes32
    in_force: bool
    stated_at: datetime
    erased: Bytes32 | None


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset with what its latest version says of it."""

    id: Bytes32
    dataset_salt: Bytes32 | None
    """known when this gateway took one of its registrations or grants: events do not tell it"""
    provider: Bytes32
    provider_handle: str | None
    slug: str | None
    latest_version: int
    latest_registration: Bytes32
    in_force: bool
    """whether the latest version is"""
    metadata: JsonValue
    state: str
    """active or retired"""
    retired_at: datetime | None
    registered_at: datetime
    updated_at: datetime
    origin: OriginRow | None = None
    """the gateway that told of it; None: this one's own, or known by the chain alone"""
