"""Reading a file once, chunk by chunk, and noticing when it does not hold still."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.content.walking import FoundFile, file_changed, file_unreadable, stamp_of
from ledger.merkle import compute_root
from ledger.types import Bytes32

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

__all__ = ["CHUNK_PREFIX", "FileHasher", "hash_bytes", "hash_chunk", "hash_small_file", "opened", "read_chunks"]

CHUNK_PREFIX: Final = b"\x00"
"""What stands before a chunk when it is hashed as a leaf, RFC 6962, section 2.1."""

# A pipe put in a file's place must not block the open, nor a link be followed; Windows has neither, and text mode.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class FileHasher:
    """The flat SHA-256 and the chunk hashes of one file, from one pass over its chunks."""

    def __init__(self, leaf_pool: Executor | None = None) -> None:
        """Hash full chunks in ``leaf_pool``, when there is one, while the flat hash runs here."""
        self._flat = hashlib.sha256()
        self._leaf_pool = leaf_pool
        self.leaf_hashes: list[bytes] = []
        self.size_bytes = 0

    def update(self, chunk: bytes) -> bytes:
        """Take the next chunk (1 MiB, the last one shorter) and return its leaf hash."""
        if self._leaf_pool is None or len(chunk) < CHUNK_SIZE_BYTES:
            self._flat.update(chunk)
            leaf = hash_chunk(chunk)
        else:
            pending = self._leaf_pool.submit(hash_chunk, chunk)
            self._flat.update(chunk)
            leaf = pending.result()
        self.leaf_hashes.append(leaf)
        self.size_bytes += len(chunk)
        return leaf

    def to_entry(self, path: str) -> FileEntry:
        """Return the manifest entry of what was taken.

        Raises:
            MalformedError: ``path`` can not stand in a manifest.
        """
        root = Bytes32(compute_root(self.leaf_hashes))
        return FileEntry(path=path, size_bytes=self.size_bytes, sha256=Bytes32(self._flat.digest()), root=root)


def hash_chunk(chunk: Buffer) -> bytes:
    """Return the leaf hash of a chunk, SHA-256(0x00 || chunk), as RFC 6962 has it, without copying the chunk."""
    digest = hashlib.sha256(CHUNK_PREFIX)
    digest.update(chunk)
    return digest.digest()


def hash_bytes(path: str, data: bytes) -> tuple[FileEntry, tuple[bytes, ...]]:
    """Return the manifest entry and the chunk hashes of ``data`` held in memory.

    Raises:
        MalformedError: ``path`` can not stand in a manifest.
    """
    hasher = FileHasher()
    for first in range(0, len(data), CHUNK_SIZE_BYTES):
        hasher.update(data[first : first + CHUNK_SIZE_BYTES])
    return hasher.to_entry(path), tuple(hasher.leaf_hashes)


def hash_small_file(found: FoundFile) -> tuple[FileEntry, tuple[bytes, ...]]:
    """Return the manifest entry and the chunk hashes of a file of at most one chunk, read at once.

    Raises:
        ConflictError, UnavailableError: as `read_chunks`.
    """
    size_bytes = found.stamp.size_bytes
    with opened(found) as descriptor:
        # One byte more than there should be: what has grown is seen, and no second read needed to see that it has not.
        data = os.read(descriptor, size_bytes + 1)
        if 0 < len(data) < size_bytes:
            data += _read_fully(descriptor, size_bytes + 1 - len(data))
        if len(data) != size_bytes:
            raise file_changed(found.path)
    if not data:
        return hash_bytes(found.path, data)
    leaf = hash_chunk(data)
    sha256 = Bytes32(hashlib.sha256(data).digest())
    return FileEntry(path=found.path, size_bytes=size_bytes, sha256=sha256, root=Bytes32(leaf)), (leaf,)


def read_chunks(found: FoundFile) -> Iterator[bytes]:
    """Yield the chunks of a file; memory stays at one chunk whatever its size.

    Raises:
        ConflictError: size, time or inode are not (or no longer, once all is read) those of ``found.stamp``; code
            ``file-changed``.
        UnavailableError: the file can not be read.
    """
    with opened(found) as descriptor:
        remaining = found.stamp.size_bytes
        while remaining:
            chunk = _read_fully(descriptor, min(CHUNK_SIZE_BYTES, remaining))
            if not chunk:
                raise file_changed(found.path)
            remaining -= len(chunk)
            yield chunk
        if os.read(descriptor, 1):
            raise file_changed(found.path)


@contextmanager
def opened(found: FoundFile) -> Iterator[int]:
    """Lend a descriptor to read the file by.

    Raises:
        ConflictError: it is not, or at the end no longer, the file of ``found.stamp``; code ``file-changed``.
        UnavailableError: it can not be read.
    """
    try:
        descriptor = os.open(found.place, _FLAGS)
    except FileNotFoundError as error:
        raise file_changed(found.path) from error
    except OSError as error:
        raise file_unreadable(found.path, error) from error
    try:
        _check_unchanged(found, os.fstat(descriptor))
        yield descriptor
        _check_unchanged(found, os.fstat(descriptor))
    except OSError as error:
        raise file_unreadable(found.path, error) from error
    finally:
        os.close(descriptor)


def _check_unchanged(found: FoundFile, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or stamp_of(status) != found.stamp:
        raise file_changed(found.path)


def _read_fully(descriptor: int, size_bytes: int) -> bytes:
    """Read ``size_bytes``, fewer only at the end of the file: a chunk may not be cut where a read happens to stop."""
    data = os.read(descriptor, size_bytes)
    while 0 < len(data) < size_bytes:
        more = os.read(descriptor, size_bytes - len(data))
        if not more:
            break
        data += more
    return data
