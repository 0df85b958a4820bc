"""Sealings in a bucket of a real S3 server: beside the files, whole or not at all, read by ranges, and removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest

from ledger.content import CHUNK_SIZE_BYTES, FileEntry, Manifest, hash_bytes
from ledger.content.chunks import ChunkIndex
from ledger.content.objects import Patience
from ledger.content.sealing import SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileOpener, open_chunks
from ledger.content.sealing_store import SealedObjects, StoredSealingError
from ledger.content.sealing_version import VersionSealer
from ledger.content.store import ContentStore
from ledger.errors import NotFoundError, UnavailableError
from tests.support.content import collect, flip_bit, make_bytes, pieces_of
from tests.support.fault_proxy import Asked, Fault, FaultProxy
from tests.support.versitygw import S3Server

FILES: Final = {"a.csv": b"hour,mwh\n", "b": b"", "c.bin": make_bytes("sealed", 18 * CHUNK_SIZE_BYTES + 7)}
HASHED: Final = {path: hash_bytes(path, data) for path, data in FILES.items()}
MANIFEST: Final = Manifest(tuple(entry for entry, _ in HASHED.values()))
CHUNKS: Final = ChunkIndex({path: hashes for path, (_, hashes) in HASHED.items()})
KEY: Final = SealingKey(bytes(range(32)))
FOLDER: Final = f"site/a/sealings/{KEY.commitment.hex()}"


def open_objects() -> SealedObjects:
    return SealedObjects.beside(ContentStore.open("s3://contents/site/a", patience=Patience(retries=1, retry_s=5)))


async def read(entry: FileEntry) -> AsyncIterator[bytes]:
    return pieces_of(FILES[entry.path])


def seal() -> SealingDescriptor:
    async def run() -> SealingDescriptor:
        objects, sealer = open_objects(), VersionSealer(KEY, MANIFEST, CHUNKS)
        await objects.place_data(KEY.commitment, sealer.seal(read), sealer.size_bytes)
        descriptor = sealer.finish()
        await objects.place_descriptor(descriptor, sealer.leaves)
        assert await objects.is_complete(KEY.commitment)
        return descriptor

    return asyncio.run(run())


async def listed(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


def test_a_sealing_lies_beside_the_files_and_opens(server: S3Server, proxy: FaultProxy) -> None:
    descriptor, objects = seal(), open_objects()
    assert server.object_names() == [f"{FOLDER}/{name}" for name in ("data", "leaves", "sealing.json")]
    assert (server.bucket / FOLDER / "data").stat().st_size == descriptor.size_bytes
    chunks = asyncio.run(listed(objects.read_chunks(descriptor)))
    for position, entry in enumerate(MANIFEST.files):
        first = descriptor.first_chunks[position]
        own = chunks[first : first + descriptor.files[position].chunk_count]
        assert b"".join(open_chunks(FileOpener(KEY, entry), own, CHUNKS[entry.path])) == FILES[entry.path]
    assert asyncio.run(listed(objects.read_chunks(descriptor, 5, 11))) == chunks[5:12]
    assert asyncio.run(collect(objects.read_bytes(descriptor, 7, 99))) == b"".join(chunks[:3])[7:100]
    asyncio.run(objects.audit(descriptor))
    flip_bit(server.bucket / FOLDER / "data", -1)
    with pytest.raises(StoredSealingError):
        asyncio.run(objects.audit(descriptor))
    for _ in range(2):
        asyncio.run(objects.remove(KEY.commitment))
    assert server.object_names() == []
    with pytest.raises(NotFoundError):
        asyncio.run(collect(objects.read_bytes(descriptor)))


def test_a_store_that_fails_while_a_sealing_is_written_keeps_nothing(server: S3Server, proxy: FaultProxy) -> None:
    def fail(asked: Asked) -> Fault | None:
        return Fault(status=503) if "partNumber=2" in asked.target else None

    proxy.rule = fail
    with pytest.raises(UnavailableError):
        seal()
    proxy.rule = None
    assert (server.object_names(), server.parts()) == ([], [])
    assert seal().chunk_count == 21
