"""Documents and drafts: what statements commit to by hash, and what waits for a signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger.canonical import JsonValue, parse_canonical
from ledger.types import Bytes32

__all__ = ["DocumentRow", "DraftRow"]


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document: ``hash`` is SHA-256(salt || body), ``body`` its canonical JSON.

    ``kind`` says what it is: profile, metadata, policy, terms, reason, detail, invoice. ``bound``: a submitted
    statement carries its hash.
    """

    hash: Bytes32
    salt: Bytes32
    body: bytes
    kind: str
    created_at: datetime
    bound: bool = False

    @property
    def document(self) -> JsonValue:
        """The parsed body."""
        return parse_canonical(self.body)


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A prepared statement that waits for its signature.

    ``documents`` are the hashes of its documents; ``content_root`` and ``version_salt`` open a registration's
    content hash; ``notes`` are the exchange's own (slug, handle ...).
    """

    digest: Bytes32
    type: str
    message: dict[str, JsonValue]
    documents: tuple[Bytes32, ...]
    created_at: datetime
    expires_at: datetime
    content_root: Bytes32 | None = None
    version_salt: Bytes32 | None = None
    notes: Mapping[str, JsonValue] | None = None
