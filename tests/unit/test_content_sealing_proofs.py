"""Proofs of one sealed file and of one sealed chunk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.content.sealing import SEALED_CHUNK_SIZE_BYTES, SealedFile, SealingDescriptor
from ledger.content.sealing_proofs import (
    prove_sealed_chunk,
    prove_sealed_file,
    verify_sealed_chunk,
    verify_sealed_file,
)
from ledger.errors import MalformedError, VerificationError
from ledger.merkle import compute_root, leaf_hash
from ledger.types import Bytes32

CHUNKS = [bytes([number]) * SEALED_CHUNK_SIZE_BYTES for number in range(2)] + [bytes(20)]
LEAVES = [leaf_hash(chunk) for chunk in CHUNKS]
FILE = SealedFile(sum(map(len, CHUNKS)), Bytes32(compute_root(LEAVES)))
OTHERS = tuple(SealedFile(20 + number, Bytes32(bytes([number]) * 32)) for number in range(4))
DESCRIPTOR = SealingDescriptor(Bytes32(bytes(32)), (*OTHERS, FILE))


@pytest.mark.parametrize("position", range(5))
def test_a_file_is_proved_without_the_others(position: int) -> None:
    proof = prove_sealed_file(DESCRIPTOR, position)
    verify_sealed_file(proof, DESCRIPTOR.ciphertext_root)
    other = SealedFile(proof.file.size_bytes - 1, proof.file.root)
    for wrong in (replace(proof, file=other), replace(proof, file=replace(proof.file, root=Bytes32(b"x" * 32)))):
        with pytest.raises(VerificationError):
            verify_sealed_file(wrong, DESCRIPTOR.ciphertext_root)
    with pytest.raises(MalformedError):
        verify_sealed_file(replace(proof, hashes=(*proof.hashes, bytes(32))), DESCRIPTOR.ciphertext_root)


@pytest.mark.parametrize("index", range(3))
def test_a_chunk_is_proved_without_the_others(index: int) -> None:
    proof = prove_sealed_chunk(FILE, LEAVES, index)
    verify_sealed_chunk(FILE, index, CHUNKS[index], proof)
    with pytest.raises(VerificationError):
        verify_sealed_chunk(FILE, index, b"x" + CHUNKS[index][1:], proof)
    with pytest.raises(MalformedError, match="bytes, found"):
        verify_sealed_chunk(FILE, index, CHUNKS[index][1:], proof)
    with pytest.raises(MalformedError):
        verify_sealed_chunk(FILE, index, CHUNKS[index], proof[1:])
    for other in (-1, 3):
        with pytest.raises(MalformedError, match="there is no chunk"):
            verify_sealed_chunk(FILE, other, CHUNKS[index], proof)


def test_a_chunk_is_proved_in_its_place_alone() -> None:
    with pytest.raises(VerificationError):
        verify_sealed_chunk(FILE, 1, CHUNKS[0], prove_sealed_chunk(FILE, LEAVES, 0))
    with pytest.raises(VerificationError):
        prove_sealed_chunk(FILE, LEAVES[::-1], 0)
    with pytest.raises(ValueError, match="no leaf"):
        prove_sealed_chunk(FILE, LEAVES, 3)
