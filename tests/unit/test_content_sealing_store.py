"""Sealings in an object store: whole or not at all, read by ranges, audited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.content import ChunkIndex, FileEntry, Manifest, hash_bytes
from ledger.content.sealing import SEALED_CHUNK_SIZE_BYTES, SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileOpener, open_chunks, sealed_size
from ledger.content.sealing_store import SealedObjects, StoredSealingError
from ledger.content.sealing_version import VersionSealer
from ledger.content.store import ContentStore
from ledger.errors import NotFoundError, UnavailableError, VerificationError
from tests.support.content import collect, make_bytes, pieces_of

pytestmark = pytest.mark.anyio

MIB = 1 << 20
FILES = {"a": b"", "b": b"bytes", "c": make_bytes("c", 5 * MIB + 7), "d": make_bytes("d", 2 * MIB), "e": b""}
HASHED = {path: hash_bytes(path, data) for path, data in FILES.items()}
MANIFEST = Manifest(tuple(entry for entry, _ in HASHED.values()))
CHUNKS = ChunkIndex({path: hashes for path, (_, hashes) in HASHED.items()})
KEY = SealingKey(bytes(range(32)))


async def read(entry: FileEntry) -> AsyncIterator[bytes]:
    return pieces_of(FILES[entry.path])


async def seal_into(objects: SealedObjects) -> SealingDescriptor:
    sealer = VersionSealer(KEY, MANIFEST, CHUNKS)
    await objects.place_data(KEY.commitment, sealer.seal(read), sealer.size_bytes)
    descriptor = sealer.finish()
    assert not await objects.is_complete(KEY.commitment)
    await objects.place_descriptor(descriptor, sealer.leaves)
    assert await objects.is_complete(KEY.commitment)
    return descriptor


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[SealedObjects, SealingDescriptor, Path]:
    folder = tmp_path_factory.mktemp("sealed")
    objects = SealedObjects.beside(ContentStore.open(folder))
    return objects, asyncio.run(seal_into(objects)), folder / "sealings" / KEY.commitment.hex()


Sealed = tuple[SealedObjects, SealingDescriptor, Path]


def files_below(folder: Path) -> list[Path]:
    """All that is stored there."""
    return [path for path in folder.rglob("*") if path.is_file()]


async def listed(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


async def test_a_version_is_one_stream_of_chunks_that_opens(sealed: Sealed) -> None:
    objects, descriptor, folder = sealed
    descriptor.check_manifest(MANIFEST)
    assert (folder / "data").stat().st_size == descriptor.size_bytes == sum(map(sealed_size, MANIFEST.files))
    assert (folder / "sealing.json").read_bytes() == descriptor.to_bytes()
    assert await objects.load_leaves(descriptor) == (folder / "leaves").read_bytes()
    chunks = await listed(objects.read_chunks(descriptor))
    assert len(chunks) == descriptor.chunk_count == 11
    for position, entry in enumerate(MANIFEST.files):
        first, file = descriptor.first_chunks[position], descriptor.files[position]
        own = chunks[first : first + file.chunk_count]
        assert b"".join(open_chunks(FileOpener(KEY, entry), own, CHUNKS[entry.path])) == FILES[entry.path]
        assert len(await objects.load_file_leaves(descriptor, position)) == file.chunk_count
    await objects.audit(descriptor)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 2), (2, 7), (7, 10), (10, 10), (3, 3)])
async def test_any_chunks_are_read(sealed: Sealed, first: int, last: int) -> None:
    objects, descriptor, folder = sealed
    begin, end = descriptor.chunk_span(first)[0], descriptor.chunk_span(last)[1]
    chunks = await listed(objects.read_chunks(descriptor, first, last))
    assert len(chunks) == last - first + 1
    assert b"".join(chunks) == (folder / "data").read_bytes()[begin : end + 1]
    assert await collect(objects.read_bytes(descriptor, begin, end)) == b"".join(chunks)


async def test_only_what_there_is(sealed: Sealed) -> None:
    objects, descriptor, _ = sealed
    for first, last in ((-1, 0), (2, 1), (0, 11)):
        with pytest.raises(ValueError, match="not"):
            await listed(objects.read_chunks(descriptor, first, last))
    for first, last in ((-1, 0), (2, 1), (0, descriptor.size_bytes)):
        with pytest.raises(ValueError, match="not a range"):
            await listed(objects.read_bytes(descriptor, first, last))


async def test_what_is_removed_is_gone(tmp_path: Path) -> None:
    objects = SealedObjects.beside(ContentStore.open(tmp_path))
    descriptor = await seal_into(objects)
    reading = objects.read_chunks(descriptor)
    assert await anext(reading) == (tmp_path / "sealings" / KEY.commitment.hex() / "data").read_bytes()[:16]
    for _ in range(2):
        await objects.remove(KEY.commitment)
    assert not await objects.is_complete(KEY.commitment)
    with pytest.raises(NotFoundError):
        await listed(reading)
    for reads in (objects.load_leaves(descriptor), objects.load_file_leaves(descriptor, 2), objects.audit(descriptor)):
        with pytest.raises(NotFoundError):
            await reads
    with pytest.raises(NotFoundError):
        await listed(objects.read_bytes(descriptor))


async def test_a_change_is_found_without_the_key(tmp_path: Path) -> None:
    objects = SealedObjects.beside(ContentStore.open(tmp_path))
    descriptor = await seal_into(objects)
    folder = tmp_path / "sealings" / KEY.commitment.hex()
    data, leaves = (folder / "data").read_bytes(), (folder / "leaves").read_bytes()
    swapped = bytearray(data)
    one, two = (descriptor.chunk_span(chunk)[0] for chunk in (2, 3))
    swapped[one:two], swapped[two : two + SEALED_CHUNK_SIZE_BYTES] = data[two : 2 * two - one], data[one:two]
    for name, whole, changed in (
        ("data", data, bytes(swapped)),
        ("data", data, data[:-1] + bytes([data[-1] ^ 1])),
        ("data", data, data[:-1]),
        ("data", data, data + b"x"),
        ("leaves", leaves, leaves[:64] + bytes(32) + leaves[96:]),
    ):
        (folder / name).write_bytes(changed)
        with pytest.raises(StoredSealingError, match="seal the version again"):
            await objects.audit(descriptor)
        (folder / name).write_bytes(whole)
    await objects.audit(descriptor)


async def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    objects = SealedObjects.beside(ContentStore.open(tmp_path))

    async def other(entry: FileEntry) -> AsyncIterator[bytes]:
        data = FILES[entry.path]
        return pieces_of(data[:MIB] + bytes(len(data) - MIB) if entry.path == "c" else data)

    async def short(entry: FileEntry) -> AsyncIterator[bytes]:
        return pieces_of(FILES[entry.path][:-1] if entry.path == "c" else FILES[entry.path])

    async def long(entry: FileEntry) -> AsyncIterator[bytes]:
        return pieces_of(FILES[entry.path] + b"x" if entry.path == "b" else FILES[entry.path])

    async def gone(_entry: FileEntry) -> AsyncIterator[bytes]:
        raise UnavailableError("the disk is away")

    for source, error in ((other, VerificationError), (short, VerificationError), (long, VerificationError),
                          (gone, UnavailableError)):  # fmt: skip
        sealer = VersionSealer(KEY, MANIFEST, CHUNKS)
        with pytest.raises(error):
            await objects.place_data(KEY.commitment, sealer.seal(source), sealer.size_bytes)
        with pytest.raises(RuntimeError, match="all its files"):
            sealer.finish()
        assert files_below(tmp_path) == []


def test_a_version_is_sealed_by_its_own_hashes() -> None:
    other = ChunkIndex({path: hashes[::-1] for path, hashes in CHUNKS.by_path.items()})
    with pytest.raises(VerificationError):
        VersionSealer(KEY, MANIFEST, other)


async def test_small_files_need_no_hashes_beside_them() -> None:
    manifest = Manifest(MANIFEST.files[:2])
    sealer = VersionSealer(KEY, manifest)
    assert len(await collect(sealer.seal(read))) == sealer.size_bytes == 37
    assert sealer.finish().chunk_count == 2
