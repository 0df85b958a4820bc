"""A whole database as a SQLite file, and back: how a backup holds a database that is not a file itself.

Rows are copied table by table as this version's schema knows them, so the file can be put into either kind of database
again. Of a server the copy is of one moment: see `freeze_server`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from ledger.errors import ConflictError, MalformedError
from ledger.store.database import Database
from ledger.store.migrating import load_scripts, upgrade
from ledger.store.schema import METADATA
from ledger.store.schema.gateway import OUTBOX, SIGNED_CHECKPOINTS
from ledger.store.schema.sealings import SEALINGS

__all__ = ["FrozenServer", "freeze_server", "load_into", "sqlite_file"]

_ROWS_AT_ONCE: Final = 2000
_STOP_WITHIN_S: Final = 30.0
_LOCK_TIMEOUT_MS: Final = 300  # three tables together below the server's deadlock_timeout: no writer is ever its victim
_LOCK_NOT_AVAILABLE: Final = "55P03"


class FrozenServer:
    """A server's database at one moment. Use `freeze_server`."""

    def __init__(self, gate: Connection, reader: Connection) -> None:
        self._gate = gate
        self._reader = reader

    def release(self) -> None:
        """Let the writers go on; the moment stays."""
        self._gate.rollback()

    def copy(self, target: Path) -> int:
        """Write a SQLite file of that moment, which is not there yet; how many rows it has.

        Raises:
            UnavailableError, FatalError: server or disk failed.
        """
        with closing(Database.connect(f"sqlite:///{target}")) as database, database.write() as written:
            upgrade(written)
            return _copy_rows(self._reader, written)


@contextmanager
def freeze_server(url: str) -> Iterator[FrozenServer]:
    """Stop what signs checkpoints and takes nonces, and see the database at this moment, until the block ends.

    Call `FrozenServer.release` as soon as what else belongs to the moment is gathered. Who only reads never waits.

    Raises:
        ConflictError: the database has another version's schema, or is empty.
        MalformedError, UnavailableError, FatalError: as ``Store.open``; its writers do not stop for 30 seconds.
    """
    with (
        closing(Database.connect(url)) as database,
        closing(Database.connect(url)) as beside,
        database.write() as gate,
        beside.read() as reader,
    ):
        _stop_writers(gate)
        _check_schema(reader)  # the first look: what is read from now on is of this moment
        yield FrozenServer(gate, reader)


@contextmanager
def load_into(url: str, source: Path) -> Iterator[int]:
    """Put the rows of a SQLite file of this version's schema into an empty database; how many.

    All of them are there when the block ends, or, on any error within it, none, nor a table.

    Raises:
        ConflictError: the database holds tables of ours already (code ``database-not-empty``).
        MalformedError, UnavailableError, FatalError: as ``Store.open``.
    """
    with (
        closing(Database.connect(f"sqlite:///{source}")) as file,
        closing(Database.connect(url)) as database,
        file.read() as reader,
        database.write() as written,
    ):
        if {*METADATA.tables, "alembic_version"} & {*inspect(written).get_table_names()}:
            shown = make_url(url).render_as_string(hide_password=True)
            raise ConflictError(
                f"{shown} holds a gateway's tables already: name an empty database", code="database-not-empty"
            )
        upgrade(written)
        count = _copy_rows(reader, written)
        _count_on(written)
        yield count


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None: it is a server's. Raises: MalformedError: not the URL of a database."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise MalformedError("the database's URL can not be read") from error
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _stop_writers(gate: Connection) -> None:
    """Lock out whoever writes what all else follows, and who wraps keys; never so long as to block a circle of waiters.

    Raises:
        DBAPIError: they were not to be had in time.
    """
    deadline = time.monotonic() + _STOP_WITHIN_S
    stopped = ", ".join(table.name for table in (SIGNED_CHECKPOINTS, OUTBOX, SEALINGS))
    gate.execute(text(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}"))
    while True:
        try:
            with gate.begin_nested():
                gate.execute(text(f"LOCK TABLE {stopped} IN SHARE MODE"))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or time.monotonic() > deadline:
                raise
        else:
            return


def _check_schema(connection: Connection) -> None:
    present, newest = MigrationContext.configure(connection).get_current_revision(), load_scripts().get_current_head()
    if present != newest:
        raise ConflictError(
            f"the database has schema {present}, this version's is {newest}: back up with the version that runs, or "
            "run `concord upgrade` first",
            code="database-of-another-version",
        )


def _copy_rows(source: Connection, target: Connection) -> int:
    count = 0
    for table in METADATA.sorted_tables:  # what is referred to comes first
        rows = source.execute(select(table).execution_options(yield_per=_ROWS_AT_ONCE))
        for several in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in several])
            count += len(several)
    return count


def _count_on(connection: Connection) -> None:
    """Let a server's counters go on after the rows that were brought along with their numbers."""
    if connection.dialect.name == "sqlite":
        return
    for table in METADATA.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        last = connection.execute(select(func.max(column))).scalar_one()
        if last is not None:
            connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, column.name), last)))
