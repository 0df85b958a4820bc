"""API keys, hashed at rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Row

from ledger.errors import ConflictError, NotFoundError
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.queries.standing import read_as_of
from ledger.store.rows import ApiKeyRow, RowPage
from ledger.store.schema.gateway import API_KEYS
from ledger.types import Bytes32

__all__ = ["ApiKeys"]

_USE_GRAIN: Final = timedelta(minutes=1)


class ApiKeys:
    """API keys by id. Whether one is expired or revoked is for the caller to judge by its row and clock."""

    def __init__(self, database: Database, cursors: Cursors, unfenced: Database | None = None) -> None:
        """``unfenced`` is written by every process that shares the database: when a key was used."""
        self._database = database
        self._unfenced = database if unfenced is None else unfenced
        self._cursors = cursors

    def add(self, key: ApiKeyRow) -> None:
        """Store a key.

        Raises:
            ConflictError: the id is taken (code ``api-key-taken``), or its maker is revoked (``api-key-ended``).
        """
        with self._database.write() as connection:
            if self.find(key.id) is not None:
                raise ConflictError(f"there is an API key {key.id} already: draw another id", code="api-key-taken")
            maker = connection.execute(select(API_KEYS).where(API_KEYS.c.id == key.maker).with_for_update())
            if any(row.revoked_at is not None for row in maker):
                raise ConflictError("this API key is revoked: it makes no others", code="api-key-ended")
            connection.execute(insert(API_KEYS).values(**_to_values(key)))

    def find(self, key_id: str) -> ApiKeyRow | None:
        """The key with this id, also when it is expired or revoked."""
        with self._database.read() as connection:
            row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == key_id)).one_or_none()
        return None if row is None else _to_row(row)

    def bind(self, key_id: str, participant: Bytes32, scopes: frozenset[str]) -> None:
        """Bind a key to the participant whose application it filed.

        Raises:
            NotFoundError: no such key.
            ConflictError: bound to another participant (code ``api-key-bound``).
        """
        with self._database.write() as connection:
            key = self._get(key_id)
            if key.participant not in {None, participant}:
                raise ConflictError(f"the API key {key_id} belongs to another participant", code="api-key-bound")
            values = {"participant": participant, "scopes": sorted(scopes)}
            connection.execute(update(API_KEYS).where(API_KEYS.c.id == key_id).values(**values))

    def revoke(self, key_id: str, now: datetime) -> None:
        """End a key and its heirs; a second time changes nothing. Raises: NotFoundError.

        Its heirs are those that it, or an heir of it, made for its own participant or with scope operate. Keys that
        an operator handed to others are theirs, and stand.
        """
        with self._database.write() as connection:
            ended, waiting = {key_id}, [self._get(key_id)]
            while waiting:
                key = waiting.pop()
                end = update(API_KEYS).where(API_KEYS.c.id == key.id, API_KEYS.c.revoked_at.is_(None))
                connection.execute(end.values(revoked_at=now))
                made = [_to_row(row) for row in connection.execute(select(API_KEYS).where(API_KEYS.c.maker == key.id))]
                waiting += [each for each in made if each.id not in ended and _is_heir(each, key)]
                ended |= {each.id for each in made}

    def mark_used(self, key_id: str, now: datetime) -> None:
        """Remember the time of its last use, to the minute (each request would be a write otherwise)."""
        key = self.find(key_id)
        if key is None or (key.last_used_at is not None and now - key.last_used_at < _USE_GRAIN):
            return
        with self._unfenced.write() as connection:
            connection.execute(update(API_KEYS).where(API_KEYS.c.id == key_id).values(last_used_at=now))

    def list(
        self, *, participant: Bytes32 | None = None, limit: int = 50, cursor: str | None = None
    ) -> RowPage[ApiKeyRow]:
        """Keys of a participant (None: all), newest first. Raises: MalformedError: the cursor is not of this list."""
        keys = (API_KEYS.c.created_at, API_KEYS.c.id)
        window = Window(self._cursors, "api-keys", {"participant": participant}, limit, cursor, keys)
        query = select(API_KEYS)
        if participant is not None:
            query = query.where(API_KEYS.c.participant == participant)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(window.apply(query)).all())
            return RowPage(tuple(_to_row(row) for row in rows), following, read_as_of(connection))

    def count(self) -> int:
        """How many keys there are, revoked ones included."""
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).select_from(API_KEYS)) or 0

    def _get(self, key_id: str) -> ApiKeyRow:
        key = self.find(key_id)
        if key is None:
            raise NotFoundError(f"there is no API key {key_id}")
        return key


def _is_heir(key: ApiKeyRow, maker: ApiKeyRow) -> bool:
    is_own = key.participant is not None and key.participant == maker.participant
    return is_own or "operate" in key.scopes


def _to_values(key: ApiKeyRow) -> dict[str, Any]:
    return {
        "id": key.id,
        "secret_hash": key.secret_hash,
        "participant": key.participant,
        "scopes": sorted(key.scopes),
        "label": key.label,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
        "maker": key.maker,
    }


def _to_row(row: Row[Any]) -> ApiKeyRow:
    return ApiKeyRow(
        id=row.id,
        secret_hash=bytes(row.secret_hash),
        participant=row.participant,
        scopes=frozenset(row.scopes),
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        maker=row.maker,
    )
