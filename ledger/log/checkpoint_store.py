"""What the sequencer asks of a database: the one row that decides which checkpoint is a log's last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ledger.log.checkpoint import Checkpoint

__all__ = ["CheckpointStore"]


class CheckpointStore(Protocol):
    """One durable row for each origin: the last checkpoint, unsigned (keep `Checkpoint.text`, read `Checkpoint.parse`).

    Each call may raise ``UnavailableError``. A swap that raised may have happened all the same, or happen yet: the
    sequencer asks `load_settled` before it goes on.
    """

    def load(self, origin: str) -> Checkpoint | None:
        """Return the log's row, None where there is none."""
        ...

    def load_settled(self, origin: str) -> Checkpoint | None:
        """Return the log's row once no swap is under way: what it does not show has not happened and never will.

        A database may carry out a commit long after whoever asked for it was cut off.
        """
        ...

    def compare_and_swap(
        self, expected: Checkpoint | None, new: Checkpoint, once: Callable[[], object] | None = None
    ) -> bool:
        """Replace the row of ``new.origin`` if it equals ``expected`` (None: no row yet), in one durable transaction.

        ``once`` returns when what ``new`` covers is on the disk: it is called last, before the transaction commits,
        and where it raises nothing is changed.

        Returns False, and changes nothing, where the row is another one. True only once the row would survive a
        power cut.
        """
        ...
