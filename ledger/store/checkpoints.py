"""The one row that decides which checkpoint is a log's last: ``ledger.log.CheckpointStore`` in SQL."""

from __future__ import annotations

from ledger.log import Checkpoint

__all__ = ["Checkpoints"]


class Checkpoints:
    """Implements ``ledger.log.CheckpointStore``; see there."""

    def load(self, origin: str) -> Checkpoint | None:
        """Return the log's row, None where there is none. Raises: UnavailableError."""
        raise NotImplementedError

    def compare_and_swap(self, expected: Checkpoint | None, new: Checkpoint) -> bool:
        """Replace the row of ``new.origin`` if it equals ``expected``, durably; False changes nothing.

        Raises:
            UnavailableError: it may have happened all the same: load and see.
        """
        raise NotImplementedError
