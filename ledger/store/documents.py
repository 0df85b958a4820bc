"""Documents that statements commit to by salted hash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ledger.store.rows import DocumentRow
from ledger.types import Bytes32

__all__ = ["Documents"]


class Documents:
    """Documents by hash. What no submitted statement carries is dropped after a day."""

    def add(self, documents: Sequence[DocumentRow]) -> None:
        """Store documents; one that is there already stays (bound if either is).

        Raises:
            VerificationError: a hash is not SHA-256(salt || body).
        """
        raise NotImplementedError

    def bind(self, hashes: Iterable[Bytes32]) -> None:
        """A submitted statement carries them: keep them. Unknown ones are skipped."""
        raise NotImplementedError

    def find(self, digest: Bytes32) -> DocumentRow | None:
        """The document with this hash."""
        raise NotImplementedError

    def find_many(self, hashes: Iterable[Bytes32]) -> dict[Bytes32, DocumentRow]:
        """Those of ``hashes`` that are stored."""
        raise NotImplementedError

    def parties(self, digest: Bytes32) -> frozenset[Bytes32]:
        """Who may read a bound document: the parties of the statements that carry its hash."""
        raise NotImplementedError

    def is_public(self, digest: Bytes32) -> bool:
        """Whether every participant may read it: a bound profile or a bound data set's metadata."""
        raise NotImplementedError

    def drop_unbound(self, before: datetime) -> int:
        """Forget documents that were never bound and are older than ``before``; return how many."""
        raise NotImplementedError
