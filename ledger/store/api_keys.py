"""API keys, hashed at rest."""

from __future__ import annotations

from datetime import datetime

from ledger.store.rows import ApiKeyRow, RowPage
from ledger.types import Bytes32

__all__ = ["ApiKeys"]


class ApiKeys:
    """API keys by id. Whether one is expired or revoked is for the caller to judge by its row and clock."""

    def add(self, key: ApiKeyRow) -> None:
        """Store a key. Raises: ConflictError: the id is taken (code ``api-key-taken``)."""
        raise NotImplementedError

    def find(self, key_id: str) -> ApiKeyRow | None:
        """The key with this id, also when it is expired or revoked."""
        raise NotImplementedError

    def bind(self, key_id: str, participant: Bytes32, scopes: frozenset[str]) -> None:
        """Bind a key to the participant whose application it filed. Raises: NotFoundError; ConflictError: bound to
        another participant (code ``api-key-bound``)."""
        raise NotImplementedError

    def revoke(self, key_id: str, now: datetime) -> None:
        """End a key; a second time changes nothing. Raises: NotFoundError."""
        raise NotImplementedError

    def mark_used(self, key_id: str, now: datetime) -> None:
        """Remember the time of its last use, to the minute."""
        raise NotImplementedError

    def list(
        self, *, participant: Bytes32 | None = None, limit: int = 50, cursor: str | None = None
    ) -> RowPage[ApiKeyRow]:
        """Keys of a participant (None: all), newest first. Raises: MalformedError: the cursor is not of this list."""
        raise NotImplementedError

    def count(self) -> int:
        """How many keys there are, revoked ones included."""
        raise NotImplementedError
