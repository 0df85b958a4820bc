"""A version as it is delivered: what is stated of its sealing, and the sealed chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ledger.content.sealing import SealingDescriptor
from ledger.content.sealing_proofs import SealedFileProof, prove_sealed_chunk, prove_sealed_file
from ledger.content.sealing_store import SealedObjects
from ledger.types import Bytes32

__all__ = ["SealedChunkProof", "SealedVersion"]


@dataclass(frozen=True, slots=True)
class SealedChunkProof:
    """That sealed chunk ``index`` belongs to a sealed file (``hashes``), and that file to the sealing (``file``)."""

    file: SealedFileProof
    index: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SealedVersion:
    """A sealing that is stated in the log. ``id`` is its key commitment, ``statement`` the digest of its ``Sealing``.

    Its chunks are yielded as they are stored: whoever receives them checks them. Once another sealing took its place
    they are gone, and reading raises NotFoundError.
    """

    id: Bytes32
    registration: Bytes32
    dataset: Bytes32
    version: int
    statement: Bytes32
    descriptor: SealingDescriptor
    _objects: SealedObjects = field(repr=False)

    def read_chunks(self, position: int, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Yield sealed chunks ``first`` to ``last`` (included; by default the end) of the file at ``position``.

        Raises:
            ValueError: no such file or chunks.
            NotFoundError, StoredSealingError, UnavailableError: as `SealedObjects.read_bytes`, from the iterator.
        """
        files = self.descriptor.files
        if not 0 <= position < len(files):
            raise ValueError(f"the sealing has {len(files)} files, there is no file {position}")
        last = files[position].chunk_count - 1 if last is None else last
        if not 0 <= first <= last < files[position].chunk_count:
            raise ValueError(f"file {position} has {files[position].chunk_count} chunks, not {first} to {last}")
        begin = self.descriptor.first_chunks[position]
        return self._objects.read_chunks(self.descriptor, begin + first, begin + last)

    def read(self, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Yield the sealed chunks ``first`` to ``last`` (included) of the whole sealing. Raises: as `read_chunks`."""
        return self._objects.read_chunks(self.descriptor, first, last)

    def read_bytes(self, first_byte: int = 0, last_byte: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of the sealing from ``first_byte`` to ``last_byte`` (included). Raises: as `read_chunks`."""
        return self._objects.read_bytes(self.descriptor, first_byte, last_byte)

    async def leaves(self) -> bytes:
        """The leaf hashes of all sealed chunks, 32 bytes each. Raises: NotFoundError, UnavailableError."""
        return await self._objects.load_leaves(self.descriptor)

    async def leaf_hashes(self, position: int) -> tuple[bytes, ...]:
        """The leaf hashes of one file's sealed chunks, checked against its root.

        Raises:
            NotFoundError, StoredSealingError, UnavailableError: as `SealedObjects.load_file_leaves`.
        """
        return await self._objects.load_file_leaves(self.descriptor, position)

    async def prove(self, position: int, index: int) -> SealedChunkProof:
        """Prove one sealed chunk under the ciphertext root. Raises: ValueError, and as `leaf_hashes`."""
        file = self.descriptor.files[position]
        hashes = prove_sealed_chunk(file, await self.leaf_hashes(position), index)
        return SealedChunkProof(prove_sealed_file(self.descriptor, position), index, hashes)

    async def audit(self) -> None:
        """Hash all that is stored again, without the key. Raises: as `SealedObjects.audit`."""
        await self._objects.audit(self.descriptor)
