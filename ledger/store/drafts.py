"""Prepared statements that wait for their signature."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row

from ledger.store.contents import Contents
from ledger.store.database import Database
from ledger.store.rows import DraftRow
from ledger.store.schema.gateway import DOCUMENTS, DRAFTS
from ledger.types import Bytes32

__all__ = ["Drafts"]


class Drafts:
    """Drafts by digest. Documents and contents are stored before, by their own rooms."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, draft: DraftRow) -> None:
        """Store a draft; the same digest again replaces it."""
        with self._database.write() as connection:
            connection.execute(delete(DRAFTS).where(DRAFTS.c.digest == draft.digest))
            connection.execute(insert(DRAFTS).values(**_to_values(draft)))

    def find(self, digest: Bytes32) -> DraftRow | None:
        """The draft with this digest."""
        with self._database.read() as connection:
            row = connection.execute(select(DRAFTS).where(DRAFTS.c.digest == digest)).one_or_none()
        return None if row is None else _to_row(row)

    def bind(self, digest: Bytes32) -> DraftRow | None:
        """Its statement was submitted: bind its documents and its content's opening, drop the draft and return it.

        Call it in the transaction that stores the statement. None when there is no such draft.

        Raises:
            NotFoundError: its content is not stored any more.
        """
        with self._database.write() as connection:
            draft = self.find(digest)
            if draft is None:
                return None
            connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.hash.in_(draft.documents)).values(bound=True))
            if draft.content_root is not None and draft.version_salt is not None:
                Contents(self._database).bind(digest, draft.content_root, draft.version_salt)
            connection.execute(delete(DRAFTS).where(DRAFTS.c.digest == digest))
            return draft

    def drop_expired(self, now: datetime) -> int:
        """Forget drafts past their time; return how many."""
        with self._database.write() as connection:
            return connection.execute(delete(DRAFTS).where(DRAFTS.c.expires_at <= now)).rowcount


def _to_values(draft: DraftRow) -> dict[str, Any]:
    return {
        "digest": draft.digest,
        "type": draft.type,
        "message": draft.message,
        "documents": [str(digest) for digest in draft.documents],
        "content_root": draft.content_root,
        "version_salt": draft.version_salt,
        "notes": None if draft.notes is None else dict(draft.notes),
        "created_at": draft.created_at,
        "expires_at": draft.expires_at,
    }


def _to_row(row: Row[Any]) -> DraftRow:
    return DraftRow(
        digest=row.digest,
        type=row.type,
        message=row.message,
        documents=tuple(Bytes32.parse(digest) for digest in row.documents),
        created_at=row.created_at,
        expires_at=row.expires_at,
        content_root=row.content_root,
        version_salt=row.version_salt,
        notes=row.notes,
    )
