"""Taking in the ciphertext of a sealing without its key: cut into its sealed chunks, hashed, described."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from itertools import islice

from ledger.content.ahead import work_ahead
from ledger.content.manifest import Manifest
from ledger.content.sealing import SEALED_CHUNK_SIZE_BYTES, SealedFile, SealingDescriptor
from ledger.content.sealing_files import sealed_size
from ledger.errors import MalformedError
from ledger.merkle import compute_root, leaf_hash
from ledger.types import Bytes32

__all__ = ["CiphertextIntake"]


class CiphertextIntake:
    """Takes the ciphertext of one version, sealed by somebody else. Use one for each sealing, once.

    How large each sealed file is follows from the manifest; that the chunks open, only the key can show.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._sizes = [sealed_size(entry) for entry in manifest.files]
        self._files: list[SealedFile] = []
        self._leaves: list[bytes] = []

    @property
    def size_bytes(self) -> int:
        """The size that the ciphertext must have."""
        return sum(self._sizes)

    @property
    def leaves(self) -> bytes:
        """The leaf hashes of all chunks that were taken, 32 bytes each."""
        return b"".join(self._leaves)

    async def take(self, stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the sealed chunks of a stream whose pieces have any size; each is hashed while the next one arrives.

        Raises:
            MalformedError: the stream has fewer or more bytes than the sealed files.
            Whatever ``stream`` raises.
        """
        async with aclosing(work_ahead(self._cut(aiter(stream)), _hash)) as hashed:
            async for chunk, leaf in hashed:
                self._leaves.append(leaf)
                yield chunk
        leaves = iter(self._leaves)
        for size in self._sizes:
            root = compute_root(list(islice(leaves, -(-size // SEALED_CHUNK_SIZE_BYTES))))
            self._files.append(SealedFile(size, Bytes32(root)))

    async def _cut(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        buffer = bytearray()
        for size in self._sizes:
            for first in range(0, size, SEALED_CHUNK_SIZE_BYTES):
                wanted = min(SEALED_CHUNK_SIZE_BYTES, size - first)
                while len(buffer) < wanted:
                    buffer += await self._next(pieces)
                with memoryview(buffer) as view:
                    chunk = bytes(view[:wanted])
                del buffer[:wanted]
                yield chunk
        if buffer or await self._has_more(pieces):
            raise MalformedError(f"more came than the {self.size_bytes} bytes that the version has when it is sealed")

    async def _has_more(self, pieces: AsyncIterator[bytes]) -> bool:
        async for piece in pieces:
            if piece:
                return True
        return False

    async def _next(self, pieces: AsyncIterator[bytes]) -> bytes:
        try:
            return await anext(pieces)
        except StopAsyncIteration:
            raise MalformedError(
                f"fewer came than the {self.size_bytes} bytes that the version has when it is sealed"
            ) from None

    def finish(self, key_commitment: Bytes32) -> SealingDescriptor:
        """Return the descriptor of what was taken, once all of it is."""
        if len(self._files) != len(self._sizes):
            raise RuntimeError("a sealing is described once all its files were taken")
        return SealingDescriptor(key_commitment, tuple(self._files))


def _hash(chunk: bytes) -> tuple[bytes, bytes]:
    return chunk, leaf_hash(chunk)
