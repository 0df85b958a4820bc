"""The one row that decides which checkpoint is a log's last: ``ledger.log.CheckpointStore`` in SQL."""

from __future__ import annotations

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from ledger.log import Checkpoint
from ledger.store.database import Database
from ledger.store.schema.gateway import SIGNED_CHECKPOINTS

__all__ = ["Checkpoints"]


class Checkpoints:
    """Implements ``ledger.log.CheckpointStore``; see there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, origin: str) -> Checkpoint | None:
        """Return the log's row, None where there is none. Raises: UnavailableError."""
        with self._database.read() as connection:
            text = connection.scalar(select(SIGNED_CHECKPOINTS.c.text).where(SIGNED_CHECKPOINTS.c.origin == origin))
        return None if text is None else Checkpoint.parse(text)

    def compare_and_swap(self, expected: Checkpoint | None, new: Checkpoint) -> bool:
        """Replace the row of ``new.origin`` if it equals ``expected``, durably; False changes nothing.

        Raises:
            UnavailableError: it may have happened all the same: load and see.
        """
        rows = SIGNED_CHECKPOINTS
        with self._database.write() as connection:
            if expected is None:
                try:
                    with connection.begin_nested():
                        connection.execute(insert(rows).values(origin=new.origin, text=new.text))
                except IntegrityError:
                    return False
                return True
            swap = update(rows).where(rows.c.origin == new.origin, rows.c.text == expected.text).values(text=new.text)
            return connection.execute(swap).rowcount == 1
