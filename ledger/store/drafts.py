"""Prepared statements that wait for their signature."""

from __future__ import annotations

from datetime import datetime

from ledger.store.rows import DraftRow
from ledger.types import Bytes32

__all__ = ["Drafts"]


class Drafts:
    """Drafts by digest. Documents and contents are stored before, by their own rooms."""

    def add(self, draft: DraftRow) -> None:
        """Store a draft; the same digest again replaces it."""
        raise NotImplementedError

    def find(self, digest: Bytes32) -> DraftRow | None:
        """The draft with this digest."""
        raise NotImplementedError

    def bind(self, digest: Bytes32) -> DraftRow | None:
        """Its statement was submitted: bind its documents and its content's opening, drop the draft and return it.

        Call it in the transaction that stores the statement. None when there is no such draft.
        """
        raise NotImplementedError

    def drop_expired(self, now: datetime) -> int:
        """Forget drafts past their time; return how many."""
        raise NotImplementedError
