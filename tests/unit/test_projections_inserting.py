"""Rows inserted past SQLAlchemy are those that it would insert."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Connection, Table, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ledger.store.columns import AddressBytes, DigestBytes, Seconds, Uint64, Uint256
from ledger.store.projections.inserting import _PLAIN, insert_rows
from ledger.store.schema.chain import AGREEMENT_MOVES, BLOCKS, FACTS
from tests.support.store_world import account, open_world, word

_SAMPLES: dict[type[Any], Any] = {
    DigestBytes: word("a"),
    AddressBytes: account("a"),
    Uint64: 2**64 - 1,
    Uint256: 2**256 - 1,
    Seconds: datetime(2026, 11, 21, 12, 0, 7, tzinfo=UTC),
    Boolean: True,
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_world(tmp_path_factory.mktemp("rows")) as world, world.store._database.write() as opened:
        yield opened


def sample(column: Column[Any]) -> Any:
    kind = type(column.type)
    return _SAMPLES.get(kind, "text" if column.type.python_type is str else 7)


@pytest.mark.parametrize("table", [*FACTS, BLOCKS], ids=lambda table: table.name)
def test_every_table_is_filled_as_by_sqlalchemy(connection: Connection, table: Table) -> None:
    rows = [{column.name: sample(column) for column in table.c}]
    connection.execute(insert(table), rows)
    expected = connection.execute(select(table)).all()
    connection.execute(delete(table))
    insert_rows(connection, table, rows)
    assert connection.execute(select(table)).all() == expected
    connection.execute(delete(table))


def test_what_is_not_plain_goes_the_other_way(connection: Connection) -> None:
    row = {column.name: sample(column) for column in AGREEMENT_MOVES.c}
    insert_rows(connection, AGREEMENT_MOVES, [row | {"proposal": None}, row | {"digest": word("b")}])
    insert_rows(connection, AGREEMENT_MOVES, [])
    found = connection.scalars(select(AGREEMENT_MOVES.c.proposal).order_by(AGREEMENT_MOVES.c.digest)).all()
    assert sorted(found, key=str) == sorted([None, row["proposal"]], key=str)
    with pytest.raises((SQLAlchemyError, TypeError)):
        insert_rows(connection, AGREEMENT_MOVES, [row | {"digest": 32}])


def test_a_plain_type_is_exactly_that() -> None:
    assert all(bool not in types for types, _ in _PLAIN.values())
