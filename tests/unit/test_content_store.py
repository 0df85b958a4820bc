"""The content store: checked on the way in, checked on the way out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore, S3Store

from ledger.content import CHUNK_SIZE_BYTES, ChunkMismatchError, FileEntry, hash_bytes
from ledger.content.placement import BucketPlacement
from ledger.content.store import ContentStore, StoredContentError
from ledger.errors import MalformedError, NotFoundError, UnavailableError, VerificationError
from ledger.types import Bytes32
from tests.support.content import collect, flip_bit, make_bytes, pieces_of

MIB = CHUNK_SIZE_BYTES
DATA = make_bytes("store", 3 * MIB + 100)
ENTRY, HASHES = hash_bytes("plants/large.bin", DATA)
SMALL, _ = hash_bytes("small.csv", b"hour,mwh\n")
EMPTY, _ = hash_bytes("empty", b"")


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStore:
    if request.param == "folder":
        return ContentStore.open(tmp_path / "content")
    memory = MemoryStore()
    return ContentStore(memory, BucketPlacement(memory))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "content"


@pytest.fixture
def local(folder: Path) -> ContentStore:
    return ContentStore.open(str(folder))


def put(store: ContentStore, entry: FileEntry, data: bytes, hashes: tuple[bytes, ...] | None = None) -> bool:
    return asyncio.run(store.put_file(entry, pieces_of(data), hashes))


def read(store: ContentStore, entry: FileEntry, first: int = 0, last: int | None = None) -> bytes:
    async def run() -> bytes:
        return await collect(await store.open_file(entry, first, last))

    return asyncio.run(run())


def stored_file(folder: Path, entry: FileEntry, kind: str = "files") -> Path:
    name = entry.sha256.hex()
    return folder / kind / name[:2] / name


def stored_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_small_files_are_put_together_and_heal_what_was_damaged(store: ContentStore) -> None:
    files = [hash_bytes(f"{number}.csv", str(number).encode() * number)[0] for number in range(30)]
    data = [str(number).encode() * number for number in range(30)]
    for _ in range(2):
        asyncio.run(store.put_files(list(zip(files, data, strict=True))))
        assert [read(store, entry) for entry in files] == data
    if isinstance(store.objects, LocalStore):
        place = stored_file(Path(str(store.objects.prefix)), files[7])
        place.write_bytes(b"damaged")
        asyncio.run(store.put_files([(files[7], data[7])]))
        assert read(store, files[7]) == data[7]


def test_of_small_files_none_is_kept_where_one_is_not_right(local: ContentStore, folder: Path) -> None:
    for wrong in (b"hour,mwh", b"hour,mwh\nx", b"hour,mwx\n"):
        with pytest.raises(VerificationError):
            asyncio.run(local.put_files([(EMPTY, b""), (SMALL, wrong)]))
    assert stored_names(folder) == []


@pytest.mark.parametrize("hashes", [HASHES, None])
def test_what_was_put_is_read_back(store: ContentStore, hashes: tuple[bytes, ...] | None) -> None:
    assert put(store, ENTRY, DATA, hashes) is True
    assert read(store, ENTRY) == DATA
    assert asyncio.run(store.load_chunk_hashes(ENTRY)) == HASHES
    asyncio.run(store.verify_file(ENTRY))


def test_small_and_empty_files_need_no_chunk_hashes(store: ContentStore, folder: Path) -> None:
    assert put(store, SMALL, b"hour,mwh\n")
    assert put(store, EMPTY, b"")
    assert (read(store, SMALL), read(store, EMPTY)) == (b"hour,mwh\n", b"")
    assert not (folder / "chunks").exists()
    asyncio.run(store.verify_file(EMPTY))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, None),
        (0, 0),
        (5, 9),
        (MIB - 1, MIB),
        (MIB, 2 * MIB - 1),
        (MIB + 7, 3 * MIB + 3),
        (3 * MIB + 99, 3 * MIB + 99),
        (3 * MIB + 100, None),
        (10, 9),
    ],
)
def test_ranges_are_cut_to_the_byte(store: ContentStore, first: int, last: int | None) -> None:
    put(store, ENTRY, DATA, HASHES)
    assert read(store, ENTRY, first, last) == DATA[first : None if last is None else last + 1]


@pytest.mark.parametrize(("first", "last"), [(-1, None), (0, 3 * MIB + 100), (7, 5), (3 * MIB + 101, None)])
def test_ranges_that_do_not_exist_are_a_caller_s_bug(store: ContentStore, first: int, last: int | None) -> None:
    put(store, ENTRY, DATA)
    with pytest.raises(ValueError, match="not a range"):
        read(store, ENTRY, first, last)


def test_what_was_not_put_is_not_found(store: ContentStore) -> None:
    for entry in (ENTRY, SMALL, EMPTY):
        with pytest.raises(NotFoundError):
            read(store, entry)
        with pytest.raises(NotFoundError):
            asyncio.run(store.verify_file(entry))
    with pytest.raises(NotFoundError):
        asyncio.run(store.load_chunk_hashes(ENTRY))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (DATA[:-1] + b"x", "chunk 3 of plants/large.bin"),
        (b"x" + DATA[1:], "chunk 0 of plants/large.bin"),
        (DATA + b"x", "more bytes"),
        (DATA[:-1], "ended after"),
        (b"", "ended after 0"),
    ],
)
def test_a_wrong_upload_is_refused_and_leaves_nothing(
    local: ContentStore, folder: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(VerificationError, match=reason):
        put(local, ENTRY, data, HASHES)
    assert stored_names(folder) == []
    with pytest.raises(NotFoundError):
        read(local, ENTRY)
    assert put(local, ENTRY, DATA, HASHES)


def test_the_first_wrong_chunk_ends_the_upload_before_the_rest_is_asked_for(local: ContentStore) -> None:
    sent = 0

    async def sending() -> AsyncIterator[bytes]:
        nonlocal sent
        for first in range(0, len(DATA), MIB):
            sent += 1
            yield bytes([DATA[first] ^ 1]) + DATA[first + 1 : first + MIB]

    with pytest.raises(ChunkMismatchError) as caught:
        asyncio.run(local.put_file(ENTRY, sending(), HASHES))
    assert caught.value.chunk == 0
    assert sent <= 2  # the next chunk comes while one is hashed


def test_a_sender_that_breaks_off_leaves_nothing(local: ContentStore, folder: Path) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield DATA[: 2 * MIB]
        raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(ConnectionResetError):
        asyncio.run(local.put_file(ENTRY, breaking(), HASHES))
    assert stored_names(folder) == []


def test_a_repeat_is_checked_and_stored_once(store: ContentStore) -> None:
    assert put(store, ENTRY, DATA, HASHES) is True
    assert put(store, ENTRY, DATA, HASHES) is False
    assert put(store, dataclasses.replace(ENTRY, path="same bytes"), DATA) is False


def test_knowing_a_hash_is_not_having_the_data(store: ContentStore) -> None:
    put(store, ENTRY, DATA)
    for data in (b"", b"x" * len(DATA)):
        with pytest.raises(VerificationError):
            put(store, ENTRY, data)
    assert read(store, ENTRY) == DATA


def test_two_uploads_of_the_same_file_at_once_both_succeed(local: ContentStore, folder: Path) -> None:
    async def both() -> list[bool]:
        return await asyncio.gather(*(local.put_file(ENTRY, pieces_of(DATA, 9999), HASHES) for _ in range(2)))

    assert asyncio.run(both()) == [True, True]
    assert read(local, ENTRY) == DATA
    assert stored_names(folder) == [ENTRY.sha256.hex()] * 2


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)


@pytest.mark.parametrize(
    ("damage", "chunk"),
    [(lambda path: flip_bit(path, 0), 0), (lambda path: flip_bit(path, 2 * MIB + 5), 2), (cut, None)],
)
def test_a_changed_copy_is_noticed_before_a_wrong_byte_is_sent(
    local: ContentStore, folder: Path, damage: Callable[[Path], None], chunk: int | None
) -> None:
    put(local, ENTRY, DATA, HASHES)
    damage(stored_file(folder, ENTRY))
    sent = bytearray()

    async def serve() -> None:
        async for piece in await local.open_file(ENTRY):
            sent.extend(piece)

    with pytest.raises(StoredContentError, match=r"stored copy of plants/large\.bin was changed") as caught:
        asyncio.run(serve())
    assert (caught.value.path, caught.value.sha256, caught.value.chunk) == (ENTRY.path, ENTRY.sha256, chunk)
    assert sent == DATA[: (chunk or 0) * MIB]
    with pytest.raises(StoredContentError):
        asyncio.run(local.verify_file(ENTRY))
    assert put(local, ENTRY, DATA) is True
    assert read(local, ENTRY) == DATA


def test_a_wrong_first_chunk_is_known_before_anything_is_sent(local: ContentStore, folder: Path) -> None:
    put(local, ENTRY, DATA, HASHES)
    flip_bit(stored_file(folder, ENTRY), MIB)
    with pytest.raises(StoredContentError):
        asyncio.run(local.open_file(ENTRY, MIB + 50))
    assert read(local, ENTRY, 0, MIB - 1) == DATA[:MIB]


def test_changed_chunk_hashes_are_noticed_and_healed(local: ContentStore, folder: Path) -> None:
    put(local, ENTRY, DATA, HASHES)
    for damage in (lambda path: flip_bit(path, 40), cut, Path.unlink):
        damage(stored_file(folder, ENTRY, "chunks"))
        with pytest.raises((StoredContentError, NotFoundError)):
            asyncio.run(local.open_file(ENTRY))
        assert put(local, ENTRY, DATA, HASHES) is True
        assert read(local, ENTRY) == DATA


@pytest.mark.parametrize("size", [0, MIB + 10, 4 * MIB, 4 * MIB + 1, 8 * MIB])
def test_a_copy_that_shrinks_while_it_is_sent_is_noticed(local: ContentStore, folder: Path, size: int) -> None:
    data = make_bytes("shrinking", 9 * MIB)
    entry, hashes = hash_bytes("shrinking", data)
    put(local, entry, data, hashes)

    async def serve() -> bytes:
        pieces = await local.open_file(entry)
        with stored_file(folder, entry).open("r+b") as file:
            file.truncate(size)
        return await collect(pieces)

    with pytest.raises((StoredContentError, UnavailableError)):
        asyncio.run(serve())


@pytest.mark.parametrize("size", [MIB, 5 * MIB - 1, 9 * MIB - 1])
def test_an_object_replaced_by_a_shorter_one_is_noticed(size: int) -> None:
    data = make_bytes("replaced", 9 * MIB)
    entry, hashes = hash_bytes("replaced", data)
    memory = MemoryStore()
    store = ContentStore(memory, BucketPlacement(memory))
    put(store, entry, data, hashes)

    async def serve() -> bytes:
        pieces = await store.open_file(entry)
        await memory.put_async(f"files/{entry.sha256.hex()[:2]}/{entry.sha256.hex()}", data[:size])
        return await collect(pieces)

    with pytest.raises((StoredContentError, UnavailableError)):
        asyncio.run(serve())


def test_deleting_removes_a_file_and_may_be_repeated(store: ContentStore) -> None:
    put(store, ENTRY, DATA)
    for _ in range(2):
        asyncio.run(store.delete_file(ENTRY.sha256))
        with pytest.raises(NotFoundError):
            read(store, ENTRY)


def test_a_manifest_that_lies_about_the_root_stores_and_spoils_nothing(local: ContentStore) -> None:
    lying = dataclasses.replace(ENTRY, root=Bytes32(b"\x01" * 32))
    put(local, ENTRY, DATA)
    with pytest.raises(VerificationError, match="another root"):
        put(local, lying, DATA)
    assert read(local, ENTRY) == DATA


def test_leftovers_are_removed_on_start(local: ContentStore, folder: Path) -> None:
    put(local, SMALL, b"hour,mwh\n")
    (folder / "incoming" / "left#1").write_bytes(b"half")
    assert asyncio.run(local.remove_leftovers()) == 1
    assert stored_names(folder) == [SMALL.sha256.hex()]


def test_the_folder_is_made_and_kept_to_its_owner(folder: Path) -> None:
    ContentStore.open(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_buckets_are_opened_by_their_address() -> None:
    options = {"region": "eu-central-1", "access_key_id": "a", "secret_access_key": "b"}
    opened = ContentStore.open("s3://bucket/prefix", options)
    assert isinstance(opened._objects, S3Store)
    assert opened._objects.prefix == "prefix"


@pytest.mark.parametrize(
    "location",
    [
        "ftp://host/x",
        "memory:///",
        "s3://",
        "s3://key:secret@bucket/x",
        "https://host/x?X-Amz-Signature=secret",
        "s3://[x",
    ],
)
def test_other_addresses_are_refused(location: str) -> None:
    with pytest.raises(MalformedError):
        ContentStore.open(location)
    with pytest.raises(MalformedError):
        ContentStore.open("s3://bucket", {"no such option": "x"})


def test_a_folder_that_can_not_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="can not open its folder"):
        ContentStore.open(tmp_path / "file" / "content")
