"""Sealing and opening a file, chunk by chunk."""

from __future__ import annotations

import io

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from ledger.content import CHUNK_SIZE_BYTES, ChunkMismatchError, FileEntry, hash_bytes
from ledger.content.sealing import SealingKey
from ledger.content.sealing_files import (
    FileOpener,
    FileSealer,
    SealedChunkError,
    open_chunks,
    open_range,
    plan_range,
    read_pieces,
    seal_chunks,
    sealed_chunk_count,
    sealed_size,
)
from ledger.errors import MalformedError, VerificationError
from tests.support.content import make_bytes

MIB = CHUNK_SIZE_BYTES
KEY = SealingKey(bytes(range(32)))
LARGE = make_bytes("large", 2 * MIB + 3)


def seal(path: str, data: bytes, key: SealingKey = KEY) -> tuple[FileEntry, list[bytes]]:
    entry, hashes = hash_bytes(path, data)
    sealer = FileSealer(key, entry, hashes)
    chunks = list(seal_chunks(sealer, read_pieces(io.BytesIO(data))))
    assert sealer.finish().size_bytes == sealed_size(entry) == sum(map(len, chunks))
    assert len(sealer.leaf_hashes) == sealed_chunk_count(entry) == len(chunks)
    return entry, chunks


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32))
def test_what_is_sealed_opens(data: bytes, secret: bytes) -> None:
    entry, chunks = seal("a", data, SealingKey(secret))
    assert b"".join(open_chunks(FileOpener(SealingKey(secret), entry), chunks)) == data
    assert data == b"" or data not in b"".join(chunks) or len(data) < 4


def test_every_bit_counts() -> None:
    entry, (sealed,) = seal("five", b"bytes")
    opener = FileOpener(KEY, entry)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealedChunkError) as caught:
            opener.open(0, bytes(changed))
        assert (caught.value.path, caught.value.chunk) == ("five", 0)


def test_chunks_open_in_any_order_and_in_their_place_alone() -> None:
    entry, chunks = seal("large", LARGE)
    opener = FileOpener(KEY, entry)
    assert opener.entry == entry
    for index in (2, 0, 1):
        assert opener.open(index, chunks[index]) == LARGE[index * MIB : (index + 1) * MIB]
    with pytest.raises(SealedChunkError):
        opener.open(1, chunks[0])
    for index in (-1, 3):
        with pytest.raises(MalformedError, match="there is no chunk"):
            opener.open(index, chunks[0])
    with pytest.raises(MalformedError, match="has 19 bytes"):
        opener.open(2, chunks[2] + b"x")


def test_the_end_is_marked() -> None:
    """A first chunk that was sealed as the last one does not open where others follow, nor the other way round."""
    entry, chunks = seal("large", LARGE)
    cipher = AESGCM(KEY.derive_file_key(entry))
    for index, flag in ((0, b"\1"), (2, b"\0")):
        plain = LARGE[index * MIB : (index + 1) * MIB]
        forged = cipher.encrypt(index.to_bytes(11) + flag, plain, None)
        assert len(forged) == len(chunks[index])
        with pytest.raises(SealedChunkError):
            FileOpener(KEY, entry).open(index, forged)


def test_a_file_whose_chunks_do_not_come_one_by_one_is_refused() -> None:
    entry, (a, b, c) = seal("large", LARGE)
    opener = FileOpener(KEY, entry)
    for chunks, error in (
        ([a, b], VerificationError),
        ([], VerificationError),
        ([a, b, c, c], MalformedError),
        ([b, a, c], SealedChunkError),
        ([a, c], MalformedError),
    ):
        with pytest.raises(error):
            list(open_chunks(opener, chunks))
    assert b"".join(open_chunks(opener, [a, b, c], hash_bytes("large", LARGE)[1])) == LARGE


