"""Statements by the thousand: looked up and stored with the driver's own batches, one round trip for many rows.

The rows are those that ``Statements`` writes one by one; every list and every reader finds them alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Table, exists, func, insert, select, update

from ledger.checking import REGISTRATION, Checked, Registered
from ledger.store.columns import Moment, Uint64
from ledger.store.database import Database
from ledger.store.schema.chain import REGISTRATIONS, RETIREMENTS
from ledger.store.schema.gateway import DOCUMENT_READERS, DOCUMENTS, DRAFTS, STATEMENTS
from ledger.store.schema.said import SAID_PARENTS
from ledger.store.version_keys import DATASET_KEY_SIZE, version_key
from ledger.types import Bytes32

__all__ = ["BulkStatements"]

_FIRST: Final = f"{1:020d}"
_MOST: Final = 1000
"""Values in one query: SQLite takes 32,766, PostgreSQL 65,535. Rows that are made ready at a time."""

_PAGE: Final = 100_000

T = TypeVar("T")
Version = tuple[bytes, int]
Place = tuple[int, bytes]
"""Log index and signature."""

_VERSION: Final = ("dataset", "version", "digest")


class BulkStatements:
    """Many statements at once. Digests and ids are plain bytes here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_places(self, digests: Sequence[bytes]) -> dict[bytes, Place]:
        """Log index and signature of those of ``digests`` that are in the log."""
        found: dict[bytes, Place] = {}
        columns = (STATEMENTS.c.digest, STATEMENTS.c.log_index, STATEMENTS.c.signature)
        with self._database.read() as connection:
            for row in _select_among(connection, columns, digests):
                if row[1] is not None:
                    found[bytes(row[0])] = int(row[1]), bytes(row[2])
        return found

    def find_gaps(self, log: Bytes32, size: int) -> list[range]:
        """A log's indexes below ``size`` that no stored statement has."""
        index = STATEMENTS.c.log_index
        stored = select(index).where(STATEMENTS.c.log == log, index < size)
        gaps: list[range] = []
        following = 0
        with self._database.read() as connection:
            is_whole = connection.scalar(select(func.count()).select_from(stored.subquery())) == size
            while following < size and not is_whole:
                page = stored.where(index >= following).order_by(index).limit(_PAGE)
                found = list(connection.scalars(page))
                for each in found if len(found) == _PAGE else (*found, size):
                    if each > following:
                        gaps.append(range(following, each))
                    following = each + 1
        return gaps

    def find_versions(self, versions: Iterable[Version], *, alone: bool = False) -> dict[Version, bytes]:
        """Digests of those (dataset, version) that are registered, in force or said here and not refused.

        ``alone``: only those that the log keeps alone, which no contract is about to execute.
        """
        wanted = list(dict.fromkeys(versions))
        with self._database.read() as connection:
            good = " AND refusal IS NULL AND log_index IS NOT NULL" + (" AND NOT executable" if alone else "")
            found = _to_versions(_select_said(connection, wanted, _VERSION, good))
            if not alone:
                found |= _find_in_force(connection, wanted)
        return found

    def find_registered(self, versions: Iterable[Version]) -> tuple[dict[Version, bytes], dict[bytes, Place]]:
        """What `find_versions` tells, and what `find_places` tells of all registrations of these (dataset, version).

        One look for both: a registration has the same digest only where it has the same data set and version.
        """
        wanted = list(dict.fromkeys(versions))
        with self._database.read() as connection:
            columns = (*_VERSION, "log_index", "signature", "refusal")
            rows = _select_said(connection, wanted, columns, " AND log_index IS NOT NULL")
            found = _to_versions([row for row in rows if row[5] is None])
            found |= _find_in_force(connection, wanted)
        return found, {bytes(row[2]): (int(row[3]), bytes(row[4])) for row in rows}

    def find_retired(self, datasets: Sequence[bytes]) -> set[bytes]:
        """Those of ``datasets`` that are retired."""
        with self._database.read() as connection:
            if not connection.scalar(select(exists(select(RETIREMENTS.c.dataset)))):
                return set()
            return {bytes(row[0]) for row in _select_among(connection, (RETIREMENTS.c.dataset,), datasets)}

    def find_drafts(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those of ``digests`` that were prepared here and are still kept."""
        with self._database.read() as connection:
            if not connection.scalar(select(exists(select(DRAFTS.c.digest)))):
                return set()
            return {bytes(row[0]) for row in _select_among(connection, (DRAFTS.c.digest,), digests)}

    def append(
        self,
        log: Bytes32,
        placed: Sequence[tuple[int, Checked, str | None]],
        checkpoint_size: int,
        received_at: datetime,
    ) -> None:
        """Store registrations that the log alone keeps, each with its log index and the API key that brought it.

        Call it in the transaction that commits the log's checkpoint.

        Raises:
            ConflictError: a digest or an index is taken; nothing is stored.
        """
        with self._database.write() as connection:
            said = [(record, record.registered) for _, record, _ in placed if record.registered is not None]
            if len(said) != len(placed):
                raise ValueError("only registrations are stored in bulk")
            moment = Moment().process_bind_param(received_at, connection.dialect)
            shared = {
                "type": f"'{REGISTRATION}'",
                "custodial": "FALSE",
                "executable": "FALSE",
                "received_at": str(moment),
                "checkpoint_size": f"'{checkpoint_size:0{Uint64.width}d}'",
            }
            _insert(connection, STATEMENTS, _STATEMENT, _statement_rows(log, placed), shared)
            _insert(connection, SAID_PARENTS, _PARENT, _parent_rows(said))
            _link_documents(connection, said)


_STATEMENT: Final = (
    "digest", "participant", "message", "signature", "signer", "api_key", "log", "log_index",
    "dataset", "version", "content_hash", "metadata_hash", "dataset_salt", "dataset_key", "version_key",
)  # fmt: skip
_PARENT: Final = ("digest", "ordinal", "dataset", "version", "registration")


def _statement_rows(log: bytes, placed: Sequence[tuple[int, Checked, str | None]]) -> Iterator[tuple[Any, ...]]:
    """What differs from one row to the next; the database counts up the keys of arrival itself."""
    bound_log = bytearray(log)
    for index, record, api_key in placed:
        entry, what = record.entry, cast("Registered", record.registered)
        version = _FIRST if what.version == 1 else f"{what.version:020d}"
        yield (
            bytearray(entry[1:33]), bytearray(entry[33:65]), record.message, bytearray(record.signature),
            bytearray(record.signer), api_key, bound_log, f"{index:020d}", bytearray(what.dataset), version,
            bytearray(what.content_hash), bytearray(what.metadata_hash), bytearray(what.dataset_salt),
            bytearray(what.dataset[:DATASET_KEY_SIZE]), version_key(what.version),
        )  # fmt: skip


def _parent_rows(said: Sequence[tuple[Checked, Registered]]) -> Iterator[tuple[Any, ...]]:
    for record, registered in said:
        for ordinal, (dataset, version, registration) in enumerate(registered.parents):
            yield record.digest, ordinal, dataset, f"{version:020d}", registration


def _link_documents(connection: Connection, said: Sequence[tuple[Checked, Registered]]) -> None:
    """Bind the metadata that was prepared here and open it to its registrant, as ``readers.link_documents`` does.

    Nobody but the registrant is a party of a registration, so that a document which is bound already gains no reader.
    """
    if not connection.scalar(select(exists(select(DOCUMENTS.c.hash).where(~DOCUMENTS.c.bound)))):
        return
    stated = {registered.metadata_hash: record.participant for record, registered in reversed(said)}
    columns = (DOCUMENTS.c.hash, DOCUMENTS.c.bound)
    unbound = [Bytes32(row[0]) for row in _select_among(connection, columns, list(stated)) if not row[1]]
    if not unbound:
        return
    readers = [{"hash": digest, "participant": stated[digest]} for digest in unbound]
    connection.execute(insert(DOCUMENT_READERS), readers)
    for batch in _batched(unbound):
        connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.hash.in_(batch)).values(bound=True))


def _insert(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    shared: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """The driver's own statements for many rows, past SQLAlchemy's work on each value.

    ``shared`` is what all rows have alike, as SQL of ours: what is bound costs time in each row. Where rows are many,
    give bytes as bytearrays, which Python's SQLite driver binds as they are: for bytes it looks for an adapter first,
    half a microsecond a value.
    """
    names = ", ".join((*columns, *shared))
    values = ", ".join((*[_mark(connection)] * len(columns), *shared.values()))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({values})"  # noqa: S608  names out of the schema
    for batch in _batched(rows):
        connection.exec_driver_sql(statement, batch)


def _select_among(
    connection: Connection,
    columns: Sequence[Any],
    keys: Sequence[bytes],
    condition: str = "",
    *,
    by: Any = None,
) -> Iterator[Any]:
    """Rows of ``columns`` with one of ``keys`` in ``by`` (None: the first), for which ``condition``, our SQL, holds."""
    table, names = columns[0].table.name, ", ".join(column.name for column in columns)
    key = columns[0] if by is None else by
    for batch in _batched(keys):
        marks = ", ".join([_mark(connection)] * len(batch))
        query = f"SELECT {names} FROM {table} WHERE {key.name} IN ({marks}){condition}"  # noqa: S608  names of ours
        yield from connection.exec_driver_sql(query, tuple(map(bytearray, batch)))


def _find_in_force(connection: Connection, versions: Sequence[Version]) -> dict[Version, bytes]:
    """Digests of those (dataset, version) that a contract has registered."""
    table = REGISTRATIONS.c
    if not connection.scalar(select(exists(select(table.digest)))):
        return {}
    pairs = [(dataset, f"{version:020d}") for dataset, version in versions]
    return _to_versions(_select_pairs(connection, (table.dataset, table.version), pairs, _FIRST, _VERSION))


def _select_said(
    connection: Connection, versions: Iterable[Version], columns: Sequence[str], condition: str = ""
) -> list[Any]:
    """``columns``, data set and version first, of the registrations said of these versions."""
    wanted = set(versions)
    pairs = [(dataset[:DATASET_KEY_SIZE], version_key(version)) for dataset, version in wanted]
    keys = (STATEMENTS.c.dataset_key, STATEMENTS.c.version_key)
    rows = _select_pairs(connection, keys, pairs, version_key(1), columns, condition)
    return [row for row in rows if (row[0], int(row[1])) in wanted]


def _select_pairs(
    connection: Connection,
    by: tuple[Any, Any],
    pairs: Sequence[tuple[bytes, int | str]],
    first: int | str,
    columns: Sequence[str],
    condition: str = "",
) -> list[Any]:
    """``columns`` of rows with one of ``pairs`` in ``by``; most have ``first``, a value of ours, as their second."""
    table = by[0].table
    alone = [key for key, version in pairs if version == first]
    chosen, is_first = [table.c[name] for name in columns], f" AND {by[1].name} = {first!r}{condition}"
    rows = list(_select_among(connection, chosen, alone, is_first, by=by[0]))
    for batch in _batched([pair for pair in pairs if pair[1] != first]):
        mark = _mark(connection)
        marks = ", ".join([f"({mark}, {mark})"] * len(batch))
        query = (
            f"SELECT {', '.join(columns)} FROM {table.name} "  # noqa: S608  names out of the schema
            f"WHERE ({by[0].name}, {by[1].name}) IN (VALUES {marks}){condition}"
        )
        values = tuple(value for key, version in batch for value in (bytearray(key), version))
        rows += connection.exec_driver_sql(query, values)
    return rows


def _to_versions(rows: Iterable[Any]) -> dict[Version, bytes]:
    return {(bytes(row[0]), int(row[1])): bytes(row[2]) for row in rows}


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def _batched(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _MOST)):
        yield batch
