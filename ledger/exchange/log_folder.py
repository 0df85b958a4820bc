"""The log's folder where several processes share it: named for the lease's token, so that it can be taken over.

A file can not ask for a lease's token, so a writer that was paused and goes on could overwrite what its successor
wrote. It knows the folder by the path under which it opened it, ``log.<token>``: whoever takes over from one that hangs
renames that to its own token, lets ``log`` lead there, and takes a lock of its own. What the other one does later finds
no way. Readers go by ``log``; backups find a folder and a link.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from ledger.errors import UnavailableError
from ledger.log.storage import FolderLock

__all__ = ["name_for", "seize"]

_LOCK: Final = ".lock"
_RETRY_AFTER_S: Final = 1.0
_logger = logging.getLogger(__name__)


def name_for(folder: Path, token: int) -> None:
    """Make ``folder`` a link to a numbered one, if it is not: at the first start that shares it, or after a crash.

    Raises:
        ConflictError: a process that does not share it has it open.
        UnavailableError: the disk does not let us.
    """
    try:
        if folder.is_dir() and not folder.is_symlink():
            lock = FolderLock(folder)
            try:
                folder.rename(_numbered(folder, token))
            finally:
                lock.release()
        _find_again(folder)
        if not folder.is_dir():
            _numbered(folder, token).mkdir()
            _find_again(folder)
    except OSError as error:
        raise UnavailableError(f"the log's folder {folder} can not be renamed: {error.strerror}") from error


def seize(folder: Path, token: int) -> None:
    """Take the folder from whoever has it open. The caller holds the writer's lease under ``token``.

    Raises:
        UnavailableError: another process did so meanwhile, or the disk does not let us.
    """
    present, seized = folder.resolve(), _numbered(folder, token)
    try:
        present.rename(seized)  # of two that try, one finds it
        (seized / _LOCK).unlink(missing_ok=True)
        _find_again(folder)
    except OSError as error:
        raise UnavailableError(
            f"the log's folder {present} can not be taken over from the process that hangs: {error.strerror}",
            retry_after_s=_RETRY_AFTER_S,
        ) from error
    _logger.warning("the log's folder is %s from now on: who wrote it did not renew its lease", seized.name)


def _find_again(folder: Path) -> None:
    """Let ``folder`` lead to where the log is; of several that try, the last one sees that it does."""
    while not folder.is_dir():
        moved = [each for each in folder.parent.glob(f"{folder.name}.*") if each.is_dir() and _number_of(each)]
        if not moved:
            return  # there is no log yet
        _link(folder, max(moved, key=_number_of))


def _link(folder: Path, target: Path) -> None:
    staged = folder.with_name(f".{folder.name}.{os.getpid()}")
    staged.unlink(missing_ok=True)
    staged.symlink_to(target.name)
    staged.replace(folder)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _numbered(folder: Path, token: int) -> Path:
    return folder.with_name(f"{folder.name}.{token}")


def _number_of(folder: Path) -> int:
    number = folder.suffix.removeprefix(".")
    return int(number) if number.isdecimal() else 0
