"""Sealings and their wrapped keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.engine import Row

from ledger.errors import ConflictError, NotFoundError
from ledger.store.database import Database
from ledger.store.rows.sealings import SealingRow, SealingState
from ledger.store.schema.gateway import STATEMENTS
from ledger.store.schema.said import SAID_ERASURES
from ledger.store.schema.sealings import SEALINGS
from ledger.types import Bytes32

__all__ = ["Sealings"]

_S: Final = SEALINGS.c
_UNFINISHED: Final = (SealingState.MAKING, SealingState.SEALED)
_ENDED: Final = (SealingState.REPLACED, SealingState.GIVEN_UP, SealingState.ERASED)


class Sealings:
    """Sealings by id (the key commitment); at most one of a registration is current."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: SealingRow) -> None:
        """Record a sealing that is about to be written.

        Raises:
            ConflictError: the version was erased (code ``version-erased``).
        """
        with self._database.write() as connection:
            if self.is_erased(row.registration):
                raise ConflictError("the version was erased: register the data again", code="version-erased")
            values = {name: getattr(row, name) for name in SealingRow.__dataclass_fields__}
            connection.execute(insert(SEALINGS).values(**values | {"state": row.state.value}))

    def complete(self, sealing: Bytes32, descriptor: bytes) -> None:
        """Record that it is written, whole. Raises: NotFoundError: it was given up or erased meanwhile."""
        self._move(sealing, SealingState.MAKING, state=SealingState.SEALED.value, descriptor=descriptor)

    def announce(self, sealing: Bytes32, statement: Bytes32) -> None:
        """Record which statement is about to enter the log. Raises: NotFoundError: as `complete`."""
        self._move(sealing, SealingState.SEALED, statement=statement)

    def make_current(self, sealing: Bytes32, now: datetime) -> None:
        """Its statement is in the log: it takes the place of the one before, whose key is destroyed.

        Raises:
            NotFoundError: it was given up or erased meanwhile.
        """
        with self._database.write() as connection:
            row = self._find_in(sealing, SealingState.SEALED)
            before = (_S.current_of == row.registration) & (_S.id != sealing)
            connection.execute(update(SEALINGS).where(before).values(**_ending(SealingState.REPLACED, now)))
            values = {"state": SealingState.CURRENT.value, "current_of": row.registration}
            connection.execute(update(SEALINGS).where(_S.id == sealing).values(**values))

    def give_up(self, sealing: Bytes32, now: datetime) -> None:
        """Destroy the key of one that was not stated; nothing changes when it was, or has ended."""
        with self._database.write() as connection:
            unstated = (_S.id == sealing) & _S.state.in_(_UNFINISHED)
            connection.execute(update(SEALINGS).where(unstated).values(**_ending(SealingState.GIVEN_UP, now)))

    def end(self, registration: Bytes32, now: datetime) -> None:
        """Destroy the key of the current sealing of a version; none takes its place. Repeats change nothing."""
        with self._database.write() as connection:
            current = _S.current_of == registration
            connection.execute(update(SEALINGS).where(current).values(**_ending(SealingState.REPLACED, now)))

    def erase(self, registration: Bytes32, now: datetime) -> None:
        """Destroy the keys of all sealings of a version, for good; repeats change nothing."""
        with self._database.write() as connection:
            all_of_it = (_S.registration == registration) & (_S.state != SealingState.ERASED.value)
            connection.execute(update(SEALINGS).where(all_of_it).values(**_ending(SealingState.ERASED, now)))

    def is_erased(self, registration: Bytes32) -> bool:
        """Whether the version was erased, or a sealing of it."""
        said = select(SAID_ERASURES.c.digest).join(STATEMENTS, STATEMENTS.c.digest == SAID_ERASURES.c.digest)
        logged = said.where(SAID_ERASURES.c.registration == registration, STATEMENTS.c.log_index.is_not(None))
        with self._database.read() as connection:
            if connection.execute(logged.limit(1)).first() is not None:
                return True
        return bool(self._list((_S.registration == registration) & (_S.state == SealingState.ERASED.value), limit=1))

    def find(self, sealing: Bytes32) -> SealingRow | None:
        """The sealing with this id."""
        return self._first(_S.id == sealing)

    def find_current(self, registration: Bytes32) -> SealingRow | None:
        """The sealing under which a version is delivered."""
        return self._first(_S.current_of == registration)

    def find_stated(self, statement: Bytes32) -> SealingRow | None:
        """The sealing that a ``Sealing`` states, one that has ended too."""
        return self._first(_S.statement == statement)

    def is_current(self, sealing: Bytes32) -> bool:
        """Whether its version is delivered under it now."""
        query = select(_S.state).where(_S.id == sealing)
        with self._database.read() as connection:
            return connection.scalar(query) == SealingState.CURRENT.value

    def list_unfinished(self, registration: Bytes32 | None = None) -> tuple[SealingRow, ...]:
        """Those that were being made, of all versions or of one, the oldest first."""
        unfinished = _S.state.in_(_UNFINISHED)
        return self._list(unfinished if registration is None else unfinished & (_S.registration == registration))

    def list_current(self) -> tuple[SealingRow, ...]:
        """Those under which versions are delivered."""
        return self._list(_S.current_of.is_not(None))

    def list_unremoved(self) -> tuple[SealingRow, ...]:
        """Those that have ended and whose objects may still be there."""
        return self._list(_S.state.in_(_ENDED) & _S.removed_at.is_(None))

    def mark_removed(self, sealing: Bytes32, now: datetime) -> None:
        """Record that no object of it is left."""
        with self._database.write() as connection:
            connection.execute(update(SEALINGS).where(_S.id == sealing).values(removed_at=now))

    def list_wrapped_otherwise(self, kek: str, limit: int) -> Sequence[tuple[Bytes32, str]]:
        """Keys that another key than ``kek`` wrapped: of which sealing, by which."""
        query = select(_S.id, _S.kek).where(_S.wrapped_key.is_not(None), _S.kek != kek)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_S.id).limit(limit))
            return tuple((row.id, str(row.kek)) for row in rows)

    def rewrap(self, sealing: Bytes32, old: str, kek: str, wrapped_key: bytes) -> None:
        """Put the key wrapped anew in the place of the one that ``old`` wrapped; nothing changes when that is gone."""
        with self._database.write() as connection:
            same = (_S.id == sealing) & (_S.kek == old) & _S.wrapped_key.is_not(None)
            connection.execute(update(SEALINGS).where(same).values(kek=kek, wrapped_key=wrapped_key))

    def _move(self, sealing: Bytes32, expected: SealingState, **values: object) -> None:
        with self._database.write() as connection:
            self._find_in(sealing, expected)
            connection.execute(update(SEALINGS).where(_S.id == sealing).values(**values))

    def _find_in(self, sealing: Bytes32, state: SealingState) -> SealingRow:
        row = self._first((_S.id == sealing) & (_S.state == state.value))
        if row is None:
            raise NotFoundError(f"the sealing {sealing} was given up or erased meanwhile")
        return row

    def _first(self, condition: ColumnElement[bool]) -> SealingRow | None:
        return next(iter(self._list(condition, limit=1)), None)

    def _list(self, condition: ColumnElement[bool], limit: int | None = None) -> tuple[SealingRow, ...]:
        query = select(SEALINGS).where(condition).order_by(_S.created_at, _S.id).limit(limit)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(query))


def _ending(state: SealingState, now: datetime) -> dict[str, Any]:
    """The key goes with whatever ends a sealing."""
    return {"state": state.value, "current_of": None, "wrapped_key": None, "kek": None, "ended_at": now}


def _to_row(row: Row[Any]) -> SealingRow:
    values = {name: row._mapping[name] for name in SealingRow.__dataclass_fields__}
    values["state"] = SealingState(row.state)
    for name in ("wrapped_key", "descriptor"):
        values[name] = None if values[name] is None else bytes(values[name])
    return SealingRow(**values)
