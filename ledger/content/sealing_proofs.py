"""Proofs of parts of a sealing: one sealed file under the ciphertext root, one sealed chunk under its file's root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.content.sealing import SealedFile, SealingDescriptor, check_sealed_leaves
from ledger.errors import MalformedError
from ledger.merkle import leaf_hash, prove_inclusion, verify_inclusion
from ledger.types import Bytes32

__all__ = [
    "SealedFileProof",
    "prove_sealed_chunk",
    "prove_sealed_file",
    "verify_sealed_chunk",
    "verify_sealed_file",
]


@dataclass(frozen=True, slots=True)
class SealedFileProof:
    """That a sealed file stands at ``position`` among ``file_count`` under a ciphertext root."""

    file: SealedFile
    position: int
    file_count: int
    hashes: tuple[bytes, ...]


def prove_sealed_file(descriptor: SealingDescriptor, position: int) -> SealedFileProof:
    """Prove that a file belongs to the sealing, without showing the others.

    Raises:
        ValueError: no such file.
    """
    count = len(descriptor.files)
    hashes = tuple(prove_inclusion(descriptor.leaf_hashes, position, count))
    return SealedFileProof(descriptor.files[position], position, count, hashes)


def verify_sealed_file(proof: SealedFileProof, ciphertext_root: Bytes32) -> None:
    """Check that the sealed file stands under ``ciphertext_root``.

    Raises:
        MalformedError: no tree of that size has a proof of that shape.
        VerificationError: the proof leads to another root.
    """
    verify_inclusion(leaf_hash(proof.file.to_leaf()), proof.position, proof.file_count, proof.hashes, ciphertext_root)


def prove_sealed_chunk(file: SealedFile, leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Prove that sealed chunk ``index`` belongs to the sealed file, without showing the other chunks.

    Raises:
        VerificationError: ``leaves`` are not those of the file.
        ValueError: no such chunk.
    """
    check_sealed_leaves(file, leaves)
    return tuple(prove_inclusion(leaves, index, file.chunk_count))


def verify_sealed_chunk(file: SealedFile, index: int, sealed: bytes, proof: Sequence[bytes]) -> None:
    """Check that ``sealed`` are the bytes of sealed chunk ``index``; how many there are follows from the file's size.

    Raises:
        MalformedError: no such chunk, bytes of another length, or a proof of another shape.
        VerificationError: the proof leads to another root.
    """
    if not 0 <= index < file.chunk_count:
        raise MalformedError(f"the sealed file has {file.chunk_count} chunks, there is no chunk {index}")
    first, last = file.chunk_span(index)
    if len(sealed) != last - first + 1:
        raise MalformedError(f"sealed chunk {index} has {last - first + 1} bytes, found {len(sealed)}")
    verify_inclusion(leaf_hash(sealed), index, file.chunk_count, tuple(proof), file.root)
