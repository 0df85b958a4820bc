"""The chain as it is folded: effects, history, logs and their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.store.rows import CheckpointRow, EffectRow, HistoryRow, LogRow
from ledger.types import Bytes32

__all__ = ["Chain"]


class Chain:
    """What the chain says beside participants, data sets, grants and agreements."""

    def as_of_block(self) -> int:
        """The last block that is folded, 0 before any."""
        raise NotImplementedError

    def find_effect(self, digest: Bytes32) -> EffectRow | None:
        """The contract event with this statement's digest, whoever relayed it."""
        raise NotImplementedError

    def find_effects(self, digests: Sequence[Bytes32]) -> dict[Bytes32, EffectRow]:
        """Those of ``digests`` that are in force."""
        raise NotImplementedError

    def history(self, first: int = 1, last: int | None = None) -> tuple[HistoryRow, ...]:
        """The registry's history, from record ``first`` to ``last`` (None: to the end)."""
        raise NotImplementedError

    def history_until(self, head: Bytes32) -> tuple[HistoryRow, ...]:
        """All records from the first to the one whose head this is. Raises: NotFoundError: no record has it."""
        raise NotImplementedError

    def find_log(self, log: Bytes32) -> LogRow | None:
        """A log."""
        raise NotImplementedError

    def list_logs(self) -> tuple[LogRow, ...]:
        """All logs, the oldest first."""
        raise NotImplementedError

    def last_checkpoint(self, log: Bytes32) -> CheckpointRow | None:
        """The log's last recorded checkpoint."""
        raise NotImplementedError

    def find_checkpoint(self, log: Bytes32, size: int) -> CheckpointRow | None:
        """The recorded checkpoint of exactly this size."""
        raise NotImplementedError

    def first_covering(self, log: Bytes32, index: int) -> CheckpointRow | None:
        """The first recorded checkpoint that covers the entry at ``index``."""
        raise NotImplementedError
