"""What the bytes of a version are, and which of them are here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.types import Bytes32

__all__ = ["ContentRow", "FileRow", "MatchRow", "OpeningRow"]


@dataclass(frozen=True, slots=True)
class ContentRow:
    """A manifest (its bytes, as ``ledger.content.parse_manifest`` reads them) and its chunk hashes, if any."""

    content_root: Bytes32
    manifest: bytes
    chunks: bytes | None
    file_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class OpeningRow:
    """What opens a registration's content hash: SHA-256(version salt || content root)."""

    registration: Bytes32
    content_root: Bytes32
    version_salt: Bytes32


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a registered version and when its bytes arrived here (None: not yet)."""

    registration: Bytes32
    position: int
    path: str
    size_bytes: int
    sha256: Bytes32
    root: Bytes32
    uploaded_at: datetime | None


@dataclass(frozen=True, slots=True)
class MatchRow:
    """A file of a registered version whose SHA-256 was asked about."""

    dataset: Bytes32
    provider: Bytes32
    provider_handle: str | None
    slug: str | None
    version: int
    path: str
    registration: Bytes32
    in_force: bool
    registered_at: datetime
