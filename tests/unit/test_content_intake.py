"""Checking bytes as they arrive."""

from __future__ import annotations

import asyncio

import pytest

from ledger.content import CHUNK_SIZE_BYTES, ChunkMismatchError, FileEntry, hash_bytes
from ledger.content.intake import FileIntake, verify_stream
from ledger.errors import VerificationError
from ledger.types import Bytes32
from tests.support.content import collect, make_bytes, pieces_of

DATA = make_bytes("intake", 2 * CHUNK_SIZE_BYTES + 10)
ENTRY, HASHES = hash_bytes("a.bin", DATA)


def run(intake: FileIntake, data: bytes, piece_size: int = CHUNK_SIZE_BYTES // 3) -> bytes:
    return asyncio.run(collect(verify_stream(intake, pieces_of(data, piece_size))))


@pytest.mark.parametrize("piece_size", [700, CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES + 1, 5 * CHUNK_SIZE_BYTES])
@pytest.mark.parametrize("hashes", [HASHES, None])
def test_the_right_bytes_pass_however_they_are_cut(piece_size: int, hashes: tuple[bytes, ...] | None) -> None:
    intake = FileIntake(ENTRY, hashes)
    assert run(intake, DATA, piece_size) == DATA
    assert intake.leaf_hashes == HASHES


def test_an_empty_file_passes_and_takes_no_byte() -> None:
    entry, hashes = hash_bytes("empty", b"")
    assert run(FileIntake(entry, hashes), b"") == b""
    assert run(FileIntake(entry), b"") == b""
    with pytest.raises(VerificationError, match="more bytes"):
        run(FileIntake(entry), b"x")


def test_the_first_wrong_chunk_ends_it_before_it_is_passed_on() -> None:
    wrong = bytearray(DATA)
    wrong[CHUNK_SIZE_BYTES + 4] ^= 1
    passed = bytearray()

    async def receive() -> None:
        async for chunk in verify_stream(FileIntake(ENTRY, HASHES), pieces_of(bytes(wrong))):
            passed.extend(chunk)

    with pytest.raises(ChunkMismatchError, match=r"chunk 1 of a\.bin") as caught:
        asyncio.run(receive())
    assert passed == DATA[:CHUNK_SIZE_BYTES]
    assert (caught.value.path, caught.value.chunk) == ("a.bin", 1)


def test_without_chunk_hashes_the_end_tells() -> None:
    with pytest.raises(VerificationError, match="another root"):
        run(FileIntake(ENTRY), DATA[:-1] + b"x")


def test_a_file_of_one_chunk_is_checked_without_chunk_hashes() -> None:
    with pytest.raises(ChunkMismatchError):
        run(FileIntake(hash_bytes("a", b"abc")[0]), b"abd")


def test_surplus_bytes_end_it_at_once() -> None:
    intake = FileIntake(ENTRY, HASHES)
    with pytest.raises(VerificationError, match="more bytes arrived than the 2097162") as caught:
        list(intake.split(DATA + b"x"))
    assert caught.value.found == len(DATA) + 1
    assert intake.leaf_hashes == ()


@pytest.mark.parametrize("size", [0, 5, CHUNK_SIZE_BYTES, len(DATA) - 1])
def test_missing_bytes_are_said_at_the_end(size: int) -> None:
    with pytest.raises(VerificationError, match=f"ended after {size} of"):
        run(FileIntake(ENTRY, HASHES), DATA[:size])


def test_a_flat_hash_that_does_not_go_with_the_root_is_refused() -> None:
    lying = FileEntry("a.bin", ENTRY.size_bytes, Bytes32(b"\x01" * 32), ENTRY.root)
    with pytest.raises(VerificationError, match="another SHA-256"):
        run(FileIntake(lying, HASHES), DATA)


def test_chunk_hashes_of_another_file_are_refused_before_any_byte() -> None:
    with pytest.raises(VerificationError, match="another root"):
        FileIntake(ENTRY, HASHES[::-1])
