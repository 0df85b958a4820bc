"""Erasures: what they say, what goes from the database at once, and which objects are to go after it."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select
from sqlalchemy.engine import Row

from ledger.store.database import Database
from ledger.store.queries.erasures import select_erasures
from ledger.store.rows.erasures import ErasureRow
from ledger.store.schema.erasures import ERASED_VERSIONS, REMOVALS
from ledger.store.schema.gateway import CONTENT_FILES, CONTENTS, DRAFTS, OPENINGS, UPLOADS
from ledger.store.schema.said import SAID_ERASURES
from ledger.types import Bytes32

__all__ = ["Erasures"]

_AT_ONCE = 500


class Erasures:
    """Erasures by the digest of the registration of the version that they are of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, registration: Bytes32) -> ErasureRow | None:
        """The erasure of a version, once the log has it."""
        query = select_erasures().where(SAID_ERASURES.c.registration == registration).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _to_row(row)

    def list_due(self) -> tuple[ErasureRow, ...]:
        """Those in the log whose version is not erased here yet."""
        done = exists().where(ERASED_VERSIONS.c.registration == SAID_ERASURES.c.registration)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(select_erasures().where(~done)))

    def carry_out(self, erasure: ErasureRow, now: datetime) -> None:
        """Forget salt, manifest and uploads of a version; files that no other version names are to be removed.

        A second call does nothing.
        """
        of_it = OPENINGS.c.registration == erasure.registration
        with self._database.write() as connection:
            if connection.scalar(select(exists().where(ERASED_VERSIONS.c.registration == erasure.registration))):
                return
            content_root = connection.scalar(select(OPENINGS.c.content_root).where(of_it))
            connection.execute(delete(UPLOADS).where(UPLOADS.c.registration == erasure.registration))
            connection.execute(delete(OPENINGS).where(of_it))
            connection.execute(delete(DRAFTS).where(DRAFTS.c.digest == erasure.registration))
            if content_root is not None:
                _note_removals(connection, content_root, now)
                _drop_content(connection, content_root)
            done = {"registration": erasure.registration, "statement": erasure.statement, "at": now}
            connection.execute(insert(ERASED_VERSIONS).values(**done))

    def list_removals(self, limit: int = _AT_ONCE, after: Bytes32 | None = None) -> tuple[Bytes32, ...]:
        """SHA-256 of files whose objects are to be removed, in order, from behind ``after`` on."""
        query = select(REMOVALS.c.sha256).order_by(REMOVALS.c.sha256).limit(limit)
        with self._database.read() as connection:
            return tuple(connection.scalars(query if after is None else query.where(REMOVALS.c.sha256 > after)))

    def is_any_to_be_removed(self, sha256s: Set[Bytes32]) -> bool:
        """Whether the objects of one of these files are about to be removed."""
        with self._database.read() as connection:
            return bool(connection.scalar(select(exists().where(REMOVALS.c.sha256.in_(sha256s)))))

    def mark_removed(self, sha256: Bytes32) -> None:
        """Record that no object of a file is left."""
        with self._database.write() as connection:
            connection.execute(delete(REMOVALS).where(REMOVALS.c.sha256 == sha256))


def _note_removals(connection: Connection, content_root: Bytes32, now: datetime) -> None:
    """Note the content's files that no version names: an upload of one that does may be under way."""
    others, files = CONTENT_FILES.alias("others"), CONTENT_FILES.c
    is_named = exists(
        select(others.c.sha256)
        .join(OPENINGS, OPENINGS.c.content_root == others.c.content_root)
        .where(others.c.sha256 == files.sha256)
    )
    is_noted = exists().where(REMOVALS.c.sha256 == files.sha256)
    unused = select(files.sha256).distinct().where(files.content_root == content_root, ~is_named, ~is_noted)
    rows = [{"sha256": sha256, "since": now} for sha256 in connection.scalars(unused)]
    if rows:
        connection.execute(insert(REMOVALS), rows)


def _drop_content(connection: Connection, content_root: Bytes32) -> None:
    """Drop the manifest, unless another version or a registration that is being prepared has the same."""
    unused = (
        CONTENTS.c.content_root == content_root,
        ~exists().where(OPENINGS.c.content_root == content_root),
        ~exists().where(DRAFTS.c.content_root == content_root),
    )
    connection.execute(delete(CONTENTS).where(*unused))


def _to_row(row: Row[Any]) -> ErasureRow:
    return ErasureRow(row.digest, row.dataset, row.version, row.registration, row.received_at)
