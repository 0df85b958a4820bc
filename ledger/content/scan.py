"""From a folder to its manifest and chunk hashes: many threads, each file read once, flat memory."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.content.cache import SETTLED_NS, HashCache
from ledger.content.chunks import ChunkIndex
from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry, Manifest
from ledger.content.pipeline import MAX_THREADS, FilePipeline
from ledger.content.reading import FileHasher, hash_small_file, read_chunks
from ledger.content.walking import FoundFile, Stamp, file_changed, list_files, stamp_files

__all__ = [
    "Progress",
    "ProgressCallback",
    "Reporter",
    "ScannedContent",
    "StopScanError",
    "collect_content",
    "default_workers",
    "leaf_pool",
    "run_crew",
    "scan_folder",
]

_BATCH: Final = 64
"""Small files that a thread takes at once."""

Hashed = tuple[FileEntry, tuple[bytes, ...]]


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

    def __init__(self, sizes: Sequence[int], callback: ProgressCallback | None) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._files_total = len(sizes)
        self._bytes_total = sum(sizes)
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
    folder: Path,
    *,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    cache: HashCache | None = None,
) -> ScannedContent:
    """Hash every file below ``folder`` (or the one file that it is, or those of a pattern: `list_files`).

    ``workers`` threads do it, by default one a core. ``progress`` is called from those threads, one at a time, after
    each chunk of a large file and each file. ``cache`` spares what it knows the reading, and is told the rest. The
    manifest is that of one moment: when anything below the folder changed between start and end, there is none.

    Raises:
        NotFoundError: no such folder or file.
        MalformedError: no file, too many, a symbolic link or special file, a name that no manifest can hold, two names
            that are one after Unicode normalization or differ only in case.
        ConflictError: a file appeared, vanished or changed meanwhile (code ``file-changed``).
        UnavailableError: a file or folder can not be read.
    """
    files = list_files(folder)
    reporter = Reporter([found.stamp.size_bytes for found in files], progress)
    crew = _Crew(files, reporter, cache)
    run_crew(crew.work, workers or default_workers(), reporter)
    _check_unchanged(files, stamp_files(folder))
    return collect_content([crew.results[found.path] for found in files])


def run_crew(work: Callable[[], None], workers: int, reporter: Reporter) -> None:
    """Let ``workers`` threads do ``work``; the first that fails, or an interruption here, stops them all.

    Raises:
        BaseException: what the first to fail raised.
    """
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(work) for _ in range(workers)]
        try:
            for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                job.result()
        finally:
            reporter.stop()


def collect_content(hashed: Sequence[Hashed]) -> ScannedContent:
    """Return the manifest and the chunk index of files in order.

    Raises:
        MalformedError: no file, or two that are one file where case does not count.
    """
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


class _Crew:
    """What is left to hash: large files from the largest on, then small ones in batches, then help with a large one."""

    def __init__(self, files: Sequence[FoundFile], reporter: Reporter, cache: HashCache | None) -> None:
        self.results: dict[str, Hashed] = {}
        self._reporter = reporter
        self._cache = cache
        self._lock = threading.Lock()
        large = [found for found in files if found.stamp.size_bytes > CHUNK_SIZE_BYTES]
        small = [found for found in files if found.stamp.size_bytes <= CHUNK_SIZE_BYTES]
        self._large = deque(sorted(large, key=lambda found: -found.stamp.size_bytes))
        self._batches = deque(small[first : first + _BATCH] for first in range(0, len(small), _BATCH))
        self._open: list[FilePipeline] = []

    def work(self) -> None:
        """Take work until there is none. Raises: what `scan_folder` does, StopScanError."""
        while (job := self._take()) is not None:
            job()

    def _take(self) -> Callable[[], None] | None:
        with self._lock:
            if self._large:
                found = self._large.popleft()
                return self._prepare(found)
            if self._batches:
                batch = self._batches.popleft()
                return lambda: self._hash_batch(batch)
            self._open = [pipeline for pipeline in self._open if not pipeline.is_over]
            for pipeline in self._open:
                if pipeline.threads < MAX_THREADS:
                    pipeline.threads += 1
                    return pipeline.help
        return None

    def _prepare(self, found: FoundFile) -> Callable[[], None]:
        known = None if self._cache is None else self._cache.find(found.path, found.stamp)
        if known is not None:
            return lambda: self._skip(found, known)
        if not hasattr(os, "preadv"):
            return lambda: self._hash_alone(found)
        pipeline = FilePipeline(found, lambda size: self._reporter.count(size_bytes=size))
        self._open.append(pipeline)
        return lambda: self._hash_large(pipeline)

    def _skip(self, found: FoundFile, known: Hashed) -> None:
        self._reporter.count(size_bytes=found.stamp.size_bytes, files=1)
        self.results[found.path] = known

    def _hash_large(self, pipeline: FilePipeline) -> None:
        started_ns = time.time_ns()
        self._finish(pipeline.found, pipeline.run(), started_ns)

    def _hash_alone(self, found: FoundFile) -> None:
        """Hash a large file where the system can not read at a position."""
        started_ns = time.time_ns()
        hasher = FileHasher()
        for chunk in read_chunks(found):
            hasher.update(chunk)
            self._reporter.count(size_bytes=len(chunk))
        self._finish(found, (hasher.to_entry(found.path), tuple(hasher.leaf_hashes)), started_ns)

    def _finish(self, found: FoundFile, hashed: Hashed, started_ns: int) -> None:
        self.results[found.path] = hashed
        self._keep([(found, hashed)], started_ns)
        self._reporter.count(files=1)

    def _hash_batch(self, batch: Sequence[FoundFile]) -> None:
        fresh: list[tuple[FoundFile, Hashed]] = []
        started_ns = time.time_ns()
        try:
            for found in batch:
                hashed = None if self._cache is None else self._cache.find(found.path, found.stamp)
                if hashed is None:
                    hashed = hash_small_file(found)
                    fresh.append((found, hashed))
                self.results[found.path] = hashed
                self._reporter.count(size_bytes=found.stamp.size_bytes, files=1)
        finally:
            self._keep(fresh, started_ns)

    def _keep(self, hashed: Sequence[tuple[FoundFile, Hashed]], started_ns: int) -> None:
        """Tell the cache what was left alone for long enough that the clock would show a later change."""
        if self._cache is None:
            return
        settled = started_ns - SETTLED_NS
        self._cache.add(
            [
                (result, found.stamp, started_ns)
                for found, result in hashed
                if max(found.stamp.mtime_ns, found.stamp.ctime_ns) < settled
            ]
        )


def _check_unchanged(before: Sequence[FoundFile], after: dict[str, Stamp]) -> None:
    if {found.place: found.stamp for found in before} == after:
        return
    listed = {found.place: found for found in before}
    changed = [found.path for place, found in listed.items() if after.get(place) != found.stamp]
    raise file_changed(min(changed + [place for place in after if place not in listed]))
