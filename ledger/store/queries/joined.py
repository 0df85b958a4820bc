"""What several lists join with: names, documents that may be shown, and how text is looked for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Join, or_

from ledger.canonical import JsonValue, parse_canonical
from ledger.errors import MalformedError
from ledger.store.schema.gateway import DOCUMENT_READERS, DOCUMENTS, PARTICIPANT_HANDLES

__all__ = ["check_choice", "document_of", "documents_as", "handles_as", "join_document", "mentions"]


def handles_as(name: str) -> Any:
    """The table of handles under another name, to be joined more than once."""
    return PARTICIPANT_HANDLES.alias(name)


def documents_as(name: str) -> Any:
    """The table of documents under another name."""
    return DOCUMENTS.alias(name)


def join_document(
    joined: Any, documents: Any, digest: ColumnElement[Any], stater: ColumnElement[Any], kind: str | None = None
) -> Join:
    """Join (outer) with ``documents``, an alias, where the hash is ``digest`` and ``stater`` is one of its readers.

    Hashes are public, so a statement shows a document only where its signer may read it: because it was the first to
    carry it, or got it from who was. ``kind``: only a document of this kind, for what everybody may read.
    """
    readers = DOCUMENT_READERS.alias(f"{documents.name}_readers")
    same = documents.c.hash == readers.c.hash
    if kind is not None:
        same &= documents.c.kind == kind
    joined = joined.outerjoin(readers, (readers.c.hash == digest) & (readers.c.participant == stater))
    found: Join = joined.outerjoin(documents, same)
    return found


def document_of(body: bytes | None) -> JsonValue:
    """A document's parsed body; None where it is not here."""
    return None if body is None else parse_canonical(bytes(body))


def mentions(text: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether one of the (case-folded) columns has ``text`` in it, taken literally."""
    return or_(*(column.contains(text.casefold().replace("\0", " "), autoescape=True) for column in columns))


def check_choice(name: str, value: str | None, *choices: str) -> None:
    """Raise MalformedError unless a filter's value is one of its choices or None."""
    if value is not None and value not in choices:
        raise MalformedError(f"{name} is one of {', '.join(choices)}, not {value[:40]!r}")
