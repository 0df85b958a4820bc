"""Rows of one table, inserted past SQLAlchemy's work on each value: it took more of an event than all else together.

Column by column, so that what is done with a value is done in C. What is not plain goes SQLAlchemy's way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, SmallInteger, String, Table, Text, insert

from ledger.store.columns import AddressBytes, DigestBytes, Seconds, Uint64, Uint256
from ledger.types import Address, Bytes32

__all__ = ["insert_rows"]

Values = Sequence[Any]


def _as_they_are(values: Values) -> Values:
    return values


def _padded(width: int) -> Callable[[Values], Values]:
    form = f"{{:0{width}d}}".format
    return lambda values: [*map(form, values)]


def _blobs(values: Values) -> Values:
    # To SQLite's driver bytearray is a plain type and bytes is not: it asks around how to adapt each.
    return [*map(bytearray, values)]


def _seconds(values: Values) -> Values:
    return [*map(int, map(datetime.timestamp, values))]


_PLAIN: Final[dict[type[Any], tuple[frozenset[type[Any]], Callable[[Values], Values]]]] = {
    DigestBytes: (frozenset({Bytes32}), _blobs),
    AddressBytes: (frozenset({Address}), _blobs),
    Uint64: (frozenset({int}), _padded(Uint64.width)),
    Uint256: (frozenset({int}), _padded(Uint256.width)),
    Seconds: (frozenset({datetime}), _seconds),
    BigInteger: (frozenset({int}), _as_they_are),
    Integer: (frozenset({int}), _as_they_are),
    SmallInteger: (frozenset({int}), _as_they_are),
    String: (frozenset({str}), _as_they_are),
    Text: (frozenset({str}), _as_they_are),
}
"""By a column's type: of exactly which types its values are plain, and what the driver is given for them."""


def insert_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, each with a value for the same columns, as ``connection.execute(insert(table), rows)`` does."""
    if not rows:
        return
    columns = [table.c[name] for name in rows[0]]
    converted = [_convert(column, [*map(itemgetter(column.name), rows)]) for column in columns]
    plain = [each for each in converted if each is not None]
    if len(plain) < len(converted):
        connection.execute(insert(table), rows)
        return
    connection.exec_driver_sql(_statement(connection, columns), [*zip(*plain, strict=True)])


def _convert(column: Column[Any], values: Values) -> Values | None:
    """The column as the driver takes it; None where a value is not plain."""
    types, convert = _PLAIN.get(type(column.type), (frozenset(), _as_they_are))
    return convert(values) if types.issuperset(map(type, values)) else None


def _statement(connection: Connection, columns: Iterable[Column[Any]]) -> str:
    columns = [*columns]
    mark, quote = "?" if connection.dialect.paramstyle == "qmark" else "%s", connection.dialect.identifier_preparer
    names = ", ".join(quote.format_column(each) for each in columns)
    marks = ", ".join([mark] * len(columns))
    return f"INSERT INTO {quote.format_table(columns[0].table)} ({names}) VALUES ({marks})"  # noqa: S608  names of ours
