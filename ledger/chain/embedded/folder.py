"""The folder of an embedded chain: one process at a time, one chain for ever."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Final

from ledger.errors import ConflictError, UnavailableError

__all__ = ["FolderLock"]

_NAME: Final = "chain.lock"


class FolderLock:
    """Holds a folder for this process; the kernel lets go of it when the process dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, making it where there is none.

        Raises:
            ConflictError: another process holds it (code ``folder-in-use``).
            UnavailableError: it can not be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = (folder / _NAME).open("a+", encoding="ascii")
        except OSError as error:
            raise UnavailableError(f"the folder {folder} can not be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).strip() or "unknown"
            self._file.close()
            raise ConflictError(
                f"another process (pid {holder}) holds the embedded chain in {folder}: stop it, or give this one a "
                "data folder of its own",
                code="folder-in-use",
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let go of the folder."""
        self._file.close()
