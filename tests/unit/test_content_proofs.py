"""Proofs of a file under the content root and of a chunk under its file's root."""

from __future__ import annotations

import dataclasses

import pytest

from ledger.content import (
    CHUNK_SIZE_BYTES,
    hash_bytes,
    prove_chunk,
    prove_file,
    verify_chunk,
    verify_file_entry,
)
from ledger.errors import MalformedError, NotFoundError, VerificationError
from tests.support.content import make_bytes, make_entry, make_manifest

MANIFEST = make_manifest(*(f"{number}.csv" for number in range(7)))
DATA = make_bytes("proofs", 4 * CHUNK_SIZE_BYTES + 9)
ENTRY, HASHES = hash_bytes("large.bin", DATA)


def chunk(index: int) -> bytes:
    return DATA[index * CHUNK_SIZE_BYTES : (index + 1) * CHUNK_SIZE_BYTES]


def test_every_file_is_proved_alone() -> None:
    for index, entry in enumerate(MANIFEST.files):
        proof = prove_file(MANIFEST, entry.path)
        assert (proof.entry, proof.index, proof.file_count) == (entry, index, 7)
        verify_file_entry(proof, MANIFEST.content_root)


def test_another_entry_or_root_or_shape_is_refuted() -> None:
    proof = prove_file(MANIFEST, "3.csv")
    with pytest.raises(VerificationError):
        verify_file_entry(dataclasses.replace(proof, entry=make_entry("9.csv")), MANIFEST.content_root)
    with pytest.raises(VerificationError):
        verify_file_entry(proof, make_manifest("a").content_root)
    with pytest.raises(MalformedError):
        verify_file_entry(dataclasses.replace(proof, hashes=proof.hashes[1:]), MANIFEST.content_root)
    with pytest.raises(NotFoundError):
        prove_file(MANIFEST, "9.csv")


def test_every_chunk_is_proved_alone() -> None:
    for index in range(ENTRY.chunk_count):
        verify_chunk(ENTRY, index, chunk(index), prove_chunk(ENTRY, HASHES, index))


def test_another_chunk_is_refuted() -> None:
    proof = prove_chunk(ENTRY, HASHES, 1)
    with pytest.raises(VerificationError):
        verify_chunk(ENTRY, 1, chunk(2), proof)
    with pytest.raises(VerificationError):
        verify_chunk(ENTRY, 2, chunk(1), proof)
    with pytest.raises(MalformedError, match="no chunk 5"):
        verify_chunk(ENTRY, 5, chunk(1), proof)
    with pytest.raises(MalformedError, match="found 9"):
        verify_chunk(ENTRY, 1, chunk(4), proof)
    with pytest.raises(MalformedError):
        verify_chunk(ENTRY, 1, chunk(1), proof[1:])


def test_nothing_is_proved_from_hashes_of_another_file() -> None:
    with pytest.raises(VerificationError):
        prove_chunk(ENTRY, HASHES[::-1], 0)
    with pytest.raises(ValueError, match="no leaf 5"):
        prove_chunk(ENTRY, HASHES, 5)