def test_what_is_opened_is_what_the_manifest_names() -> None:
    """A provider who seals other bytes than it registered: every chunk opens, and the file is refused."""
    entry, hashes = hash_bytes("large", LARGE)
    other = LARGE[:MIB] + bytes(MIB) + LARGE[2 * MIB :]
    cipher = AESGCM(KEY.derive_file_key(entry))
    chunks = [
        cipher.encrypt(index.to_bytes(11) + bytes([index == 2]), other[index * MIB : (index + 1) * MIB], None)
        for index in range(3)
    ]
    opened = open_chunks(FileOpener(KEY, entry), chunks, hashes)
    assert next(opened) == LARGE[:MIB]
    with pytest.raises(ChunkMismatchError):
        next(opened)
    with pytest.raises(VerificationError, match="another root"):
        list(open_chunks(FileOpener(KEY, entry), chunks))


def test_nothing_is_encrypted_that_the_manifest_does_not_name() -> None:
    """So a (key, nonce) never meets two plaintexts, whatever became of the source between two attempts."""
    entry, hashes = hash_bytes("large", LARGE)
    sealer = FileSealer(KEY, entry, hashes)
    first = sealer.seal(LARGE[:MIB])
    for changed in (bytes(MIB), LARGE[MIB : 2 * MIB - 1], LARGE[:MIB], b""):
        with pytest.raises(ChunkMismatchError):
            sealer.seal(changed)
    with pytest.raises(VerificationError, match="ended after 1 of 3"):
        sealer.finish()
    assert sealer.seal(LARGE[MIB : 2 * MIB]) == seal("large", LARGE)[1][1]
    again = FileSealer(KEY, entry, hashes)
    assert again.seal(LARGE[:MIB]) == first
    other, _ = hash_bytes("large", bytes(MIB) + LARGE[MIB:])
    assert KEY.derive_file_key(other) != KEY.derive_file_key(entry)


def test_a_sealer_takes_as_many_bytes_as_the_entry_names() -> None:
    for data in (b"", b"bytes"):
        entry, hashes = hash_bytes("a", data)
        sealer = FileSealer(KEY, entry, hashes)
        with pytest.raises(VerificationError, match="ended after 0 of 1"):
            sealer.finish()
        sealer.seal(data)
        with pytest.raises(VerificationError, match="more bytes"):
            sealer.seal(b"more")
        assert sealer.finish().size_bytes == len(data) + 16
    empty = FileSealer(KEY, hash_bytes("a", b"")[0])
    with pytest.raises(VerificationError, match="more bytes"):
        empty.seal(b"x")
    entry, hashes = hash_bytes("large", LARGE)
    with pytest.raises(ValueError, match="hashes are needed"):
        FileSealer(KEY, entry)
    with pytest.raises(VerificationError):
        FileSealer(KEY, entry, hashes[:2])


@pytest.mark.parametrize(
    ("first", "last", "chunks"),
    [
        (0, 0, (0, 0)),
        (5, MIB - 1, (0, 0)),
        (MIB - 1, MIB, (0, 1)),
        (0, 2 * MIB + 2, (0, 2)),
        (2 * MIB, 2 * MIB, (2, 2)),
    ],
)
def test_any_range_of_bytes_opens_from_its_chunks(first: int, last: int, chunks: tuple[int, int]) -> None:
    entry, sealed = seal("large", LARGE)
    planned, opener = plan_range(entry, first, last), FileOpener(KEY, entry)
    assert (planned.first_chunk, planned.last_chunk) == chunks
    needed = sealed[chunks[0] : chunks[1] + 1]
    assert b"".join(open_range(opener, planned, needed)) == LARGE[first : last + 1]
    with pytest.raises(VerificationError, match="ended before"):
        list(open_range(opener, planned, needed[:-1]))
    with pytest.raises(VerificationError, match="more sealed chunks"):
        list(open_range(opener, planned, [*needed, sealed[0]]))


def test_only_ranges_that_there_are() -> None:
    entry, _ = hash_bytes("a", b"bytes")
    empty, _ = hash_bytes("a", b"")
    for each, first, last in ((entry, 0, 5), (entry, -1, 2), (entry, 3, 2), (empty, 0, 0)):
        with pytest.raises(ValueError, match="not a range"):
            plan_range(each, first, last)


def test_a_reader_that_gives_less_than_it_is_asked_for_is_read_on() -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(3, size or 0))

    assert list(read_pieces(Dripping(b"0123456789"), 4)) == [b"0123", b"4567", b"89"]
    assert list(read_pieces(Dripping(b""), 4)) == []
