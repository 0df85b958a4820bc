"""Chunk hashes: strict reading, checked against the manifest's roots, naming what is wrong."""

from __future__ import annotations

import pytest

from ledger.canonical import JsonValue, encode_canonical
from ledger.content import (
    CHUNK_SIZE_BYTES,
    ChunkIndex,
    ChunkMismatchError,
    Manifest,
    check_chunk,
    check_chunk_hashes,
    hash_bytes,
    parse_chunks,
)
from ledger.content.chunks import derive_chunk_hashes
from ledger.errors import MalformedError, VerificationError
from tests.support.content import make_bytes

LARGE = make_bytes("large", 2 * CHUNK_SIZE_BYTES + 5)
ENTRY, HASHES = hash_bytes("a/large.bin", LARGE)
SMALL, SMALL_HASHES = hash_bytes("b.csv", b"small")
EMPTY, _ = hash_bytes("c", b"")
MANIFEST = Manifest((ENTRY, SMALL, EMPTY))
INDEX = ChunkIndex({ENTRY.path: HASHES, SMALL.path: SMALL_HASHES, EMPTY.path: ()})


def chunk_bytes(*files: JsonValue, **changes: JsonValue) -> bytes:
    document: dict[str, JsonValue] = {"files": list(files), "format": "concord-chunks/1"}
    document.update(changes)
    return encode_canonical(document)


def hexes(*hashes: bytes) -> list[JsonValue]:
    return ["0x" + value.hex() for value in hashes]


def test_an_index_reads_as_it_was_written() -> None:
    raw = INDEX.to_bytes()
    assert raw == chunk_bytes(hexes(*HASHES), hexes(*SMALL_HASHES), [])
    assert parse_chunks(raw, MANIFEST) == INDEX
    assert parse_chunks(raw, MANIFEST)["a/large.bin"] == HASHES


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        chunk_bytes(surplus=1),
        chunk_bytes(format="concord-chunks/2"),
        chunk_bytes(files={}),
        chunk_bytes({}, [], []),
        chunk_bytes([1], [], []),
        chunk_bytes(["0x00"], [], []),
        chunk_bytes([HASHES[0].hex()], [], []),
        INDEX.to_bytes() + b" ",
    ],
)
def test_other_forms_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_chunks(raw, MANIFEST)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (chunk_bytes(), "number of files"),
        (chunk_bytes(hexes(*HASHES[:2]), hexes(*SMALL_HASHES), []), "3 chunks, the list has 2"),
        (chunk_bytes(hexes(*reversed(HASHES)), hexes(*SMALL_HASHES), []), "another root"),
        (chunk_bytes(hexes(*HASHES), hexes(*SMALL_HASHES), hexes(HASHES[0])), "0 chunks"),
    ],
)
def test_hashes_of_something_else_are_a_finding(raw: bytes, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason):
        parse_chunks(raw, MANIFEST)


def test_an_index_of_other_paths_is_a_finding() -> None:
    with pytest.raises(VerificationError, match="not those of the manifest's files"):
        ChunkIndex({"x": HASHES}).check(MANIFEST)
    with pytest.raises(VerificationError):
        check_chunk_hashes(ENTRY, SMALL_HASHES)


def test_a_wrong_chunk_is_named_with_its_bytes() -> None:
    check_chunk(ENTRY, HASHES, 2, LARGE[2 * CHUNK_SIZE_BYTES :])
    with pytest.raises(ChunkMismatchError, match=r"chunk 2 of a/large\.bin, bytes 2097152 to 2097156") as caught:
        check_chunk(ENTRY, HASHES, 2, b"other")
    error = caught.value
    assert (error.path, error.chunk, error.first_byte, error.last_byte) == (ENTRY.path, 2, 2097152, 2097156)
    assert error.expected == HASHES[2]


def test_a_file_of_one_chunk_needs_no_list() -> None:
    assert derive_chunk_hashes(SMALL) == SMALL_HASHES
    assert derive_chunk_hashes(EMPTY) == ()
    assert derive_chunk_hashes(ENTRY) is None
