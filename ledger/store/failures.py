"""What the database's errors mean: one table from foreign exceptions to the tree of ``ledger.errors``.

SQLite is known by its result codes (sqlite.org/rescode.html), PostgreSQL by SQLSTATE classes (its manual, appendix A);
where neither tells, the DB-API class does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from ledger.errors import ConflictError, FatalError, LedgerError, UnavailableError

__all__ = ["BY_CLASS", "BY_CODE", "failures_as_ledger_errors", "translate_failure"]

_SOON_S: Final = 1.0
_LATER_S: Final = 5.0
_FULL: Final = "the database's disk is full: free space and try again; nothing was stored"
_BUSY: Final = "the database is busy with another writer: try again"
_DOWN: Final = "the database does not answer: check that it runs, and its address"
_ENDED: Final = (
    "the database ended the connection, nothing of the transaction was stored: it is being stopped, or another process "
    "took over because this one was paused; try again"
)
_DENIED: Final = "the database can not be written: check the rights of its file and folder, or of the account"
_DAMAGED: Final = "the database is damaged: stop, and restore a backup"
_DISK: Final = "the database's disk fails: check it before going on"

BY_CODE: Final[tuple[tuple[str, type[LedgerError], str, float], ...]] = (
    ("SQLITE_FULL", UnavailableError, _FULL, _LATER_S),
    ("SQLITE_BUSY", UnavailableError, _BUSY, _SOON_S),
    ("SQLITE_LOCKED", UnavailableError, _BUSY, _SOON_S),
    ("SQLITE_IOERR", UnavailableError, _DISK, _LATER_S),
    ("SQLITE_CANTOPEN", UnavailableError, _DENIED, _LATER_S),
    ("SQLITE_READONLY", UnavailableError, _DENIED, _LATER_S),
    ("SQLITE_PERM", UnavailableError, _DENIED, _LATER_S),
    ("SQLITE_NOMEM", UnavailableError, _DOWN, _LATER_S),
    ("SQLITE_INTERRUPT", UnavailableError, _BUSY, _SOON_S),
    ("SQLITE_PROTOCOL", UnavailableError, _BUSY, _SOON_S),
    ("SQLITE_CORRUPT", FatalError, _DAMAGED, 0),
    ("SQLITE_NOTADB", FatalError, _DAMAGED, 0),
    ("53100", UnavailableError, _FULL, _LATER_S),  # disk_full
    ("53", UnavailableError, _DOWN, _LATER_S),  # insufficient resources, too many connections
    ("08", UnavailableError, _DOWN, _LATER_S),  # connection exception
    ("57P01", UnavailableError, _ENDED, _SOON_S),  # ended by an administrator, or by `ledger.store.leases`
    ("57P", UnavailableError, _DOWN, _LATER_S),  # shutting down
    ("57", UnavailableError, _BUSY, _SOON_S),  # cancelled by a timeout
    ("40", UnavailableError, _BUSY, _SOON_S),  # serialization failure, deadlock
    ("55P03", UnavailableError, _BUSY, _SOON_S),  # lock not available
    ("25006", UnavailableError, _DENIED, _LATER_S),  # read-only transaction
    ("58", UnavailableError, _DISK, _LATER_S),  # system error
    ("XX001", FatalError, _DAMAGED, 0),  # data corrupted
    ("XX002", FatalError, _DAMAGED, 0),  # index corrupted
)
"""By the longest fitting prefix of the driver's code; the first row that fits counts."""

BY_CLASS: Final[tuple[tuple[type[exc.SQLAlchemyError], type[LedgerError], str, float], ...]] = (
    (exc.IntegrityError, ConflictError, "the database holds something else under that key already", 0),
    (exc.OperationalError, UnavailableError, _DOWN, _LATER_S),
    (exc.InterfaceError, UnavailableError, _DOWN, _LATER_S),
    (exc.TimeoutError, UnavailableError, "all connections to the database are in use: try again", _SOON_S),
)
"""By class, where no code tells. Any other error of SQLAlchemy is a mistake of ours and stays what it is."""


def translate_failure(error: exc.SQLAlchemyError) -> LedgerError | None:
    """The error of the ledger's tree that a database error means; None when it is a mistake in our own code."""
    origin = error.orig if isinstance(error, exc.DBAPIError) else None
    code = str(getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None) or "")
    for prefix, kind, sentence, retry_after_s in BY_CODE:
        if code.startswith(prefix):
            return _build(kind, sentence, retry_after_s)
    for family, kind, sentence, retry_after_s in BY_CLASS:
        if isinstance(error, family):
            return _build(kind, sentence, retry_after_s)
    return None


def _build(kind: type[LedgerError], sentence: str, retry_after_s: float) -> LedgerError:
    return UnavailableError(sentence, retry_after_s=retry_after_s) if kind is UnavailableError else kind(sentence)


@contextmanager
def failures_as_ledger_errors() -> Iterator[None]:
    """Raise the ledger's error in place of the database's."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        translated = translate_failure(error)
        if translated is None:
            raise
        raise translated from error
