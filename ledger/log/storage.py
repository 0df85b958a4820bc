"""Files that survive a power cut, and the lock that keeps a second writer out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ledger.errors import ConflictError

if sys.platform != "win32":
    import fcntl

__all__ = ["DurableFolder", "FileCalls", "FolderLock"]

_STAGING: Final = ".staging"
_LOCK: Final = ".lock"
_FEW: Final = 8
_SYNCING: Final = 8
"""Files that are written and synced at the same time, where there are more than a few."""


class FileCalls:
    """The system calls by which a log reaches its disk, one method each, so that tests can break each one."""

    def mkdir(self, path: Path) -> None:
        path.mkdir(exist_ok=True)

    def write(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)


class DurableFolder:
    """A folder whose files appear whole or not at all, and stay.

    Every file is written to ``.staging``, synced, renamed into place, and its directory synced. Nothing is durable
    unless `write` returned; after an OSError any subset of the files may be there.
    """

    def __init__(self, root: Path, calls: FileCalls | None = None) -> None:
        self.root = root
        self._calls = calls or FileCalls()
        self._linked = {root}  # directories whose own name is known to be durable

    def prepare(self) -> None:
        """Make the folder and empty its staging area, where a crash may have left files. Raises: OSError."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._sync_directory(self.root.parent)
        staging = self.root / _STAGING
        self._calls.mkdir(staging)
        for leftover in staging.iterdir():
            self._calls.unlink(leftover)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Make the files durable under their paths below the root, replacing what is there. Raises: OSError."""
        staging = self.root / _STAGING
        staged = {staging / str(number): data for number, data in enumerate(files.values())}
        if len(files) <= _FEW:
            for place, data in staged.items():
                self._stage(place, data)
        else:  # a disk syncs many files in hardly more time than one
            with ThreadPoolExecutor(_SYNCING) as pool:
                list(pool.map(self._stage, staged, staged.values()))
        unsynced: set[Path] = set()
        for place, path in zip(staged, files, strict=True):
            target = self.root / path
            unsynced |= self._make_directories(target.parent)
            self._calls.rename(place, target)
        for directory in sorted(unsynced, reverse=True):
            self._sync_directory(directory)
        self._linked |= unsynced

    def read(self, path: str) -> bytes:
        """Return a file's bytes. Raises: OSError."""
        return self._calls.read(self.root / path)

    def discard(self, paths: Iterable[str]) -> None:
        """Remove files that nothing refers to, as far as that goes: what stays is only space."""
        for path in paths:
            try:
                self._calls.unlink(self.root / path)
            except OSError:
                return

    def discard_directory(self, path: str) -> None:
        """Remove a flat directory that nothing refers to, as far as that goes."""
        directory = self.root / path
        try:
            for child in directory.iterdir():
                self._calls.unlink(child)
            directory.rmdir()
        except OSError:
            return
        self._linked.discard(directory)

    def _stage(self, staged: Path, data: bytes) -> None:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            self._calls.write(descriptor, data)
            self._calls.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _make_directories(self, directory: Path) -> set[Path]:
        """Make ``directory``; return it with every ancestor that must be synced for it to be found after a crash."""
        chain = [directory]
        while chain[-1] not in self._linked:
            chain.append(chain[-1].parent)
        for missing in reversed(chain[:-1]):
            self._calls.mkdir(missing)
        return set(chain)

    def _sync_directory(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            self._calls.fsync(descriptor)
        finally:
            os.close(descriptor)


class FolderLock:
    """An advisory lock on a folder; the system releases it when its process dies, however it dies."""

    def __init__(self, root: Path) -> None:
        """Take the lock.

        Raises:
            ConflictError: another process, or another `FolderLock` of this one, holds it.
            OSError: the lock file can not be made.
        """
        if sys.platform == "win32":  # pragma: no cover - the service runs on POSIX systems, the verifier anywhere
            raise RuntimeError("a log is written on a POSIX system")
        self._descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise ConflictError(
                f"the log in {root} is being written by another process (pid {holder}): stop that one, or give this "
                "one a folder of its own",
                code="log-in-use",
            ) from error
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            self.release()  # whoever tries again in this process gets it
            raise

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
