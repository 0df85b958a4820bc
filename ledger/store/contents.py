"""Manifests, chunk hashes, what opens a registration, and which bytes are here."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, insert, select, update
from sqlalchemy.engine import Row

from ledger.content import Manifest
from ledger.errors import NotFoundError
from ledger.store.database import Database
from ledger.store.queries.versions import versions_known
from ledger.store.rows import ContentRow, FileRow, MatchRow, OpeningRow
from ledger.store.schema.gateway import (
    CONTENT_FILES,
    CONTENTS,
    DATASET_SLUGS,
    DRAFTS,
    OPENINGS,
    PARTICIPANT_HANDLES,
    UPLOADS,
)
from ledger.types import Bytes32

__all__ = ["Contents"]


class Contents:
    """Contents by content root, openings and files by the digest of the registration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, manifest: Manifest, chunks: bytes | None, now: datetime) -> None:
        """Store a manifest and its chunk hashes (None: every file has at most one chunk); repeats change nothing."""
        with self._database.write() as connection:
            if self.find(manifest.content_root) is not None:
                return
            content = {
                "content_root": manifest.content_root,
                "manifest": manifest.to_bytes(),
                "chunks": chunks,
                "file_count": len(manifest.files),
                "size_bytes": manifest.size_bytes,
                "created_at": now,
            }
            connection.execute(insert(CONTENTS).values(**content))
            files = [
                {
                    "content_root": manifest.content_root,
                    "position": position,
                    "path": entry.path,
                    "size_bytes": entry.size_bytes,
                    "sha256": entry.sha256,
                    "root": entry.root,
                }
                for position, entry in enumerate(manifest.files)
            ]
            connection.execute(insert(CONTENT_FILES), files)

    def find(self, content_root: Bytes32) -> ContentRow | None:
        """Manifest and chunk hashes."""
        with self._database.read() as connection:
            row = connection.execute(select(CONTENTS).where(CONTENTS.c.content_root == content_root)).one_or_none()
        if row is None:
            return None
        chunks = None if row.chunks is None else bytes(row.chunks)
        return ContentRow(row.content_root, bytes(row.manifest), chunks, row.file_count, row.size_bytes)

    def bind(self, registration: Bytes32, content_root: Bytes32, version_salt: Bytes32) -> None:
        """Record what opens a submitted registration; repeats change nothing.

        Raises:
            NotFoundError: no such content.
        """
        with self._database.write() as connection:
            if not connection.scalar(select(exists().where(CONTENTS.c.content_root == content_root))):
                raise NotFoundError(f"no manifest with the content root {content_root} is stored: prepare it again")
            if self.find_opening(registration) is None:
                opening = {
                    "registration": registration,
                    "content_root": content_root,
                    "version_salt": version_salt,
                }
                connection.execute(insert(OPENINGS).values(**opening))

    def find_opening(self, registration: Bytes32) -> OpeningRow | None:
        """What opens a registration."""
        with self._database.read() as connection:
            row = connection.execute(select(OPENINGS).where(OPENINGS.c.registration == registration)).one_or_none()
        return None if row is None else OpeningRow(row.registration, row.content_root, row.version_salt)

    def files(self, registration: Bytes32) -> tuple[FileRow, ...]:
        """The files of a version, in the manifest's order; empty when its manifest is not here."""
        with self._database.read() as connection:
            rows = connection.execute(_select_files(OPENINGS.c.registration == registration))
            return tuple(_to_file(row) for row in rows)

    def find_file(self, registration: Bytes32, path: str) -> FileRow | None:
        """One file of a version."""
        named = (OPENINGS.c.registration == registration) & (CONTENT_FILES.c.path == path)
        with self._database.read() as connection:
            row = connection.execute(_select_files(named)).one_or_none()
        return None if row is None else _to_file(row)

    def find_files(self, registration: Bytes32, paths: Set[str]) -> tuple[FileRow, ...]:
        """Those files of a version that have these paths, in the manifest's order."""
        named = (OPENINGS.c.registration == registration) & CONTENT_FILES.c.path.in_(paths)
        with self._database.read() as connection:
            return tuple(_to_file(row) for row in connection.execute(_select_files(named)))

    def mark_uploaded(self, registration: Bytes32, path: str, now: datetime) -> None:
        """Record that the file's bytes are here, checked and durable.

        Raises:
            NotFoundError: the version has no such file.
        """
        with self._database.write() as connection:
            file = self.find_file(registration, path)
            if file is None:
                raise NotFoundError("the version has no such file")
            upload = (UPLOADS.c.registration == registration) & (UPLOADS.c.position == file.position)
            if file.uploaded_at is not None:
                connection.execute(update(UPLOADS).where(upload).values(uploaded_at=now))
            else:
                row = {"registration": registration, "position": file.position, "uploaded_at": now}
                connection.execute(insert(UPLOADS).values(**row))

    def mark_many_uploaded(self, registration: Bytes32, paths: Set[str], now: datetime) -> None:
        """Record that the bytes of all these files are here, checked and durable.

        Raises:
            NotFoundError: the version has not all of these files.
        """
        with self._database.write() as connection:
            found = self.find_files(registration, paths)
            if len(found) != len(paths):
                raise NotFoundError("the version has not all of these files")
            known = [file.position for file in found if file.uploaded_at is not None]
            here = (UPLOADS.c.registration == registration) & UPLOADS.c.position.in_(known)
            if known:
                connection.execute(delete(UPLOADS).where(here))
            rows = [{"registration": registration, "position": each.position, "uploaded_at": now} for each in found]
            connection.execute(insert(UPLOADS), rows)

    def match(self, sha256: Bytes32, limit: int = 50) -> tuple[MatchRow, ...]:
        """Files of registered versions with this SHA-256, those in force and the oldest first."""
        versions = versions_known().subquery("versions")
        joined = (
            CONTENT_FILES.join(OPENINGS, OPENINGS.c.content_root == CONTENT_FILES.c.content_root)
            .join(versions, versions.c.digest == OPENINGS.c.registration)
            .outerjoin(DATASET_SLUGS, DATASET_SLUGS.c.dataset == versions.c.dataset)
            .outerjoin(PARTICIPANT_HANDLES, PARTICIPANT_HANDLES.c.participant == versions.c.participant)
        )
        query: Select[Any] = (
            select(
                versions.c.dataset,
                versions.c.participant.label("provider"),
                PARTICIPANT_HANDLES.c.handle.label("provider_handle"),
                DATASET_SLUGS.c.slug,
                versions.c.version,
                CONTENT_FILES.c.path,
                versions.c.digest.label("registration"),
                versions.c.in_force,
                versions.c.stated_at.label("registered_at"),
            )
            .select_from(joined)
            .where(CONTENT_FILES.c.sha256 == sha256)
            .order_by(versions.c.in_force.desc(), versions.c.stated_at, versions.c.digest, CONTENT_FILES.c.position)
            .limit(limit)
        )
        with self._database.read() as connection:
            return tuple(_to_match(row) for row in connection.execute(query))

    def drop_unbound(self, before: datetime) -> int:
        """Forget contents older than ``before`` that no registration opens to and no draft holds; return how many."""
        unused = delete(CONTENTS).where(
            CONTENTS.c.created_at < before,
            ~exists().where(OPENINGS.c.content_root == CONTENTS.c.content_root),
            ~exists().where(DRAFTS.c.content_root == CONTENTS.c.content_root),
        )
        with self._database.write() as connection:
            return connection.execute(unused).rowcount

    def registrations_of(self, content_root: Bytes32) -> Sequence[Bytes32]:
        """Digests of the registrations that open to this content root."""
        query = select(OPENINGS.c.registration).where(OPENINGS.c.content_root == content_root)
        with self._database.read() as connection:
            return tuple(connection.scalars(query.order_by(OPENINGS.c.registration)))


def _select_files(condition: ColumnElement[bool]) -> Select[Any]:
    here = (UPLOADS.c.registration == OPENINGS.c.registration) & (UPLOADS.c.position == CONTENT_FILES.c.position)
    joined = OPENINGS.join(CONTENT_FILES, CONTENT_FILES.c.content_root == OPENINGS.c.content_root)
    return (
        select(OPENINGS.c.registration, CONTENT_FILES, UPLOADS.c.uploaded_at)
        .select_from(joined.outerjoin(UPLOADS, here))
        .where(condition)
        .order_by(CONTENT_FILES.c.position)
    )


def _to_file(row: Row[Any]) -> FileRow:
    return FileRow(**{name: row._mapping[name] for name in FileRow.__dataclass_fields__})


def _to_match(row: Row[Any]) -> MatchRow:
    values = {name: row._mapping[name] for name in MatchRow.__dataclass_fields__}
    return MatchRow(**(values | {"in_force": bool(row.in_force)}))
