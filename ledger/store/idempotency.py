"""Idempotency keys: the same request again gets the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.store.rows import IdempotencyRow

__all__ = ["Idempotency"]


class Idempotency:
    """Requests by (API key id, idempotency key)."""

    def insert_or_get(self, api_key: str, key: str, body_hash: bytes, now: datetime) -> IdempotencyRow | None:
        """Claim a key: None when it is new, else the row of the request that claimed it.

        Raises:
            RefusedError: it was used with another body (code ``idempotency-key-reused``).
        """
        raise NotImplementedError

    def answer(self, api_key: str, key: str, response: Mapping[str, JsonValue]) -> None:
        """Record the answer to give again. Raises: NotFoundError: nobody claimed the key."""
        raise NotImplementedError

    def release(self, api_key: str, key: str) -> None:
        """Forget a claim without an answer (the request failed and may be tried again)."""
        raise NotImplementedError

    def drop_older(self, before: datetime) -> int:
        """Forget keys claimed before ``before``; return how many."""
        raise NotImplementedError
