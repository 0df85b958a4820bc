"""How far the chain is folded: what every read answer is as of."""

from __future__ import annotations

from sqlalchemy import Connection, select

from ledger.store.rows import CursorRow
from ledger.store.schema.chain import CURSOR

__all__ = ["read_as_of", "read_cursor"]


def read_cursor(connection: Connection) -> CursorRow | None:
    """The cursor, None before the first block."""
    row = connection.execute(select(CURSOR)).one_or_none()
    return None if row is None else CursorRow(row.block, row.hash, row.time, min(row.final, row.block))


def read_as_of(connection: Connection) -> int:
    """The last block that is folded, 0 before any."""
    return connection.scalar(select(CURSOR.c.block)) or 0
