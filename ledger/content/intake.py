"""Checking the bytes of one file as they arrive, before any of them is kept or passed on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Final

from ledger.content.ahead import work_ahead
from ledger.content.chunks import ChunkMismatchError, check_chunk_hashes, derive_chunk_hashes
from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.content.reading import FileHasher
from ledger.errors import VerificationError

__all__ = ["ChunkJoiner", "FileIntake", "verify_stream"]

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
        self._joiner = ChunkJoiner()
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
        yield from self._joiner.cut(piece, is_last=self._received == self._entry.size_bytes)

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


class ChunkJoiner:
    """Cuts what comes in pieces of any size into chunks; a byte is copied once, and not where a piece is a chunk."""

    def __init__(self) -> None:
        self._pieces: list[memoryview] = []
        self._held = 0

    def cut(self, piece: bytes, *, is_last: bool) -> Iterator[bytes]:
        """Take the next piece and yield the chunks that are whole; the rest too, when it holds the file's last byte."""
        if not self._held and (len(piece) == CHUNK_SIZE_BYTES or (is_last and 0 < len(piece) < CHUNK_SIZE_BYTES)):
            yield piece
            return
        view = memoryview(piece)
        while view:
            part, view = view[: CHUNK_SIZE_BYTES - self._held], view[CHUNK_SIZE_BYTES - self._held :]
            self._pieces.append(part)
            self._held += len(part)
            if self._held == CHUNK_SIZE_BYTES:
                yield self._join()
        if is_last and self._held:
            yield self._join()

    def _join(self) -> bytes:
        chunk = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        return chunk


async def verify_stream(intake: FileIntake, stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the stream's chunks, each after it was checked; the end comes only after the whole was.

    A chunk is hashed in threads while the next one arrives.

    Raises:
        VerificationError: as `FileIntake`.
    """

    def check(chunk: bytes) -> bytes:
        intake.check(chunk)
        return chunk

    async with aclosing(work_ahead(_split(intake, stream), check)) as checked:
        async for chunk in checked:
            yield chunk
    await asyncio.to_thread(intake.finish)


async def _split(intake: FileIntake, stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    async for piece in stream:
        for chunk in intake.split(piece):
            yield chunk
