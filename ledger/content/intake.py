"""Checking the bytes of one file as they arrive, before any of them is kept or passed on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ledger.content.chunks import ChunkMismatchError, check_chunk_hashes, derive_chunk_hashes
from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.content.reading import FileHasher
from ledger.errors import VerificationError

__all__ = ["FileIntake", "cut_chunks", "verify_stream"]

_LEAVES: Final = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="concord-leaves")
"""Hashes full chunks as leaves while the flat hash takes them elsewhere; its threads begin with the first one."""


class FileIntake:
    """Cuts a stream of any pieces into chunks and checks them against an entry, each as soon as it is whole.

    Without chunk hashes only the end can tell; what came must then not be used before `finish`.
    """

    def __init__(self, entry: FileEntry, chunk_hashes: Sequence[bytes] | None = None) -> None:
        """Expect the bytes of ``entry``.

        Raises:
            VerificationError: ``chunk_hashes`` are not those of ``entry``.
        """
        if chunk_hashes is not None:
            check_chunk_hashes(entry, chunk_hashes)
        self._entry = entry
        self._expected = chunk_hashes if chunk_hashes is not None else derive_chunk_hashes(entry)
        self._hasher = FileHasher(_LEAVES)
        self._buffer = bytearray()
        self._received = 0

    @property
    def leaf_hashes(self) -> tuple[bytes, ...]:
        """The hashes of the chunks that were checked so far."""
        return tuple(self._hasher.leaf_hashes)

    def split(self, piece: bytes) -> Iterator[bytes]:
        """Take the next piece and yield the chunks that it completes; they are not checked yet.

        Raises:
            VerificationError: more bytes than the entry names; none of the piece is taken then.
        """
        self._received += len(piece)
        if self._received > self._entry.size_bytes:
            raise VerificationError(
                f"more bytes arrived than the {self._entry.size_bytes} of {self._entry.path}",
                expected=self._entry.size_bytes,
                found=self._received,
            )
        is_last = self._received == self._entry.size_bytes
        if not self._buffer and (len(piece) == CHUNK_SIZE_BYTES or (is_last and 0 < len(piece) < CHUNK_SIZE_BYTES)):
            yield piece  # a chunk as it is, which needs no copy
            return
        self._buffer += piece
        yield from cut_chunks(self._buffer, is_last=is_last)

    def check(self, chunk: bytes) -> None:
        """Hash the next chunk.

        Raises:
            ChunkMismatchError: its hash is known and is another.
        """
        index = len(self._hasher.leaf_hashes)
        found = self._hasher.update(chunk)
        if self._expected is not None and found != self._expected[index]:
            raise ChunkMismatchError(self._entry, index, expected=self._expected[index], found=found)

    def finish(self) -> None:
        """Check the whole once the stream has ended.

        Raises:
            VerificationError: fewer bytes than the entry names, another root or another SHA-256.
        """
        entry = self._entry
        if self._received != entry.size_bytes:
            raise VerificationError(
                f"{entry.path} ended after {self._received} of {entry.size_bytes} bytes: send it again",
                expected=entry.size_bytes,
                found=self._received,
            )
        actual = self._hasher.to_entry(entry.path)
        if actual.root != entry.root:
            raise VerificationError(f"{entry.path} has another root", expected=entry.root, found=actual.root)
        if actual.sha256 != entry.sha256:
            raise VerificationError(f"{entry.path} has another SHA-256", expected=entry.sha256, found=actual.sha256)


def cut_chunks(buffer: bytearray, *, is_last: bool) -> Iterator[bytes]:
    """Take the whole chunks out of ``buffer``, and what remains too when it holds the file's last byte."""
    while len(buffer) >= CHUNK_SIZE_BYTES or (is_last and buffer):
        with memoryview(buffer) as view:
            chunk = bytes(view[:CHUNK_SIZE_BYTES])
        del buffer[:CHUNK_SIZE_BYTES]
        yield chunk


async def verify_stream(intake: FileIntake, stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the stream's chunks, each after it was checked; the end comes only after the whole was.

    Hashing runs in a thread, so that a large upload does not hold up the event loop.

    Raises:
        VerificationError: as `FileIntake`.
    """
    async for piece in stream:
        for chunk in intake.split(piece):
            await asyncio.to_thread(intake.check, chunk)
            yield chunk
    await asyncio.to_thread(intake.finish)
