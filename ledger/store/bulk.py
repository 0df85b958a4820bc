"""Statements by the thousand: looked up and stored with the driver's own batches, one round trip for many rows.

The rows are those that ``Statements`` writes one by one; every list and every reader finds them alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, exists, func, insert, select, update

from ledger.checking import Checked, Registered
from ledger.store.columns import Moment, Uint64
from ledger.store.database import Database
from ledger.store.schema.chain import REGISTRATIONS, RETIREMENTS
from ledger.store.schema.gateway import DOCUMENT_READERS, DOCUMENTS, DRAFTS, STATEMENTS
from ledger.store.schema.said import SAID_PARENTS
from ledger.types import Bytes32

__all__ = ["BulkStatements"]

_FIRST: Final = f"{1:020d}"
_MOST: Final = 1000
"""Values in one query: SQLite takes 32,766, PostgreSQL 65,535."""

_PAGE: Final = 100_000

T = TypeVar("T")
Version = tuple[bytes, int]


class BulkStatements:
    """Many statements at once. Digests and ids are plain bytes here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_places(self, digests: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """Log index and signature of those of ``digests`` that are in the log."""
        found: dict[bytes, tuple[int, bytes]] = {}
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
            found = dict(_select_versions(connection, STATEMENTS, wanted, good))
            if not alone:
                found.update(_select_versions(connection, REGISTRATIONS, wanted))
        return found

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
            size = f"{checkpoint_size:0{Uint64.width}d}"
            moment = Moment().process_bind_param(received_at, connection.dialect)
            arrivals = _draw_arrivals(connection, len(placed))
            shared = bytes(log), size, moment
            _insert(connection, STATEMENTS, _STATEMENT, _statement_rows(arrivals, placed, said, shared))
            _insert(connection, SAID_PARENTS, _PARENT, list(_parent_rows(said)))
            _link_documents(connection, said)


_STATEMENT: Final = (
    "arrival", "digest", "type", "participant", "message", "signature", "signer", "custodial", "api_key", "received_at",
    "executable", "log", "log_index", "checkpoint_size",
    "dataset", "version", "content_hash", "metadata_hash", "dataset_salt",
)  # fmt: skip
_PARENT: Final = ("digest", "ordinal", "dataset", "version", "registration")


def _draw_arrivals(connection: Connection, count: int) -> Sequence[int]:
    """Keys for as many statements, above all that are there."""
    if connection.dialect.name == "sqlite":
        first = (connection.scalar(select(func.max(STATEMENTS.c.arrival))) or 0) + 1
        return range(first, first + count)
    drawn = "SELECT nextval(pg_get_serial_sequence('statements', 'arrival')) FROM generate_series(1, %s)"
    return [row[0] for row in connection.exec_driver_sql(drawn, (count,))]


def _statement_rows(
    arrivals: Sequence[int],
    placed: Sequence[tuple[int, Checked, str | None]],
    said: Sequence[tuple[Checked, Registered]],
    shared: tuple[bytes, str, int | None],
) -> list[tuple[Any, ...]]:
    log, size, moment = shared
    rows: list[tuple[Any, ...]] = []
    for arrival, (index, record, api_key), (_, what) in zip(arrivals, placed, said, strict=True):
        rows.append((
            arrival, record.digest, record.type, record.participant, record.message, record.signature, record.signer,
            False, api_key, moment, False, log, f"{index:020d}", size,
            what.dataset, f"{what.version:020d}", what.content_hash, what.metadata_hash, what.dataset_salt,
        ))  # fmt: skip
    return rows


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


def _insert(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """One statement of the driver for all rows, past SQLAlchemy's work on each value."""
    if not rows:
        return
    names = ", ".join(columns)
    marks = ", ".join([_mark(connection)] * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608  names out of the schema
    connection.exec_driver_sql(statement, list(rows))


def _select_among(
    connection: Connection, columns: Sequence[Any], keys: Sequence[bytes], condition: str = ""
) -> Iterator[Any]:
    """Rows of ``columns`` whose first column is among ``keys`` and for which ``condition``, SQL of ours, holds."""
    table, names = columns[0].table.name, ", ".join(column.name for column in columns)
    for batch in _batched(keys):
        marks = ", ".join([_mark(connection)] * len(batch))
        query = f"SELECT {names} FROM {table} WHERE {columns[0].name} IN ({marks}){condition}"  # noqa: S608  names of ours
        yield from connection.exec_driver_sql(query, tuple(batch))


def _select_versions(
    connection: Connection, table: Table, versions: Sequence[Version], condition: str = ""
) -> list[tuple[Version, bytes]]:
    """Registrations in ``table`` of these (dataset, version), the first versions by their data set alone."""
    first = [dataset for dataset, version in versions if version == 1]
    columns = (table.c.dataset, table.c.version, table.c.digest)
    rows = list(_select_among(connection, columns, first, f" AND version = '{_FIRST}'{condition}"))
    for batch in _batched([version for version in versions if version[1] != 1]):
        mark = _mark(connection)
        marks = ", ".join([f"({mark}, {mark})"] * len(batch))
        query = (
            f"SELECT dataset, version, digest FROM {table.name} "  # noqa: S608  names out of the schema
            f"WHERE (dataset, version) IN (VALUES {marks}){condition}"
        )
        values = tuple(value for dataset, version in batch for value in (bytes(dataset), f"{version:020d}"))
        rows += connection.exec_driver_sql(query, values)
    return [((bytes(row[0]), int(row[1])), bytes(row[2])) for row in rows]


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def _batched(items: Sequence[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _MOST)):
        yield batch
