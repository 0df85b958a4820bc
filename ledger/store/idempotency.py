"""Idempotency keys: the same request again gets the same answer."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ledger.canonical import JsonValue
from ledger.errors import NotFoundError, RefusedError
from ledger.store.database import Database
from ledger.store.rows import IdempotencyRow
from ledger.store.schema.gateway import IDEMPOTENCY

__all__ = ["Idempotency"]


class Idempotency:
    """Requests by (API key id, idempotency key)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert_or_get(self, api_key: str, key: str, body_hash: bytes, now: datetime) -> IdempotencyRow | None:
        """Claim a key: None when it is new, else the row of the request that claimed it.

        Raises:
            RefusedError: it was used with another body (code ``idempotency-key-reused``).
        """
        with self._database.write() as connection:
            claim = {"api_key": api_key, "key": key, "body_hash": body_hash, "created_at": now}
            try:
                with connection.begin_nested():
                    connection.execute(insert(IDEMPOTENCY).values(**claim))
            except IntegrityError:
                row = connection.execute(select(IDEMPOTENCY).where(_is(api_key, key))).one()
            else:
                return None
        if not hmac.compare_digest(bytes(row.body_hash), body_hash):
            raise RefusedError(
                "this Idempotency-Key was used with another body: take a new key for a new request",
                code="idempotency-key-reused",
            )
        return IdempotencyRow(row.api_key, row.key, bytes(row.body_hash), row.response, row.created_at)

    def answer(self, api_key: str, key: str, response: Mapping[str, JsonValue]) -> None:
        """Record the answer to give again. Raises: NotFoundError: nobody claimed the key."""
        with self._database.write() as connection:
            record = update(IDEMPOTENCY).where(_is(api_key, key)).values(response=dict(response))
            if connection.execute(record).rowcount == 0:
                raise NotFoundError("no request claimed this Idempotency-Key")

    def release(self, api_key: str, key: str) -> None:
        """Forget a claim without an answer (the request failed and may be tried again)."""
        with self._database.write() as connection:
            connection.execute(delete(IDEMPOTENCY).where(_is(api_key, key), IDEMPOTENCY.c.response.is_(None)))

    def drop_older(self, before: datetime) -> int:
        """Forget keys claimed before ``before``; return how many."""
        with self._database.write() as connection:
            return connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_at < before)).rowcount


def _is(api_key: str, key: str) -> ColumnElement[bool]:
    return (IDEMPOTENCY.c.api_key == api_key) & (IDEMPOTENCY.c.key == key)
