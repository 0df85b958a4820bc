"""Documents that statements commit to by salted hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.engine import Row

from ledger.canonical import JsonValue, parse_canonical
from ledger.errors import VerificationError
from ledger.store.database import Database
from ledger.store.rows import DocumentRow
from ledger.store.schema.gateway import DOCUMENT_READERS, DOCUMENTS
from ledger.types import Bytes32

__all__ = ["Documents", "search_text"]

_PUBLIC: Final = frozenset({"profile", "metadata"})
_SEARCHED: Final = ("handle", "slug", "name", "title", "description", "keywords", "licence")


class Documents:
    """Documents by hash. What no submitted statement carries is dropped after a day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, documents: Sequence[DocumentRow]) -> None:
        """Store documents; one that is there already stays (bound if either is).

        Raises:
            VerificationError: a hash is not SHA-256(salt || body).
            MalformedError: a body is not canonical JSON.
        """
        new = {document.hash: _to_values(document) for document in documents}
        with self._database.write() as connection:
            known = select(DOCUMENTS.c.hash).where(DOCUMENTS.c.hash.in_(list(new)))
            for digest in list(connection.scalars(known)):
                if new.pop(digest)["bound"]:
                    connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.hash == digest).values(bound=True))
            if new:
                connection.execute(insert(DOCUMENTS), list(new.values()))

    def bind(self, hashes: Iterable[Bytes32], reader: Bytes32 | None = None) -> None:
        """Keep them: a submitted statement carries them. Unknown ones are skipped; ``reader`` may read those not bound.

        Storing a statement binds its documents and notes their readers by itself; this is for the founders'.
        """
        given = DOCUMENTS.c.hash.in_(list(hashes))
        with self._database.write() as connection:
            if reader is not None:
                loose = list(connection.scalars(select(DOCUMENTS.c.hash).where(given, DOCUMENTS.c.bound.is_(False))))
                rows = [{"hash": digest, "participant": reader} for digest in loose]
                if rows:
                    connection.execute(insert(DOCUMENT_READERS), rows)
            connection.execute(update(DOCUMENTS).where(given).values(bound=True))

    def find_stated(
        self,
        hashes: Iterable[Bytes32],
        stater: Bytes32,
        *,
        asker: Bytes32 | None = None,
        kind: str | None = None,
    ) -> dict[Bytes32, DocumentRow]:
        """Those of ``hashes`` that a statement by ``stater`` may show: it is one of their readers itself.

        ``asker``: who is to be shown them, one of the readers too (None: somebody whom nothing is kept from).
        ``kind``: only documents of this kind, for what everybody may read.
        """
        condition = DOCUMENTS.c.hash.in_(list(hashes)) & DOCUMENTS.c.hash.in_(_read_by(stater))
        if asker is not None:
            condition &= DOCUMENTS.c.hash.in_(_read_by(asker))
        if kind is not None:
            condition &= DOCUMENTS.c.kind == kind
        with self._database.read() as connection:
            return {row.hash: _to_row(row) for row in connection.execute(select(DOCUMENTS).where(condition))}

    def find(self, digest: Bytes32) -> DocumentRow | None:
        """The document with this hash."""
        return self.find_many([digest]).get(digest)

    def find_many(self, hashes: Iterable[Bytes32]) -> dict[Bytes32, DocumentRow]:
        """Those of ``hashes`` that are stored."""
        with self._database.read() as connection:
            rows = connection.execute(select(DOCUMENTS).where(DOCUMENTS.c.hash.in_(list(hashes))))
            return {row.hash: _to_row(row) for row in rows}

    def parties(self, digest: Bytes32) -> frozenset[Bytes32]:
        """Who may read a bound document: the parties of the statement that brought it, and of later ones that carry
        its hash and are stated by someone who could read it already (to repeat a hash gives no right)."""
        with self._database.read() as connection:
            readers = select(DOCUMENT_READERS.c.participant).where(DOCUMENT_READERS.c.hash == digest)
            return frozenset(connection.scalars(readers))

    def is_public(self, digest: Bytes32) -> bool:
        """Whether every participant may read it: a bound profile or a bound data set's metadata."""
        with self._database.read() as connection:
            query = select(DOCUMENTS.c.kind).where(DOCUMENTS.c.hash == digest, DOCUMENTS.c.bound)
            return connection.scalar(query) in _PUBLIC

    def drop_unbound(self, before: datetime) -> int:
        """Forget documents that were never bound and are older than ``before``; return how many."""
        with self._database.write() as connection:
            old = delete(DOCUMENTS).where(DOCUMENTS.c.bound.is_(False), DOCUMENTS.c.created_at < before)
            return connection.execute(old).rowcount


def _read_by(participant: Bytes32) -> Select[Any]:
    return select(DOCUMENT_READERS.c.hash).where(DOCUMENT_READERS.c.participant == participant)


def _to_values(document: DocumentRow) -> dict[str, Any]:
    found = Bytes32(hashlib.sha256(document.salt + document.body).digest())
    if found != document.hash:
        raise VerificationError(
            f"the {document.kind} document does not have the hash {document.hash}", expected=document.hash, found=found
        )
    content = parse_canonical(document.body)
    return {
        "hash": document.hash,
        "salt": document.salt,
        "body": document.body,
        "kind": document.kind,
        "created_at": document.created_at,
        "bound": document.bound,
        "search": search_text(content) if document.kind in _PUBLIC else "",
    }


def search_text(content: JsonValue) -> str:
    """The words of a public document that a search looks in, case-folded: databases differ in how they do it."""
    if not isinstance(content, dict):
        return ""
    words: list[str] = []
    for name in _SEARCHED:
        value = content.get(name)
        words.extend(str(item) for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
    # PostgreSQL's text takes no NUL.
    return "\n".join(words).casefold().replace("\0", " ")


def _to_row(row: Row[Any]) -> DocumentRow:
    return DocumentRow(row.hash, row.salt, bytes(row.body), row.kind, row.created_at, row.bound)
