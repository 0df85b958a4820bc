"""Data sets for the tests of ledger.content and of whatever stands on it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from os import SEEK_END, SEEK_SET
from pathlib import Path

from ledger.content import CHUNK_SIZE_BYTES, FileEntry, Manifest, hash_bytes

__all__ = [
    "collect",
    "flip_bit",
    "make_bytes",
    "make_entry",
    "make_manifest",
    "pieces_of",
    "sorted_by_bytes",
    "unprivileged",
    "write_files",
]

_NOBODY = 65534


def make_bytes(seed: str, size_bytes: int) -> bytes:
    """Return bytes that look random and are the same in every run."""
    return hashlib.shake_256(seed.encode()).digest(size_bytes)


def make_entry(path: str, size_bytes: int = 10) -> FileEntry:
    """Return the entry of a file with made-up bytes."""
    return hash_bytes(path, make_bytes(path, size_bytes))[0]


def make_manifest(*paths: str) -> Manifest:
    """Return a manifest of small made-up files, in the order given."""
    return Manifest(tuple(make_entry(path) for path in paths))


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below ``folder`` and return it."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


async def pieces_of(data: bytes, size_bytes: int = CHUNK_SIZE_BYTES // 3) -> AsyncIterator[bytes]:
    """Send ``data`` in pieces that do not end where chunks do."""
    for first in range(0, len(data), size_bytes):
        yield data[first : first + size_bytes]


async def collect(pieces: AsyncIterator[bytes]) -> bytes:
    """Return all bytes of a stream."""
    return b"".join([piece async for piece in pieces])


def flip_bit(path: Path, position: int, bit: int = 0) -> None:
    """Change one bit of a file in place; a negative position counts from the end."""
    with path.open("r+b") as file:
        place = file.seek(position, SEEK_END if position < 0 else SEEK_SET)
        value = file.read(1)[0]
        file.seek(place)
        file.write(bytes([value ^ (1 << bit)]))


def sorted_by_bytes(paths: Iterable[str]) -> list[str]:
    """Return paths in the order of a manifest."""
    return sorted(paths, key=lambda path: path.encode("utf-8"))


@contextmanager
def unprivileged(folder: str) -> Iterator[None]:
    """Give up root's right to read everything, where tests run as root; ``folder`` goes to who remains."""
    user = os.geteuid()
    if user != 0:
        yield
        return
    os.chown(folder, _NOBODY, -1)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
