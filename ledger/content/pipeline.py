"""One large file, read once and hashed twice, by as many threads as come to help.

The flat hash takes the chunks one after the other, the chunk hashes do not care. A thread alone reads a piece and gives
it to both while it is in the core's own cache, which is worth a tenth of the speed. Where others help, whoever is free
takes the flat hash's next chunk if that is read and nobody is at it, else reads one and hashes it as a chunk. Two share
a file evenly; more than three gain nothing, since nothing is faster than the flat hash.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import Final

from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.content.reading import CHUNK_PREFIX, opened
from ledger.content.walking import FoundFile, file_changed
from ledger.merkle import compute_root
from ledger.types import Bytes32

__all__ = ["MAX_THREADS", "FilePipeline"]

MAX_THREADS: Final = 3
_BUFFERS: Final = 6
_PIECE_SIZE_BYTES: Final = 1 << 18

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
        self._piece = memoryview(bytearray(_PIECE_SIZE_BYTES))
        self._read = self._flat_done = 0
        self._flat_taken = False
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
        index = self._read
        if not self._flat_taken and self._flat_done in self._chunks:
            self._flat_taken = True
            return self._hash_flat
        if index == self._chunk_count:
            return None
        if self.threads == 1 and index == self._flat_done and not self._flat_taken:
            self._read, self._flat_taken = index + 1, True
            return lambda: self._hash_both(index)
        if self._lent < _BUFFERS:
            self._read, self._lent = index + 1, self._lent + 1
            buffer = self._spare.pop() if self._spare else bytearray(CHUNK_SIZE_BYTES)
            return lambda: self._hash_leaf(index, buffer)
        return None

    def _hash_both(self, index: int) -> None:
        """Read a chunk and give each piece to both hashes; the next in order, so that nobody is at the flat hash."""
        start, leaf = index * CHUNK_SIZE_BYTES, hashlib.sha256(CHUNK_PREFIX)
        size = min(CHUNK_SIZE_BYTES, self.found.stamp.size_bytes - start)
        for first in range(0, size, _PIECE_SIZE_BYTES):
            piece = self._piece[: size - first]
            self._fill(piece, start + first)
            self._flat.update(piece)
            leaf.update(piece)
        self._count(size)
        with self._changed:
            self._keep(index, leaf.digest())
            self._flat_done += 1
            self._flat_taken = False

    def _hash_leaf(self, index: int, buffer: bytearray) -> None:
        """Read a chunk and hash it as such; the flat hash comes to it in its turn."""
        start, leaf = index * CHUNK_SIZE_BYTES, hashlib.sha256(CHUNK_PREFIX)
        chunk = memoryview(buffer)[: self.found.stamp.size_bytes - start]
        for first in range(0, len(chunk), _PIECE_SIZE_BYTES):
            piece = chunk[first : first + _PIECE_SIZE_BYTES]
            self._fill(piece, start + first)
            leaf.update(piece)
        with self._changed:
            self._keep(index, leaf.digest())
            self._chunks[index] = chunk

    def _hash_flat(self) -> None:
        chunk = self._chunks[self._flat_done]
        self._flat.update(chunk)
        self._count(len(chunk))
        with self._changed:
            buffer = self._chunks.pop(self._flat_done).obj
            self._spare.append(buffer)  # type: ignore[arg-type]  # a view's object is what it was made of
            self._lent -= 1
            self._flat_done += 1
            self._flat_taken = False

    def _fill(self, piece: memoryview, offset: int) -> None:
        filled = 0
        while filled < len(piece):
            size = os.preadv(self._descriptor, [piece[filled:]], offset + filled)
            if not size:
                raise file_changed(self.found.path)
            filled += size

    def _keep(self, index: int, leaf: bytes) -> None:
        self._early[index] = leaf
        while (leaf_hash := self._early.pop(len(self._leaf_hashes), None)) is not None:
            self._leaf_hashes.append(leaf_hash)
