"""Deliveries: what consumers have this gateway fetch from other ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from ledger.store.database import Database
from ledger.store.rows.deliveries import DeliveryRow
from ledger.store.schema.deliveries import DELIVERIES
from ledger.types import Bytes32

__all__ = ["Deliveries"]

_D: Final = DELIVERIES.c
_DUE: Final = ("queued", "waiting")


class Deliveries:
    """Deliveries by id; one for each consumer and version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_or_get(self, row: DeliveryRow) -> DeliveryRow:
        """Record a delivery, or return the one of this version to this consumer that is there."""
        values = {name: getattr(row, name) for name in DeliveryRow.__dataclass_fields__}
        same = (_D.consumer == row.consumer) & (_D.registration == row.registration)
        with self._database.write() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(insert(DELIVERIES).values(**values))
            except IntegrityError:
                return _to_row(connection.execute(select(DELIVERIES).where(same)).one())
        return row

    def find(self, delivery: Bytes32) -> DeliveryRow | None:
        """The delivery with this id."""
        with self._database.read() as connection:
            row = connection.execute(select(DELIVERIES).where(_D.id == delivery)).one_or_none()
        return None if row is None else _to_row(row)

    def list(self, consumer: Bytes32) -> tuple[DeliveryRow, ...]:
        """A consumer's deliveries, the newest first."""
        query = select(DELIVERIES).where(_D.consumer == consumer).order_by(_D.created_at.desc(), _D.id)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(query))

    def list_in(self, *states: str) -> tuple[DeliveryRow, ...]:
        """All deliveries in these states."""
        query = select(DELIVERIES).where(_D.state.in_(states)).order_by(_D.created_at, _D.id)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(query))

    def find_next(self, others: Collection[Bytes32]) -> DeliveryRow | None:
        """The delivery that is to be tried first, but for ``others``; whether it is time yet, ``next_try_at`` says."""
        query = select(DELIVERIES).where(_D.state.in_(_DUE), _D.id.not_in(others)).order_by(_D.next_try_at, _D.id)
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return None if row is None else _to_row(row)

    def change(self, delivery: Bytes32, *, unless: str | None = None, **values: object) -> bool:
        """Set columns of a delivery; whether there is one, in another state than ``unless``."""
        condition = _D.id == delivery
        if unless is not None:
            condition &= _D.state != unless
        with self._database.write() as connection:
            return connection.execute(update(DELIVERIES).where(condition).values(**values)).rowcount > 0

    def reserve(self, delivery: Bytes32, size_bytes: int, most_bytes: int) -> int | None:
        """Reserve disk for a delivery, as long as all of them have at most ``most_bytes``; else return what is left."""
        others = select(func.coalesce(func.sum(DELIVERIES.c.reserved_bytes), 0)).where(_D.id != delivery)
        with self._database.write() as connection:
            left = most_bytes - int(connection.scalar(others) or 0)
            if size_bytes > left:
                return max(left, 0)
            connection.execute(update(DELIVERIES).where(_D.id == delivery).values(reserved_bytes=size_bytes))
        return None

    def drop(self, delivery: Bytes32) -> None:
        """Forget a delivery."""
        with self._database.write() as connection:
            connection.execute(delete(DELIVERIES).where(_D.id == delivery))


def _to_row(row: Row[Any]) -> DeliveryRow:
    return DeliveryRow(**{name: row._mapping[name] for name in DeliveryRow.__dataclass_fields__})
