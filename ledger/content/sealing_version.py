"""Sealing all files of a version as one stream of sealed chunks, whatever its size, in the memory of a few chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Final

from ledger.content.ahead import work_ahead
from ledger.content.chunks import ChunkIndex
from ledger.content.intake import ChunkJoiner
from ledger.content.manifest import FileEntry, Manifest
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

    def seal(numbered: tuple[int, bytes]) -> tuple[bytes, bytes]:
        return sealer.seal_at(*numbered)

    async with aclosing(work_ahead(_cut(entry, pieces), seal, _AT_ONCE)) as sealing:
        async for sealed, leaf in sealing:
            sealer.keep(sealed, leaf)
            yield sealed


async def _cut(entry: FileEntry, pieces: AsyncIterator[bytes]) -> AsyncGenerator[tuple[int, bytes], None]:
    """The chunks of a file whose bytes come in pieces of any size, numbered."""
    joiner, received, index = ChunkJoiner(), 0, 0
    async for piece in pieces:
        received += len(piece)
        if received > entry.size_bytes:
            raise VerificationError(f"{entry.path} has more bytes than the {entry.size_bytes} of its entry")
        for chunk in joiner.cut(piece, is_last=received == entry.size_bytes):
            yield index, chunk
            index += 1
