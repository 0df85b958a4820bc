"""Leases: of several processes that share a PostgreSQL database, one at a time has a duty.

The database's clock alone counts. A holder that dies has no session with the server any more, and its lease is free at
once; one that hangs keeps its session and loses the lease when it expires. Either way the token counts up, and with it
what the former holder knows is worth nothing (`ledger.store.fencing`). A transaction in which the former holder hangs
is ended by whoever takes over, a while after the lease expired: the server's own timeout for what idles is not armed
after every message of a pipeline (PostgreSQL 15, seen after psycopg's ``executemany``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import UnavailableError
from ledger.store.failures import failures_as_ledger_errors
from ledger.store.fencing import FencedDatabase

__all__ = ["LeaseRow", "Leases"]

_SECOND: Final = 1_000_000
# A transaction that is under way when the lease expires may end by itself for as long.
_PATIENCE_S: Final = 4.0
_NOW: Final = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
_SINCE: Final = "(SELECT (extract(epoch from backend_start) * 1000000)::bigint FROM pg_stat_activity WHERE pid = {})"
_OWN_SINCE: Final = _SINCE.format("pg_backend_pid()")
# What is not shown (a session of another account's) can not be told from one that is there.
_CONNECTED: Final = (
    "EXISTS (SELECT 1 FROM pg_stat_activity AS there WHERE there.pid = leases.session AND "
    "coalesce((extract(epoch from there.backend_start) * 1000000)::bigint, leases.session_since) "
    "= leases.session_since)"
)
_MAKE: Final = text(
    "INSERT INTO leases (duty, token, taken_at, expires_at) VALUES (:duty, 0, 0, 0) ON CONFLICT DO NOTHING"
)
_FIND: Final = text(
    f"SELECT holder, token, taken_at, expires_at, expires_at <= {_NOW} AS is_expired, {_CONNECTED} AS is_connected "  # noqa: S608 - parts of our own
    "FROM leases WHERE duty = :duty"
)
_TAKE: Final = text(
    f"UPDATE leases SET holder = :holder, token = token + 1, taken_at = {_NOW}, expires_at = {_NOW} + :term, "  # noqa: S608 - as above
    f"session = pg_backend_pid(), session_since = {_OWN_SINCE} "
    f"WHERE duty = :duty AND (expires_at <= {_NOW} OR NOT {_CONNECTED}) RETURNING token"
)
_END_HUNG: Final = text(
    "SELECT count(pg_terminate_backend(held.pid)) FROM leases, pg_locks AS held JOIN pg_stat_activity AS there "  # noqa: S608 - as above
    "ON there.pid = held.pid AND there.datname = current_database() AND there.usename = current_user "
    "WHERE duty = :duty AND held.relation = 'leases'::regclass AND held.mode = 'RowShareLock' AND held.granted "
    f"AND held.pid <> pg_backend_pid() AND expires_at + :patience <= {_NOW}"
)
_RENEW: Final = text(
    f"UPDATE leases SET expires_at = {_NOW} + :term, session = pg_backend_pid(), session_since = {_OWN_SINCE} "  # noqa: S608 - as above
    "WHERE duty = :duty AND token = :token"
)
_RELEASE: Final = text(
    "UPDATE leases SET holder = NULL, session = NULL, expires_at = 0 WHERE duty = :duty AND token = :token"
)


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A duty and who has it. ``is_connected``: the holder's session with the server lives."""

    holder: str | None
    token: int
    taken_at: datetime
    expires_at: datetime
    is_expired: bool
    is_connected: bool

    @property
    def is_held(self) -> bool:
        """Whether nobody else can take it now."""
        return self.is_connected and not self.is_expired

    @property
    def is_hung(self) -> bool:
        """Whether its holder lives and did not renew it in time."""
        return self.is_connected and self.is_expired


class Leases:
    """Leases by duty, over one session of their own, which lives as long as the process. Thread-safe."""

    def __init__(self, database: FencedDatabase) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._session: Connection | None = None
        self._closed = False

    @property
    def is_shared(self) -> bool:
        """Whether several processes may share the database: SQLite's folder is one's alone."""
        return self._database.engine.dialect.name == "postgresql"

    @property
    def is_closed(self) -> bool:
        """Whether the store is."""
        return self._closed

    @property
    def may_write(self) -> bool:
        """Whether this process does, as far as it knows."""
        return self._database.may_write

    def find(self, duty: str) -> LeaseRow | None:
        """Who has the duty; None: nobody ever had. Raises: UnavailableError."""
        with self._database.read() as connection:
            row = connection.execute(_FIND, {"duty": duty}).one_or_none()
        if row is None:
            return None
        taken_at, expires_at = (datetime.fromtimestamp(at / _SECOND, UTC) for at in (row.taken_at, row.expires_at))
        return LeaseRow(row.holder, row.token, taken_at, expires_at, row.is_expired, row.is_connected)

    def take(self, duty: str, holder: str, term_s: float) -> int | None:
        """Take the duty if it is free, and let this process write under its token; None: it is not free.

        Waits a while until no transaction of the holder before is under way, and ends what hangs longer.

        Raises:
            UnavailableError: the database does not answer, or a transaction is under way still: try again.
        """
        self._execute(_MAKE, {"duty": duty})
        self._execute(_END_HUNG, {"duty": duty, "patience": int(_PATIENCE_S * _SECOND)})
        given = {"duty": duty, "holder": holder, "term": int(term_s * _SECOND)}
        token: int | None = self._execute(_TAKE, given).scalar()
        if token is not None:
            self._database.fence(duty, token)
        return token

    def renew(self, duty: str, token: int, term_s: float) -> bool:
        """Keep the duty; False: another process has it, and this one writes no more. Raises: UnavailableError."""
        given = {"duty": duty, "token": token, "term": int(term_s * _SECOND)}
        kept = self._execute(_RENEW, given).rowcount == 1
        if not kept:
            self._database.fence(duty, None)
        return kept

    def stand_by(self, duty: str) -> None:
        """Let this process write nothing until it takes the duty."""
        self._database.fence(duty, None)

    def release(self, duty: str, token: int) -> None:
        """Give the duty up, if it is still held under this token. Raises: UnavailableError."""
        self._database.fence(duty, None)
        self._execute(_RELEASE, {"duty": duty, "token": token})

    def close(self) -> None:
        """End the session: what it holds is free."""
        with self._turn:
            self._closed = True
            self._drop()

    def _execute(self, statement: Any, given: Mapping[str, object]) -> CursorResult[Any]:
        with self._turn, failures_as_ledger_errors():
            if self._closed:
                raise UnavailableError("the store is closed")
            try:
                if self._session is None:
                    self._session = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                    self._session.exec_driver_sql(f"SET lock_timeout = {int(_PATIENCE_S * 1000)}")
                result: CursorResult[Any] = self._session.execute(statement, given)
                self._session.commit()  # for SQLAlchemy; the server did already
            except SQLAlchemyError:
                self._drop()
                raise
            return result

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.invalidate()  # the session ends, rather than going back to the pool
            session.close()
