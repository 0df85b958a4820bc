"""A key-value file for the embedded chain: one SQLite table, written in whole blocks or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from eth.db.backends.base import BaseDB

from ledger.errors import UnavailableError

__all__ = ["KeyValueFile"]

_DENIED: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
_TABLE: Final = "CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"


class KeyValueFile(BaseDB):
    """py-evm's database port over SQLite (WAL, synchronous full); in memory without a path.

    Writing happens inside ``transaction`` alone: when it returns, the writes are on the disk; when it raises, or the
    process dies within it, none of them is.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the file. Raises: UnavailableError: it can not be used."""
        self._path = path
        try:
            self._connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute(_TABLE)
            except sqlite3.Error:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            is_denied = error.sqlite_errorname.startswith(_DENIED)
            advice = "Let this user write the file and its folder" if is_denied else "Put back a backup"
            raise UnavailableError(
                f"the embedded chain's file {path} can not be used: {error}. {advice}, or choose another folder"
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep every write inside, durably, or none.

        Raises:
            UnavailableError: the disk is full or does not take the writes; nothing is kept.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise UnavailableError(
                f"the embedded chain could not write to {self._path}: {error}; the block was not kept. Free space or "
                "repair the disk, then send again"
            ) from error
        except BaseException:
            self._roll_back()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # there may be no transaction left to roll back
            self._connection.execute("ROLLBACK")

    def __getitem__(self, key: bytes) -> bytes:
        try:
            row = self._connection.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(f"the embedded chain could not read {self._path}: {error}") from error
        if row is None:
            raise KeyError(key)
        value: bytes = row[0]
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._require_transaction()
        self._connection.execute("INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)", (key, value))

    def __delitem__(self, key: bytes) -> None:
        self._require_transaction()
        if self._connection.execute("DELETE FROM kv WHERE key = ?", (key,)).rowcount == 0:
            raise KeyError(key)

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def _require_transaction(self) -> None:
        if not self._connection.in_transaction:
            raise RuntimeError("the embedded chain's file is written inside a transaction alone")
