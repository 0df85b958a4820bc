"""SQLite files as they are at one common moment, while others go on writing them.

The first file is the one that everything else follows: for as long as its writers wait (milliseconds), each file gets a
reader that keeps seeing that moment; copying from the readers takes as long as it takes and holds nobody up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from ledger.errors import FatalError, UnavailableError

__all__ = ["FrozenFiles", "copy_sqlite", "freeze"]

_BUSY_TIMEOUT_MS: Final = 30_000
_PAGES_AT_ONCE: Final = 4096


class FrozenFiles:
    """The files at their common moment. Use `freeze`."""

    def __init__(self, gate: sqlite3.Connection, readers: dict[Path, sqlite3.Connection]) -> None:
        self._gate = gate
        self._readers = readers

    def release(self) -> None:
        """Let the writers go on; the moment stays."""
        if self._gate.in_transaction:
            self._gate.execute("ROLLBACK")

    def copy(self, path: Path, target: Path) -> None:
        """Write the file as it was at the moment. Raises: UnavailableError, FatalError: the copy is damaged."""
        with _failures(f"{path} can not be copied"), closing(sqlite3.connect(target)) as copied:
            self._readers[path].backup(copied, pages=_PAGES_AT_ONCE)
            found = copied.execute("PRAGMA quick_check(1)").fetchone()
            if found != ("ok",):
                raise FatalError(f"the copy of {path.name} is damaged ({found[0]}), and so is the file: stop, and look")


@contextmanager
def freeze(paths: Sequence[Path]) -> Iterator[FrozenFiles]:
    """Stop the writers of the first file and see all of them at this moment, until the block ends.

    Call `FrozenFiles.release` as soon as what else belongs to the moment is gathered.

    Raises:
        UnavailableError: a file can not be read, or its writers do not stop for 30 seconds.
    """
    with ExitStack() as stack, _failures(f"{paths[0]} can not be read"):
        gate = stack.enter_context(closing(_connect(paths[0])))
        gate.execute("BEGIN IMMEDIATE")
        readers = {}
        for path in paths:
            readers[path] = stack.enter_context(closing(_connect(path)))
            readers[path].execute("BEGIN")
            readers[path].execute("SELECT count(*) FROM sqlite_master").fetchone()
        frozen = FrozenFiles(gate, readers)
        yield frozen
        frozen.release()


def copy_sqlite(path: Path, target: Path) -> None:
    """Copy one file that nobody writes. Raises: as `freeze` and `FrozenFiles.copy`."""
    with freeze([path]) as frozen:
        frozen.release()
        frozen.copy(path, target)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    return connection


@contextmanager
def _failures(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError(f"{what}: {error}. Check the disk, and try again") from error
