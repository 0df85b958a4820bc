"""One large file, read once and hashed twice, by as many threads as come to help.

The flat hash takes the chunks one after the other, the chunk hashes do not care. So whoever is free takes the flat
hash's next chunk if it is read and nobody is at it, else a chunk that still wants its leaf hash, else reads one. A
thread alone goes on as if there were no others, with one buffer; two share a file evenly; more than three gain nothing,
since nothing is faster than the flat hash.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.content.reading import hash_chunk, opened
from ledger.content.walking import FoundFile, file_changed
from ledger.merkle import compute_root
from ledger.types import Bytes32

__all__ = ["MAX_THREADS", "FilePipeline"]

MAX_THREADS: Final = 3
_BUFFERS: Final = 6

Step = Callable[[], None]


class FilePipeline:
    """The work on one file: one thread calls `run`, others `help`."""

    def __init__(self, found: FoundFile, count: Callable[[int], None]) -> None:
        """Hash ``found``; ``count`` is told the size of each chunk that went into the flat hash, and may raise."""
        self.found = found
        self.threads = 1
        self._count = count
        self._chunk_count = -(-found.stamp.size_bytes // CHUNK_SIZE_BYTES)
        self._changed = threading.Condition()
        self._descriptor = -1
        self._failure: BaseException | None = None
        self._running = 0
        self._spare: list[bytearray] = []
        self._lent = 0
        self._chunks: dict[int, memoryview] = {}
        self._halves: set[int] = set()  # chunks of which one of the two hashes is done
        self._read = self._flat_done = 0
        self._flat_taken = False
        self._wants_leaf: deque[int] = deque()
        self._flat = hashlib.sha256()
        self._early: dict[int, bytes] = {}  # leaf hashes of chunks after one that is not done
        self._leaf_hashes: list[bytes] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self._failure is not None or len(self._leaf_hashes) == self._flat_done == self._chunk_count

    def run(self) -> tuple[FileEntry, tuple[bytes, ...]]:
        """Hash the file, with whoever helps, and return its manifest entry and chunk hashes.

        Raises:
            ConflictError, UnavailableError: as `reading.read_chunks`.
            BaseException: what ``count`` raised, whichever thread called it.
        """
        try:
            with opened(self.found) as descriptor:
                self._begin(descriptor)
                self._work()
                self._check_end()
        except BaseException as error:
            self._fail(error)
            raise
        root = Bytes32(compute_root(self._leaf_hashes))
        size_bytes, sha256 = self.found.stamp.size_bytes, Bytes32(self._flat.digest())
        return FileEntry(self.found.path, size_bytes, sha256, root), tuple(self._leaf_hashes)

    def help(self) -> None:
        """Take part until the file is done or given up; what goes wrong, `run` raises."""
        self._work()

    def _check_end(self) -> None:
        if self._failure is not None:
            raise self._failure
        if os.pread(self._descriptor, 1, self.found.stamp.size_bytes):
            raise file_changed(self.found.path)

    def _begin(self, descriptor: int) -> None:
        with self._changed:
            self._descriptor = descriptor
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _work(self) -> None:
        """Do steps until nothing is left and nobody is at one: then the descriptor may be closed."""
        while True:
            with self._changed:
                while (step := self._take()) is None and not (self.is_over and not self._running):
                    self._changed.wait()
                if step is None:
                    return
                self._running += 1
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - `run` raises it, in its thread
                self._fail(error)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

    def _take(self) -> Step | None:
        if self._descriptor < 0 or self._failure is not None:
            return None
        if not self._flat_taken and self._flat_done in self._chunks:
            self._flat_taken = True
            return self._hash_flat
        if self._wants_leaf:
            index = self._wants_leaf.popleft()
            return lambda: self._hash_leaf(index)
        if self._read < self._chunk_count and self._lent < _BUFFERS:
            self._lent += 1
            self._read += 1
            index, buffer = self._read - 1, self._spare.pop() if self._spare else bytearray(CHUNK_SIZE_BYTES)
            return lambda: self._read_chunk(index, buffer)
        return None

    def _read_chunk(self, index: int, buffer: bytearray) -> None:
        start = index * CHUNK_SIZE_BYTES
        chunk = memoryview(buffer)[: self.found.stamp.size_bytes - start]
        filled = 0
        while filled < len(chunk):
            size = os.preadv(self._descriptor, [chunk[filled:]], start + filled)
            if not size:
                raise file_changed(self.found.path)
            filled += size
        with self._changed:
            self._chunks[index] = chunk
            self._wants_leaf.append(index)

    def _hash_flat(self) -> None:
        chunk = self._chunks[self._flat_done]
        self._flat.update(chunk)
        self._count(len(chunk))
        with self._changed:
            self._release(self._flat_done)
            self._flat_done += 1
            self._flat_taken = False

    def _hash_leaf(self, index: int) -> None:
        leaf = hash_chunk(self._chunks[index])
        with self._changed:
            self._release(index)
            self._early[index] = leaf
            while (leaf_hash := self._early.pop(len(self._leaf_hashes), None)) is not None:
                self._leaf_hashes.append(leaf_hash)

    def _release(self, index: int) -> None:
        """Give the buffer back once both hashes are done."""
        if index not in self._halves:
            self._halves.add(index)
            return
        self._halves.remove(index)
        buffer = self._chunks.pop(index).obj
        self._spare.append(buffer)  # type: ignore[arg-type]  # a view's object is what it was made of
        self._lent -= 1
