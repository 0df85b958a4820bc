"""The log's folder where several processes share it: named for the lease's token, so that it can be taken over.

A file can not ask for a lease's token, so a writer that was paused and goes on could overwrite what its successor
wrote. It knows the folder by the path under which it opened it, ``log.<token>``: whoever takes over from one that hangs
renames that to its own token, lets ``log`` lead there, and takes a lock of its own. What the other one does later finds
no way. Readers go by ``log``; backups find a folder and a link.

A writer puts its token into the folder's lock. So who holds a later one knows a writer that outlasted its lease from
an operator's command that holds the folder while no gateway writes, and seizes it from the first alone.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic as _monotonic
from time import sleep as _sleep
from typing import Final

from ledger.durable import sync
from ledger.errors import ConflictError, UnavailableError
from ledger.log import Sequencer
from ledger.log.storage import FolderLock

__all__ = ["name_for", "open_under", "seize"]

_LOCK: Final = ".lock"
_SIGNED: Final = re.compile(r"\d+, token (\d+)\n")
_RETRY_AFTER_S: Final = 1.0
_LETS_GO_WITHIN_S: Final = 3.0
"""So long a writer that lives takes to see that it lost the lease, and to let go of the log."""
_LOOK_AGAIN_S: Final = 0.1
_logger = logging.getLogger(__name__)


def open_under(folder: Path, token: int, open_log: Callable[[Path], Sequencer], *, is_hung: bool) -> Sequencer:
    """Open the log under the writer's lease, and seize its folder from a former writer that does not let go.

    ``is_hung``: the lease was taken from one that lives and did not renew it, so that there is none to wait for.

    Raises:
        ConflictError: a process that is no former writer has it open.
        UnavailableError, FatalError: as `name_for`, `seize` and ``open_log``.
    """
    name_for(folder, token)
    end = _monotonic() + _LETS_GO_WITHIN_S
    while True:
        try:
            return _open_signed(folder, token, open_log)
        except ConflictError:
            if is_hung:
                break
            if not _is_former_writers(folder, token):
                raise
            if _monotonic() > end:
                break
        _sleep(_LOOK_AGAIN_S)
    seize(folder, token)
    return _open_signed(folder, token, open_log)


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


def _open_signed(folder: Path, token: int, open_log: Callable[[Path], Sequencer]) -> Sequencer:
    present = folder.resolve()
    opened = open_log(folder)
    _sign(present, token)
    return opened


def _sign(present: Path, token: int) -> None:
    """Put the token into the lock, which the caller holds; where the folder was seized meanwhile, there is none."""
    try:
        descriptor = os.open(present / _LOCK, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{os.getpid()}, token {token}\n".encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        _logger.warning("the lock of %s does not name the writer's token: %s", present, error.strerror)


def _is_former_writers(folder: Path, token: int) -> bool:
    """Whether who holds the lock had the writer's lease before; whoever takes the lock writes it anew."""
    try:
        found = _SIGNED.fullmatch((folder / _LOCK).read_text(encoding="ascii", errors="replace"))
    except OSError:
        return False
    return found is not None and int(found[1]) < token


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
    sync(folder.parent)


def _numbered(folder: Path, token: int) -> Path:
    return folder.with_name(f"{folder.name}.{token}")


def _number_of(folder: Path) -> int:
    number = folder.suffix.removeprefix(".")
    return int(number) if number.isdecimal() else 0
