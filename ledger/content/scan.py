"""From a folder to its manifest and chunk hashes: many threads, one pass, flat memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.content.chunks import ChunkIndex
from ledger.content.manifest import FileEntry, Manifest
from ledger.content.reading import FileHasher, read_chunks
from ledger.content.walking import FoundFile, file_changed, list_files

__all__ = ["Progress", "ProgressCallback", "Reporter", "ScannedContent", "default_workers", "leaf_pool", "scan_folder"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far hashing has come."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class ScannedContent:
    """What a folder holds: its manifest, and the chunk hashes that lie beside it."""

    manifest: Manifest
    chunks: ChunkIndex


class StopScanError(Exception):
    """Another file failed, or the caller gave up; never leaves this package."""


class Reporter:
    """Counts across threads and calls back one at a time; also carries the word to stop."""

    def __init__(self, files: Sequence[FoundFile], callback: ProgressCallback | None) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._files_total = len(files)
        self._bytes_total = sum(found.stamp.size_bytes for found in files)
        self._files_done = 0
        self._bytes_done = 0
        self._stopped = False

    def stop(self) -> None:
        """Make every thread that counts next give up."""
        self._stopped = True

    def count(self, *, size_bytes: int = 0, files: int = 0) -> None:
        """Add to what is done. Raises StopScanError after `stop`."""
        if self._stopped:
            raise StopScanError
        if self._callback is None:
            return
        with self._lock:
            self._files_done += files
            self._bytes_done += size_bytes
            self._callback(Progress(self._files_done, self._files_total, self._bytes_done, self._bytes_total))


def scan_folder(
    folder: Path, *, workers: int | None = None, progress: ProgressCallback | None = None
) -> ScannedContent:
    """Hash every file below ``folder`` (or the one file that it is) with ``workers`` threads, by default one a core.

    ``progress`` is called from those threads, one at a time, after each chunk and each file. The manifest is that of
    one moment: when anything below the folder changed between start and end, there is none.

    Raises:
        NotFoundError: no such folder or file.
        MalformedError: no file, too many, a symbolic link or special file, a name that no manifest can hold, two names
            that are one after Unicode normalization or differ only in case.
        ConflictError: a file appeared, vanished or changed meanwhile (code ``file-changed``).
        UnavailableError: a file or folder can not be read.
    """
    files = list_files(folder)
    workers = workers or default_workers()
    reporter = Reporter(files, progress)
    with ThreadPoolExecutor(workers) as pool, leaf_pool(workers) as leaves:
        jobs = [pool.submit(_hash_file, found, reporter, leaves) for found in files]
        try:
            finished = wait(jobs, return_when=FIRST_EXCEPTION).done
            hashed = [job.result() for job in jobs if job in finished]
        finally:
            reporter.stop()
            pool.shutdown(wait=False, cancel_futures=True)
    _check_unchanged(files, list_files(folder))
    manifest = Manifest(tuple(entry for entry, _ in hashed))
    return ScannedContent(manifest, ChunkIndex({entry.path: hashes for entry, hashes in hashed}))


def default_workers() -> int:
    """Return how many threads keep every core busy."""
    return os.cpu_count() or 1


@contextmanager
def leaf_pool(workers: int) -> Iterator[Executor | None]:
    """Lend threads that hash the chunks of large files beside their flat hash; none for a single worker."""
    if workers == 1:
        yield None
        return
    with ThreadPoolExecutor(workers) as pool:
        yield pool


def _hash_file(found: FoundFile, reporter: Reporter, leaves: Executor | None) -> tuple[FileEntry, tuple[bytes, ...]]:
    hasher = FileHasher(leaves)
    for chunk in read_chunks(found):
        hasher.update(chunk)
        reporter.count(size_bytes=len(chunk))
    reporter.count(files=1)
    return hasher.to_entry(found.path), tuple(hasher.leaf_hashes)


def _check_unchanged(before: list[FoundFile], after: list[FoundFile]) -> None:
    if before == after:
        return
    changed = {found.path for found in set(before) ^ set(after)}
    raise file_changed(min(changed))
