"""Manifests, chunk hashes, what opens a registration, and which bytes are here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger.content import Manifest
from ledger.store.rows import ContentRow, FileRow, MatchRow, OpeningRow
from ledger.types import Bytes32

__all__ = ["Contents"]


class Contents:
    """Contents by content root, openings and files by the digest of the registration."""

    def add(self, manifest: Manifest, chunks: bytes | None, now: datetime) -> None:
        """Store a manifest and its chunk hashes (None: every file has at most one chunk); repeats change nothing."""
        raise NotImplementedError

    def find(self, content_root: Bytes32) -> ContentRow | None:
        """Manifest and chunk hashes."""
        raise NotImplementedError

    def bind(self, registration: Bytes32, content_root: Bytes32, version_salt: Bytes32) -> None:
        """Record what opens a submitted registration, and its files as not uploaded yet; repeats change nothing.

        Raises:
            NotFoundError: no such content.
        """
        raise NotImplementedError

    def find_opening(self, registration: Bytes32) -> OpeningRow | None:
        """What opens a registration."""
        raise NotImplementedError

    def files(self, registration: Bytes32) -> tuple[FileRow, ...]:
        """The files of a version, in the manifest's order; empty when its manifest is not here."""
        raise NotImplementedError

    def find_file(self, registration: Bytes32, path: str) -> FileRow | None:
        """One file of a version."""
        raise NotImplementedError

    def mark_uploaded(self, registration: Bytes32, path: str, now: datetime) -> None:
        """The file's bytes are here, checked and durable.

        Raises:
            NotFoundError: the version has no such file.
        """
        raise NotImplementedError

    def match(self, sha256: Bytes32, limit: int = 50) -> tuple[MatchRow, ...]:
        """Files of registered versions with this SHA-256, those in force and the oldest first."""
        raise NotImplementedError

    def drop_unbound(self, before: datetime) -> int:
        """Forget contents older than ``before`` that no registration opens to; return how many."""
        raise NotImplementedError

    def registrations_of(self, content_root: Bytes32) -> Sequence[Bytes32]:
        """Digests of the registrations that open to this content root."""
        raise NotImplementedError
