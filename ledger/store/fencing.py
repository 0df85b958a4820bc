"""A database whose writing transactions ask first whether this process may still write.

A process that lost its lease may not know it: it was paused, or its machine was. Whoever takes the lease counts its
token up; every writing transaction of a holder locks the lease's row with the token that it knows, so that either the
transaction ends before the token moves, or it finds another token and writes nothing. One that hangs is ended by the
taker (`ledger.store.leases`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, select

from ledger.errors import UnavailableError
from ledger.store.database import Database
from ledger.store.schema.leases import LEASES

__all__ = ["FencedDatabase", "NotTheWriterError"]

_RETRY_AFTER_S: Final = 1.0


class NotTheWriterError(UnavailableError):
    """Another process that shares the database writes; this one wrote nothing. ``facts`` name that process."""

    code = "not-the-writer"

    def __init__(self, writer: str | None) -> None:
        super().__init__(
            f"this process does not write now, {writer} does: send it there, or again; nothing was taken"
            if writer is not None
            else "this process does not write now, another one does or soon will: send it again; nothing was taken",
            retry_after_s=_RETRY_AFTER_S,
        )
        self.facts = {"writer": writer}


@dataclass(frozen=True, slots=True)
class _Fence:
    """``token`` None: the lease is not this process's."""

    duty: str
    token: int | None


class FencedDatabase(Database):
    """Without a fence (a program that runs while no service does, SQLite's one process) it is a `Database`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.engine = engine
        self._fence: _Fence | None = None
        # What any process may write: nothing that is decided by one alone.
        self.unfenced: Database = self if engine.dialect.name == "sqlite" else Database(engine)

    @property
    def may_write(self) -> bool:
        """Whether, as far as this process knows."""
        return self._fence is None or self._fence.token is not None

    def fence(self, duty: str, token: int | None) -> None:
        """Write from now on only under this token; None: not at all."""
        self._fence = _Fence(duty, token)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As `Database.write`. Raises, besides: NotTheWriterError: nothing was written."""
        is_outermost = getattr(self._here, "connection", None) is None
        fence = self._fence
        if is_outermost and fence is not None and fence.token is None:
            raise NotTheWriterError(None)
        with super().write() as connection:
            if is_outermost and fence is not None:
                self._check(connection, fence)
            yield connection

    def _check(self, connection: Connection, fence: _Fence) -> None:
        own = select(LEASES.c.token).where(LEASES.c.duty == fence.duty, LEASES.c.token == fence.token)
        if connection.scalar(own.with_for_update(read=True, key_share=True)) is None:
            self._fence = _Fence(fence.duty, None)
            raise NotTheWriterError(None)
