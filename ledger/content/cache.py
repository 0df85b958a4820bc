"""Hashes kept from one scan to the next, so that a rerun reads only what is new or changed (docs/spec/manifest.md).

A file of lines, each with a checksum of its own and appended in one write: a line cut short or damaged is as if it were
not there, and two scans at once lose at worst what the other would have kept. What stands in it is believed: it belongs
to the user who scans, and nobody else may write to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.errors import MalformedError, UnavailableError
from ledger.merkle import HASH_SIZE_BYTES, compute_root
from ledger.types import Bytes32

__all__ = ["SETTLED_NS", "HashCache", "Mark"]

SETTLED_NS: Final = 3_000_000_000
"""How long a file must have been left alone before it was read: FAT keeps times to two seconds."""
_CHECKSUM_SIZE: Final = 16
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

Mark = tuple[int | str, ...]
"""What tells one content of a name from another: ``(size, mtime, ctime, inode, device)`` of a file."""
Hashed = tuple[FileEntry, tuple[bytes, ...]]


class _Record(NamedTuple):
    mark: Mark
    read_at_ns: int
    sha256: str
    leaves: str

    def to_line(self, path: str) -> bytes:
        payload = json.dumps([path, *self], separators=(",", ":")).encode()
        return _checksum(payload) + b" " + payload + b"\n"


@dataclass
class _Kept:
    """One scan's view of the file: what it read, and which of that still counts."""

    records: dict[str, _Record]
    lines: int
    used: dict[str, _Record]


class HashCache:
    """Hashes by path and mark. Safe for many threads; several processes may share the file."""

    def __init__(self, file: Path, descriptor: int, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._file = file
        self._descriptor = descriptor
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._kept = _load(_read_all(descriptor))
        self.failure: str | None = None

    @classmethod
    def open(cls, file: Path, now_ns: Callable[[], int] = time.time_ns) -> Self:
        """Open ``file``, made with its folder when missing, for its owner alone.

        Raises:
            UnavailableError: it can not be opened, is no file, or somebody else owns it or may write to it.
        """
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(file, _FLAGS, 0o600)
        except OSError as error:
            raise UnavailableError(f"the cache of hashes {file} can not be opened: {error.strerror}") from error
        try:
            _check_owner(file, os.fstat(descriptor))
            return cls(file, descriptor, now_ns)
        except BaseException:
            os.close(descriptor)
            raise

    def find(self, path: str, mark: Mark) -> Hashed | None:
        """Return what was kept of a file with this mark; nothing when it was read after what the clock says now."""
        record = self._kept.records.get(path)
        if record is None or record.mark != mark or record.read_at_ns > self._now_ns():
            return None
        try:
            hashed = _parse(path, record)
        except (MalformedError, ValueError):
            return None
        with self._lock:
            self._kept.used[path] = record
        return hashed

    def add(self, hashed: Sequence[tuple[Hashed, Mark, int]]) -> None:
        """Keep hashes, with the mark of each file and when its reading began; a disk that refuses ends the keeping."""
        records = {entry.path: _record_of(entry, leaves, mark, at) for (entry, leaves), mark, at in hashed}
        lines = b"".join(record.to_line(path) for path, record in records.items())
        with self._lock:
            self._kept.used.update(records)
            if self.failure is None and lines:
                self._append(lines)
                self._kept.lines += len(records)

    def close(self, *, tidy: bool = False) -> None:
        """Close the file; with ``tidy``, after a scan that came to its end, drop what it did not meet."""
        try:
            if tidy and self.failure is None and self._kept.lines > len(self._kept.used):
                self._rewrite()
        except OSError as error:
            self.failure = error.strerror
        finally:
            os.close(self._descriptor)

    def _append(self, lines: bytes) -> None:
        try:
            written = os.write(self._descriptor, lines)
        except OSError as error:
            self.failure = error.strerror
            return
        if written < len(lines):
            self.failure = "the disk is full"

    def _rewrite(self) -> None:
        staged = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                target.writelines(record.to_line(path) for path, record in self._kept.used.items())
            staged.replace(self._file)
        finally:
            staged.unlink(missing_ok=True)


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest()[:_CHECKSUM_SIZE].encode()


def _check_owner(file: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnavailableError(f"the cache of hashes {file} is no file")
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        raise UnavailableError(
            f"the cache of hashes {file} is not used: somebody else owns it or may write to it; remove it"
        )


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as source:
        source.seek(0)
        raw = source.read()
    if raw and not raw.endswith(b"\n"):
        os.write(descriptor, b"\n")  # what is appended must not join a line that was cut short
    return raw


def _load(raw: bytes) -> _Kept:
    lines = raw.split(b"\n")
    records: dict[str, _Record] = {}
    for line in lines:
        checksum, _, payload = line.partition(b" ")
        if payload and checksum == _checksum(payload):
            path, mark, read_at_ns, sha256, leaves = json.loads(payload)
            records[path] = _Record(tuple(mark), read_at_ns, sha256, leaves)
    return _Kept(records, len(lines) - 1, {})


def _record_of(entry: FileEntry, leaves: Sequence[bytes], mark: Mark, read_at_ns: int) -> _Record:
    return _Record(mark, read_at_ns, entry.sha256.hex(), b"".join(leaves).hex())


def _parse(path: str, record: _Record) -> Hashed:
    raw = bytes.fromhex(record.leaves)
    leaves = tuple(raw[first : first + HASH_SIZE_BYTES] for first in range(0, len(raw), HASH_SIZE_BYTES))
    size_bytes = int(record.mark[0])
    if len(leaves) != -(-size_bytes // CHUNK_SIZE_BYTES):
        raise MalformedError(f"the kept hashes of {path} are not as many as its chunks")
    root = Bytes32(compute_root(leaves))
    return FileEntry(path, size_bytes, Bytes32(bytes.fromhex(record.sha256)), root), leaves
