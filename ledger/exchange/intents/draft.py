"""A statement in the making: who states, what is known, and the documents that it will commit to."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, hash_document
from ledger.content import Manifest
from ledger.errors import ConflictError, MalformedError, RefusedError
from ledger.exchange.directory import Directory
from ledger.exchange.intents.intent import Intent
from ledger.statements import Statement
from ledger.surface.outcomes import SaltedDocument
from ledger.types import Address, Bytes32

__all__ = ["Draft", "draw_salt"]

_MAX_DEADLINE_S: Final = 30 * 24 * 3600
_MAX_DOCUMENT_BYTES: Final = 1 << 20


def draw_salt() -> Bytes32:
    """32 random bytes."""
    return Bytes32(secrets.token_bytes(32))


@dataclass
class Draft:
    """What a builder works with.

    Attributes:
        participant: who states.
        directory: names, versions, counters and texts as of the final head.
        now_s: the present, UTC seconds.
        draw_key: draws a custodial key, which waits until the statement is submitted.
        documents: those that were attached so far.
        content: manifest, chunk hashes and salt of a registration.
        notes: names that the statement gives: ``handle`` or ``slug``.
    """

    participant: Bytes32
    directory: Directory
    now_s: int
    draw_key: Callable[[], Address]
    documents: list[SaltedDocument] = field(default_factory=list)
    content: PreparedContent | None = None
    notes: dict[str, JsonValue] = field(default_factory=dict)

    def attach(self, document: JsonValue) -> Bytes32:
        """Salt and keep a document; its hash is what the statement carries. Raises: MalformedError: too large."""
        if len(encode_canonical(document)) > _MAX_DOCUMENT_BYTES:
            raise MalformedError(f"a document has at most {_MAX_DOCUMENT_BYTES} bytes of JSON")
        salt = draw_salt()
        return self.keep(SaltedDocument(hash_document(salt, document), salt, document))

    def keep(self, document: SaltedDocument) -> Bytes32:
        """Attach a document that was salted before: the same hash again."""
        self.documents.append(document)
        return document.hash

    def dataset_salt(self, name: str) -> Bytes32:
        """The salt of a dataset that is the participant's own. Raises: NotFoundError, RefusedError, ConflictError."""
        dataset = self.directory.dataset(name)
        if dataset.provider != self.participant:
            raise RefusedError(
                "the dataset is another provider's", code="not-provider", facts={"provider": str(dataset.provider)}
            )
        if dataset.salt is None:
            raise ConflictError(
                "the dataset's salt is not known here: state it through the gateway that took its registration",
                code="salt-unknown",
            )
        return dataset.salt

    def build(self, intent: Intent, *, salt: Bytes32 | None = None, **members: object) -> Statement:
        """The statement of ``intent``'s type, with participant, deadline and salt filled in. Raises: MalformedError."""
        if not 1 <= intent.deadline_s <= _MAX_DEADLINE_S:
            raise MalformedError(f"deadline_s is from 1 to {_MAX_DEADLINE_S} seconds from now")
        return Statement.build(
            intent.statement_type,
            participant=self.participant,
            deadline=self.now_s + intent.deadline_s,
            salt=salt or draw_salt(),
            **members,
        )


@dataclass(frozen=True)
class PreparedContent:
    """What opens a registration's content hash, kept by the gateway and served to who may have the data."""

    manifest: Manifest
    chunks: bytes | None
    version_salt: Bytes32
