"""Sealed objects beside the content store's files: written whole or not at all, read by ranges, audited without a key.

    sealings/<id>/data            the sealed chunks of all files, one after another in the order of the manifest
    sealings/<id>/leaves          their leaf hashes, 32 bytes each
    sealings/<id>/sealing.json    the descriptor, written last: what is here with it is complete

Whoever receives chunks checks them, so they are read as they are; `SealedObjects.audit` hashes them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import Final

import obstore
from obstore.store import ObjectStore

from ledger.content.placement import Placement, translate_errors
from ledger.content.sealing import SEALED_CHUNK_SIZE_BYTES, SealingDescriptor, check_sealed_leaves
from ledger.content.store import ContentStore
from ledger.errors import NotFoundError, VerificationError
from ledger.merkle import HASH_SIZE_BYTES, leaf_hash
from ledger.types import Bytes32

__all__ = ["SealedObjects", "StoredSealingError"]

_WINDOW_SIZE_BYTES: Final = 2 * SEALED_CHUNK_SIZE_BYTES
_NAMES: Final = ("sealing.json", "leaves", "data")


class StoredSealingError(VerificationError):
    """What the store holds of a sealing is not what was sealed: somebody or something changed it."""


class SealedObjects:
    """The sealings of one content store."""

    def __init__(self, objects: ObjectStore, placement: Placement) -> None:
        self._objects = objects
        self._placement = placement

    @classmethod
    def beside(cls, content: ContentStore) -> SealedObjects:
        """Keep sealings in the folder or bucket of ``content``."""
        return cls(content.objects, content.placement)

    async def place_data(self, sealing: Bytes32, chunks: AsyncGenerator[bytes, None], size_bytes: int) -> None:
        """Write the sealed chunks. Raises: UnavailableError, and whatever ``chunks`` raises; nothing stays then."""
        await self._placement.place(_key(sealing, "data"), chunks, size_bytes)

    async def place_descriptor(self, descriptor: SealingDescriptor, leaves: bytes) -> None:
        """Write what goes with the sealed chunks; the sealing is complete then. Raises: UnavailableError."""
        sealing, text = descriptor.key_commitment, descriptor.to_bytes()
        await self._placement.place(_key(sealing, "leaves"), _once(leaves), len(leaves))
        await self._placement.place(_key(sealing, "sealing.json"), _once(text), len(text))

    async def is_complete(self, sealing: Bytes32) -> bool:
        """Whether its objects are there; what they hold `audit` says. Raises: UnavailableError."""
        try:
            with translate_errors("find a sealing"):
                for name in _NAMES:
                    await obstore.head_async(self._objects, _key(sealing, name))
        except NotFoundError:
            return False
        return True

    async def load_leaves(self, descriptor: SealingDescriptor) -> bytes:
        """Return the leaf hashes of all sealed chunks, 32 bytes each, as they are stored.

        Raises:
            NotFoundError: the sealing is not here any more.
            UnavailableError: the store failed.
        """
        with translate_errors("read the hashes of a sealing"):
            stored = await obstore.get_async(self._objects, _key(descriptor.key_commitment, "leaves"))
            return bytes(await stored.bytes_async())

    async def load_file_leaves(self, descriptor: SealingDescriptor, position: int) -> tuple[bytes, ...]:
        """Return the leaf hashes of one file's sealed chunks, checked against its root.

        Raises:
            NotFoundError, UnavailableError: as `load_leaves`.
            StoredSealingError: the stored hashes are not those of the file.
        """
        file, first = descriptor.files[position], descriptor.first_chunks[position]
        if file.chunk_count == 1:
            return (file.root,)
        start, end = first * HASH_SIZE_BYTES, (first + file.chunk_count) * HASH_SIZE_BYTES
        with translate_errors("read the hashes of a sealing"):
            key = _key(descriptor.key_commitment, "leaves")
            raw = bytes(await obstore.get_range_async(self._objects, key, start=start, end=end))
        leaves = tuple(raw[place : place + HASH_SIZE_BYTES] for place in range(0, len(raw), HASH_SIZE_BYTES))
        try:
            check_sealed_leaves(file, leaves)
        except VerificationError as error:
            raise _changed(error) from error
        return leaves

    async def read_bytes(
        self, descriptor: SealingDescriptor, first_byte: int = 0, last_byte: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the sealing from ``first_byte`` to ``last_byte`` (included), as they are stored.

        Raises:
            ValueError: no such range.
            NotFoundError: the sealing is not here any more.
            StoredSealingError: it has another size than it had.
            UnavailableError: the store failed.
        """
        last_byte = descriptor.size_bytes - 1 if last_byte is None else last_byte
        if not 0 <= first_byte <= last_byte < descriptor.size_bytes:
            raise ValueError(f"the sealing has {descriptor.size_bytes} bytes, not a range {first_byte} to {last_byte}")
        key = _key(descriptor.key_commitment, "data")
        await self._check_size(descriptor, key)
        for start in range(first_byte, last_byte + 1, _WINDOW_SIZE_BYTES):
            end = min(start + _WINDOW_SIZE_BYTES, last_byte + 1)
            with translate_errors("read a sealing"):
                window = await obstore.get_range_async(self._objects, key, start=start, end=end)
            yield bytes(window)

    async def _check_size(self, descriptor: SealingDescriptor, key: str) -> None:
        with translate_errors("find a sealing"):
            size = (await obstore.head_async(self._objects, key))["size"]
        if size != descriptor.size_bytes:
            raise _changed(VerificationError(f"it has {size} bytes", expected=descriptor.size_bytes, found=size))

    async def read_chunks(
        self, descriptor: SealingDescriptor, first: int = 0, last: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the sealed chunks ``first`` to ``last`` (included) of the sealing, one by one, as they are stored.

        Raises:
            As `read_bytes`.
        """
        last = descriptor.chunk_count - 1 if last is None else last
        if not 0 <= first <= last < descriptor.chunk_count:
            raise ValueError(f"the sealing has {descriptor.chunk_count} chunks, not {first} to {last}")
        sizes, buffer = _chunk_sizes(descriptor, first, last), bytearray()
        size = next(sizes)
        async for window in self.read_bytes(
            descriptor, descriptor.chunk_span(first)[0], descriptor.chunk_span(last)[1]
        ):
            buffer += window
            place = 0
            while 0 < size <= len(buffer) - place:
                yield bytes(memoryview(buffer)[place : place + size])
                place, size = place + size, next(sizes, 0)
            del buffer[:place]

    async def audit(self, descriptor: SealingDescriptor) -> None:
        """Hash all that is stored of a sealing again; no key is needed.

        Raises:
            NotFoundError: the sealing is not here any more.
            StoredSealingError: a chunk or the list of hashes was changed.
            UnavailableError: the store failed.
        """
        chunks = self.read_chunks(descriptor)
        for position, file in enumerate(descriptor.files):
            leaves = await self.load_file_leaves(descriptor, position)
            for index in range(file.chunk_count):
                found = await asyncio.to_thread(leaf_hash, await anext(chunks))
                if found != leaves[index]:
                    sentence = f"sealed chunk {index} of file {position}"
                    raise _changed(VerificationError(sentence, expected=leaves[index], found=found))

    async def remove(self, sealing: Bytes32) -> None:
        """Remove all that is stored of a sealing; a second call does nothing. Raises: UnavailableError."""
        for name in _NAMES:
            with suppress(NotFoundError), translate_errors("delete a sealing"):
                await obstore.delete_async(self._objects, _key(sealing, name))


def _chunk_sizes(descriptor: SealingDescriptor, first: int, last: int) -> Iterator[int]:
    position, index = descriptor.locate(first)
    for _ in range(first, last + 1):
        file = descriptor.files[position]
        begin, end = file.chunk_span(index)
        yield end - begin + 1
        position, index = (position, index + 1) if index + 1 < file.chunk_count else (position + 1, 0)


def _changed(finding: VerificationError) -> StoredSealingError:
    return StoredSealingError(
        f"the stored sealing was changed: {finding}; seal the version again",
        expected=finding.expected,
        found=finding.found,
    )


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def _key(sealing: Bytes32, name: str) -> str:
    return f"sealings/{sealing.hex()}/{name}"
