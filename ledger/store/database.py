"""Connections and transactions: the one place that knows how an engine is set up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ledger.errors import MalformedError
from ledger.store.failures import failures_as_ledger_errors

__all__ = ["Database", "lock_for_migration"]

_BUSY_TIMEOUT_MS: Final = 10_000
_PRAGMAS: Final = (
    f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}",
    "PRAGMA page_size=8192",  # of a new file; statements have most of a KiB
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)
_WRITER_PRAGMAS: Final = (
    "PRAGMA cache_size=-98304",  # KiB: keys are random, so that every page of an index is touched again soon
    "PRAGMA wal_autocheckpoint=32768",  # pages, 256 MiB: one that was written many times is copied back once
)
_WRITES: Final = "concord_writes"
# Any number that no other program on the same PostgreSQL server takes as an advisory lock.
_MIGRATION_LOCK: Final = 0x636F6E636F7264


class Database:
    """An engine, and for each thread the transaction that it is in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._here = threading.local()
        # SQLite lets one connection write: waiting here is fair, waiting in SQLite is a lottery. It is always the
        # same connection, which keeps the pages that it wrote.
        self._writer: AbstractContextManager[Any] = threading.RLock() if _is_sqlite(engine) else nullcontext()
        self._writing: Connection | None = None

    @classmethod
    def connect(cls, url: str) -> Self:
        """Prepare the engine. Raises: MalformedError: not the URL of a database that the store can be kept in."""
        try:
            parsed = make_url(url)
            name = parsed.get_backend_name()
            if name not in {"sqlite", "postgresql"}:
                raise MalformedError(f"the store is kept in SQLite or PostgreSQL, not in {name}")
            if name == "sqlite" and parsed.database in {None, "", ":memory:"}:
                raise MalformedError(
                    "the store is durable: name a file, as in sqlite:////var/lib/concord/store.sqlite3"
                )
            engine = create_engine(
                parsed, pool_size=16, max_overflow=32, pool_timeout=15, pool_pre_ping=name != "sqlite"
            )
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise MalformedError("the store's URL can not be read, or its driver is not installed") from error
        if name == "sqlite":
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return cls(engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The thread's writing transaction, or a new one that ends with the block: all of it or, on an error, none.

        Raises:
            RuntimeError: within `read`.
            UnavailableError, ConflictError, FatalError: as ``failures`` maps the database's errors.
        """
        joined: Connection | None = getattr(self._here, "connection", None)
        if joined is not None:
            if not joined.get_execution_options().get(_WRITES):
                raise RuntimeError("a snapshot only reads: write outside of it")
            with failures_as_ledger_errors():
                yield joined
            return
        with self._writer, failures_as_ledger_errors(), self._begin(writes=True) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The thread's transaction, or a new one that reads one moment. Raises: as `write`."""
        joined: Connection | None = getattr(self._here, "connection", None)
        if joined is not None:
            with failures_as_ledger_errors():
                yield joined
            return
        with failures_as_ledger_errors(), self._begin(writes=False) as connection:
            yield connection

    @contextmanager
    def _begin(self, *, writes: bool) -> Iterator[Connection]:
        if writes and _is_sqlite(self._engine):
            with self._join_writing() as connection:
                yield connection
            return
        options: dict[str, Any] = {_WRITES: writes}
        if not writes and not _is_sqlite(self._engine):
            options["isolation_level"] = "REPEATABLE READ"
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            self._here.connection = connection
            try:
                yield connection
            finally:
                del self._here.connection

    @contextmanager
    def _join_writing(self) -> Iterator[Connection]:
        """The one connection that writes to SQLite; after an error that the database is to blame for, another one."""
        if self._writing is None:
            self._writing = self._engine.connect().execution_options(**{_WRITES: True})
            for pragma in _WRITER_PRAGMAS:
                cursor = self._writing.connection.cursor()
                cursor.execute(pragma)
                cursor.close()
        try:
            with self._writing.begin():
                self._here.connection = self._writing
                try:
                    yield self._writing
                finally:
                    del self._here.connection
        except SQLAlchemyError:
            broken, self._writing = self._writing, None
            broken.invalidate()
            broken.close()
            raise

    def close(self) -> None:
        """Close all idle connections."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        self._engine.dispose()


def lock_for_migration(connection: Connection) -> None:
    """Let one process at a time look at the schema and change it. SQLite's writing transaction does that already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own idea of when to BEGIN is switched off: `_begin_sqlite` says it.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins by reading and writes later could not wait for another writer: SQLite would refuse.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
