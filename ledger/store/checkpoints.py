"""Every checkpoint that was signed; the largest of a log is its last: ``ledger.log.CheckpointStore`` in SQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from ledger.log import Checkpoint
from ledger.store.database import Database
from ledger.store.schema.gateway import SIGNED_CHECKPOINTS

__all__ = ["Checkpoints"]

_C = SIGNED_CHECKPOINTS.c
# Any number that no other use of hashed advisory locks on the same PostgreSQL server has.
_SEED: Final = 0x636B7074
_LONGEST_WAIT_MS: Final = 5_000


class Checkpoints:
    """Implements ``ledger.log.CheckpointStore`` (see there), and keeps what receipts are under."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._here = threading.local()

    @contextmanager
    def together(self, store: Callable[[Checkpoint], None]) -> Iterator[None]:
        """Let each checkpoint that this thread swaps in within the block commit with what ``store`` writes, or neither.

        ``store`` is called with the new checkpoint, in its transaction.
        """
        self._here.store = store
        try:
            yield
        finally:
            del self._here.store

    def load(self, origin: str) -> Checkpoint | None:
        """Return the log's last checkpoint, None where there is none. Raises: UnavailableError."""
        query = select(_C.text).where(_C.origin == origin).order_by(_C.size.desc()).limit(1)
        with self._database.read() as connection:
            text = connection.scalar(query)
        return None if text is None else Checkpoint.parse(text)

    def load_settled(self, origin: str) -> Checkpoint | None:
        """As `load`, once every swap that is under way has ended, also one whose connection broke.

        Raises:
            UnavailableError: one still goes on after five seconds, or as `load`.
        """
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.set_config("lock_timeout", str(_LONGEST_WAIT_MS), True)))
            _take_turn(connection, origin)
            return self.load(origin)

    def find(self, origin: str, size: int) -> Checkpoint | None:
        """Return the log's checkpoint of ``size``, None where none was signed. Raises: UnavailableError."""
        with self._database.read() as connection:
            text = connection.scalar(select(_C.text).where(_C.origin == origin, _C.size == size))
        return None if text is None else Checkpoint.parse(text)

    def compare_and_swap(
        self, expected: Checkpoint | None, new: Checkpoint, once: Callable[[], object] | None = None
    ) -> bool:
        """Make ``new`` the log's last checkpoint if ``expected`` is now, durably; False changes nothing.

        Of two writers that extend the same checkpoint the database lets one win. ``once`` is called last, before the
        transaction commits: where it raises, nothing is changed.

        Raises:
            UnavailableError: it may have happened all the same: load and see.
        """
        previous = None if expected is None else expected.size
        row = {"origin": new.origin, "size": new.size, "previous_size": previous, "text": new.text}
        with self._database.write() as connection:
            _take_turn(connection, new.origin)
            if self.load(new.origin) != expected:
                return False
            try:
                with connection.begin_nested():
                    connection.execute(insert(SIGNED_CHECKPOINTS).values(row))
            except IntegrityError:
                return False
            store: Callable[[Checkpoint], None] | None = getattr(self._here, "store", None)
            if store is not None:
                store(new)
            if once is not None:
                once()
            return True


def _take_turn(connection: Connection, origin: str) -> None:
    """Wait until no other swap of the log is under way, and keep others waiting until this transaction has ended.

    SQLite's writing transactions do that anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(origin, _SEED))))
