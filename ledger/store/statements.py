"""Statements beside the log: what was said, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.store.rows import NewStatement, RowPage, StatementRow
from ledger.types import Bytes32

__all__ = ["Statements"]


class Statements:
    """Statements that this gateway took. Two ways in: `accept` at once, or `stage` before and `accept_staged` after.

    Staging first means that a crash never leaves an entry in the log whose statement is nowhere: after a restart
    look up `list_staged`, compare with the log's end, and accept or append them.
    """

    def stage(self, statements: Sequence[NewStatement]) -> frozenset[Bytes32]:
        """Store statements that are about to enter the log, all or none; return the digests that were new.

        A digest that is stored already is left as it is (the first occurrence counts).
        """
        raise NotImplementedError

    def accept_staged(self, log: Bytes32, indices: Mapping[Bytes32, int], checkpoint_size: int) -> None:
        """Give staged statements their log index, and the size of the signed checkpoint of their batch; all or none.

        Raises:
            NotFoundError: a digest is not stored.
            ConflictError: a digest has another index already, or an index another digest (code ``log-index-taken``).
        """
        raise NotImplementedError

    def accept(
        self, log: Bytes32, statements: Sequence[NewStatement], first_index: int, checkpoint_size: int
    ) -> frozenset[Bytes32]:
        """`stage` and `accept_staged` in one transaction, for statements that stand at consecutive indices.

        Raises:
            ConflictError: as `accept_staged`.
        """
        raise NotImplementedError

    def list_staged(self) -> tuple[StatementRow, ...]:
        """Statements that have no log index yet, in order of arrival."""
        raise NotImplementedError

    def list_submittable(self, limit: int = 64) -> tuple[StatementRow, ...]:
        """Accepted executable statements, oldest first, with neither effect nor refusal nor outbox row."""
        raise NotImplementedError

    def discard_staged(self, digests: Sequence[Bytes32]) -> None:
        """Forget staged statements whose append failed for good; accepted ones are never discarded."""
        raise NotImplementedError

    def refuse(self, digest: Bytes32, refusal: Mapping[str, JsonValue]) -> None:
        """Record why no contract will execute it (``{"code", "detail", "facts"}``). An effect on chain outranks it.

        Raises:
            NotFoundError: no such statement.
        """
        raise NotImplementedError

    def find(self, digest: Bytes32) -> StatementRow | None:
        """The statement with this digest, None when it did not come through this gateway."""
        raise NotImplementedError

    def find_many(self, digests: Sequence[Bytes32]) -> dict[Bytes32, StatementRow]:
        """Those of ``digests`` that are stored."""
        raise NotImplementedError

    def find_by_index(self, log: Bytes32, index: int) -> StatementRow | None:
        """The statement at a log index."""
        raise NotImplementedError

    def parties(self, digest: Bytes32) -> frozenset[Bytes32]:
        """Who may read it: its signer and everyone it names. An AccessRevocation's or AgreementAcceptance's parties
        (which it names only by digest) are those of what it is about, as far as that is known here."""
        raise NotImplementedError

    def list(
        self,
        *,
        participant: Bytes32 | None = None,
        type_name: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[StatementRow]:
        """Accepted statements that ``participant`` may read (None: all), of a type, received at ``since`` or later.

        Raises:
            MalformedError: the cursor is not one of this list with these filters.
        """
        raise NotImplementedError

    def oldest_unanchored(self, log: Bytes32) -> datetime | None:
        """When the oldest accepted statement arrived that no checkpoint on chain covers; None: all are covered."""
        raise NotImplementedError
