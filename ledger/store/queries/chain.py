"""The chain as it is folded: effects, history, logs and their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select
from sqlalchemy.engine import Row

from ledger.errors import NotFoundError
from ledger.statements import HistoryKind
from ledger.store.batches import batched
from ledger.store.database import Database
from ledger.store.queries.standing import read_as_of
from ledger.store.queries.statements import checkpoint_of
from ledger.store.rows import CheckpointRow, EffectRow, HistoryRow, LogRow
from ledger.store.schema.chain import CHECKPOINTS, EFFECTS, HISTORY, LOG_CLOSINGS, LOG_ROTATIONS, LOGS
from ledger.types import Bytes32

__all__ = ["Chain"]


class Chain:
    """What the chain says beside participants, data sets, grants and agreements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def as_of_block(self) -> int:
        """The last block that is folded, 0 before any."""
        with self._database.read() as connection:
            return read_as_of(connection)

    def find_effect(self, digest: Bytes32) -> EffectRow | None:
        """The contract event with this statement's digest, whoever relayed it."""
        return self.find_effects([digest]).get(digest)

    def find_effects(self, digests: Sequence[Bytes32]) -> dict[Bytes32, EffectRow]:
        """Those of ``digests`` that are in force."""
        found: dict[Bytes32, EffectRow] = {}
        with self._database.read() as connection:
            for batch in batched(digests):
                for row in connection.execute(select(EFFECTS).where(EFFECTS.c.digest.in_(batch))):
                    values = {name: row._mapping[name] for name in EffectRow.__dataclass_fields__}
                    found[row.digest] = EffectRow(**values)
        return found

    def history(self, first: int = 1, last: int | None = None) -> tuple[HistoryRow, ...]:
        """The registry's history, from record ``first`` to ``last`` (None: to the end)."""
        query = select(HISTORY).where(HISTORY.c.index >= first).order_by(HISTORY.c.index)
        if last is not None:
            query = query.where(HISTORY.c.index <= last)
        with self._database.read() as connection:
            return tuple(_to_record(row) for row in connection.execute(query))

    def history_until(self, head: Bytes32) -> tuple[HistoryRow, ...]:
        """All records from the first to the one whose head this is. Raises: NotFoundError: no record has it."""
        with self._database.read() as connection:
            last = connection.scalar(select(HISTORY.c.index).where(HISTORY.c.head == head))
            if last is None:
                raise NotFoundError(f"no record of the registry's history has the head {head}")
            return self.history(1, last)

    def find_log(self, log: Bytes32) -> LogRow | None:
        """A log."""
        logs = self._logs(LOGS.c.log == log)
        return logs[0] if logs else None

    def list_logs(self) -> tuple[LogRow, ...]:
        """All logs, the oldest first."""
        return self._logs(LOGS.c.log.is_not(None))

    def last_checkpoint(self, log: Bytes32, until: int | None = None) -> CheckpointRow | None:
        """The log's last recorded checkpoint (up to block ``until``)."""
        query = select(CHECKPOINTS).where(CHECKPOINTS.c.log == log).order_by(CHECKPOINTS.c.size.desc())
        return self._checkpoint(query if until is None else query.where(CHECKPOINTS.c.block <= until))

    def find_checkpoint(self, log: Bytes32, size: int) -> CheckpointRow | None:
        """The recorded checkpoint of exactly this size."""
        return self._checkpoint(select(CHECKPOINTS).where(CHECKPOINTS.c.log == log, CHECKPOINTS.c.size == size))

    def first_covering(self, log: Bytes32, index: int) -> CheckpointRow | None:
        """The first recorded checkpoint that covers the entry at ``index``."""
        covering = select(CHECKPOINTS).where(CHECKPOINTS.c.log == log, CHECKPOINTS.c.size > index)
        return self._checkpoint(covering.order_by(CHECKPOINTS.c.size))

    def _checkpoint(self, query: Select[Any]) -> CheckpointRow | None:
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return None if row is None else checkpoint_of(row)

    def _logs(self, condition: ColumnElement[bool]) -> tuple[LogRow, ...]:
        query = select(LOGS).where(condition).order_by(LOGS.c.block, LOGS.c.position)
        with self._database.read() as connection:
            return tuple(_to_log(connection, row) for row in connection.execute(query).all())


def _to_record(row: Row[Any]) -> HistoryRow:
    values = row._mapping
    return HistoryRow(
        index=values["index"],  # Row.index is a method
        kind=HistoryKind(row.kind),
        participant=row.participant,
        detail=row.detail,
        head=row.head,
        block=row.block,
        time=row.time,
    )


def _to_log(connection: Connection, row: Row[Any]) -> LogRow:
    rotations = connection.execute(
        select(LOG_ROTATIONS).where(LOG_ROTATIONS.c.log == row.log).order_by(LOG_ROTATIONS.c.counter)
    ).all()
    closing = connection.execute(select(LOG_CLOSINGS).where(LOG_CLOSINGS.c.log == row.log).limit(1)).one_or_none()
    has_successor = closing is not None and any(closing.successor)
    return LogRow(
        id=row.log,
        participant=row.participant,
        origin=row.origin,
        publisher=rotations[-1].publisher if rotations else row.publisher,
        verifier_keys=(row.verifier_key, *(rotation.verifier_key for rotation in rotations)),
        rotations=len(rotations),
        closed=closing is not None,
        successor=closing.successor if closing is not None and has_successor else None,
        opened_at=row.time,
        block=row.block,
    )
