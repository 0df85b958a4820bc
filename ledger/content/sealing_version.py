"""Sealing all files of a version as one stream of sealed chunks, whatever its size, in the memory of a few chunks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Final

from ledger.content.chunks import ChunkIndex
from ledger.content.intake import cut_chunks
from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry, Manifest
from ledger.content.sealing import SealedFile, SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileSealer, sealed_size
from ledger.errors import VerificationError

__all__ = ["ReadFile", "VersionSealer"]

_AT_ONCE: Final = 3
"""Chunks that are sealed at the same time: two cores are kept busy while one chunk is written."""

ReadFile = Callable[[FileEntry], Coroutine[Any, Any, AsyncIterator[bytes]]]
"""Opens a file's plaintext, which comes in pieces of any size."""


class VersionSealer:
    """Seals the files of one manifest under one key. Use one for each sealing, once."""

    def __init__(self, key: SealingKey, manifest: Manifest, chunks: ChunkIndex | None = None) -> None:
        """Seal ``manifest``; ``chunks`` may be left out when no file has more than one chunk.

        Raises:
            VerificationError: the chunk hashes are not those of the manifest.
        """
        if chunks is not None:
            chunks.check(manifest)
        self._key = key
        self._manifest = manifest
        self._chunks = chunks
        self._files: list[SealedFile] = []
        self._leaves: list[bytes] = []

    @property
    def size_bytes(self) -> int:
        """The size that the ciphertext will have."""
        return sum(sealed_size(entry) for entry in self._manifest.files)

    @property
    def leaves(self) -> bytes:
        """The leaf hashes of all chunks that were sealed, 32 bytes each."""
        return b"".join(self._leaves)

    async def seal(self, read: ReadFile) -> AsyncGenerator[bytes, None]:
        """Yield all sealed chunks; encrypting and hashing run in a thread.

        Raises:
            ChunkMismatchError: a file has other bytes than the manifest names; nothing of them was encrypted.
            VerificationError: a file has more or fewer bytes than the manifest names.
            Whatever ``read`` raises.
        """
        for entry in self._manifest.files:
            sealer = FileSealer(self._key, entry, None if self._chunks is None else self._chunks[entry.path])
            async with aclosing(_seal_file(sealer, entry, await read(entry))) as chunks:
                async for sealed in chunks:
                    yield sealed
            self._files.append(sealer.finish())
            self._leaves += sealer.leaf_hashes

    def finish(self) -> SealingDescriptor:
        """Return the descriptor of what was sealed, once all of it is."""
        if len(self._files) != len(self._manifest.files):
            raise RuntimeError("a sealing is described once all its files are sealed")
        return SealingDescriptor(self._key.commitment, tuple(self._files))


async def _seal_file(sealer: FileSealer, entry: FileEntry, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    if not entry.size_bytes:
        yield sealer.seal(b"")
        return
    under_way: deque[asyncio.Future[tuple[bytes, bytes]]] = deque()
    try:
        index = 0
        async with aclosing(_cut(entry, pieces)) as chunks:
            async for chunk in chunks:
                under_way.append(asyncio.ensure_future(asyncio.to_thread(sealer.seal_at, index, chunk)))
                index += 1
                if len(under_way) == _AT_ONCE:
                    yield await _take(sealer, under_way)
        while under_way:
            yield await _take(sealer, under_way)
    finally:
        await asyncio.gather(*under_way, return_exceptions=True)  # where it ends early, no thread is left at work


async def _take(sealer: FileSealer, under_way: deque[asyncio.Future[tuple[bytes, bytes]]]) -> bytes:
    """The next chunk that is sealed, in order."""
    sealed, leaf = await asyncio.shield(under_way[0])  # a thread is not ended by a cancelled wait for it
    under_way.popleft()
    sealer.keep(sealed, leaf)
    return sealed


async def _cut(entry: FileEntry, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The chunks of a file whose bytes come in pieces of any size; whole ones are not put together again."""
    buffer, received = bytearray(), 0
    async for piece in pieces:
        received += len(piece)
        if received > entry.size_bytes:
            raise VerificationError(f"{entry.path} has more bytes than the {entry.size_bytes} of its entry")
        whole = 0 if buffer else len(piece) // CHUNK_SIZE_BYTES * CHUNK_SIZE_BYTES
        for first in range(0, whole, CHUNK_SIZE_BYTES):
            yield piece[first : first + CHUNK_SIZE_BYTES]
        buffer += memoryview(piece)[whole:]
        for chunk in cut_chunks(buffer, is_last=received == entry.size_bytes):
            yield chunk
