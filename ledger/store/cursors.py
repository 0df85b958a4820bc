"""Keyset cursors: opaque to clients, bound to one list and its filters, refused when changed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.engine import Row

from ledger.errors import MalformedError

__all__ = ["MAX_LIMIT", "Cursors", "Window"]

MAX_LIMIT: Final = 200
_MAC_BYTES: Final = 16
_REFUSED: Final = "the cursor is not one of this list with these filters: begin again without it"


class Cursors:
    """Writes and reads cursors; the key lies in the database, so that every process of a gateway reads them."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, name: str, filters: Mapping[str, object], position: Sequence[int | str]) -> str:
        """Write the cursor of a position in a list."""
        body = json.dumps(list(position), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(name, filters, body) + body).decode().rstrip("=")

    def decode(self, name: str, filters: Mapping[str, object], cursor: str) -> list[Any]:
        """Read a cursor. Raises: MalformedError: changed, or of another list or other filters."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise MalformedError(_REFUSED) from error
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(name, filters, body)):
            raise MalformedError(_REFUSED)
        position = json.loads(body)
        if self.encode(name, filters, position) != cursor:
            raise MalformedError(_REFUSED)
        return list(position)

    def _mac(self, name: str, filters: Mapping[str, object], body: bytes) -> bytes:
        told = json.dumps([name, sorted((key, _tell(value)) for key, value in filters.items())]).encode()
        return hmac.digest(self._key, hashlib.sha256(told).digest() + body, "sha256")[:_MAC_BYTES]


def _tell(value: object) -> str | None:
    if isinstance(value, datetime):
        return str(value.timestamp())
    return None if value is None else str(value)


@dataclass(frozen=True)
class Window:
    """One page of a list: newest first by ``keys``, columns that together are unique and never change.

    Key columns hold whole numbers, bytes, texts or moments.
    """

    cursors: Cursors
    name: str
    filters: Mapping[str, object]
    limit: int
    cursor: str | None
    keys: tuple[ColumnElement[Any], ...]

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Restrict ``query`` to this page and one row more. Raises: MalformedError: the limit or the cursor."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise MalformedError(f"a page has 1 to {MAX_LIMIT} items, not {self.limit}")
        if self.cursor is not None:
            position = [_load(item) for item in self.cursors.decode(self.name, self.filters, self.cursor)]
            query = query.where(_before(self.keys, position))
        named = [key.label(f"_key{index}") for index, key in enumerate(self.keys)]
        return query.add_columns(*named).order_by(*(key.desc() for key in self.keys)).limit(self.limit + 1)

    def split(self, rows: Sequence[Row[Any]]) -> tuple[Sequence[Row[Any]], str | None]:
        """The rows of the page, and the cursor of the next."""
        if len(rows) <= self.limit:
            return rows, None
        page = rows[: self.limit]
        last = page[-1]._mapping
        position = [_dump(last[f"_key{index}"]) for index in range(len(self.keys))]
        return page, self.cursors.encode(self.name, self.filters, position)


def _dump(value: object) -> int | str:
    if isinstance(value, bytes):
        return "b" + value.hex()
    if isinstance(value, datetime):
        return "m" + value.isoformat()
    if isinstance(value, str):
        return "s" + value
    if isinstance(value, int):
        return value
    raise TypeError(f"a list can not be ordered by a {type(value).__name__}")


def _load(value: int | str) -> object:
    if isinstance(value, int):
        return value
    kind, text = value[0], value[1:]
    if kind == "b":
        return bytes.fromhex(text)
    return datetime.fromisoformat(text) if kind == "m" else text


def _before(keys: tuple[ColumnElement[Any], ...], position: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes after ``position`` in descending order, written so that an index on the first key serves."""
    alternatives = [
        and_(*(keys[earlier] == position[earlier] for earlier in range(index)), key < position[index])
        for index, key in enumerate(keys)
    ]
    return and_(keys[0] <= position[0], or_(*alternatives))
