"""Proofs of parts: one file under the content root, one chunk under its file's root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.content.chunks import check_chunk_hashes
from ledger.content.manifest import FileEntry, Manifest
from ledger.errors import MalformedError
from ledger.merkle import leaf_hash, prove_inclusion, verify_inclusion
from ledger.types import Bytes32

__all__ = ["FileProof", "prove_chunk", "prove_file", "verify_chunk", "verify_file_entry"]


@dataclass(frozen=True, slots=True)
class FileProof:
    """That an entry stands at ``index`` among ``file_count`` entries under a content root."""

    entry: FileEntry
    index: int
    file_count: int
    hashes: tuple[bytes, ...]


def prove_file(manifest: Manifest, path: str) -> FileProof:
    """Prove that ``path`` belongs to the manifest, without showing the other files.

    Raises:
        NotFoundError: the manifest names no such file.
    """
    index, entry = manifest.find(path)
    count = len(manifest.files)
    return FileProof(entry, index, count, tuple(prove_inclusion(manifest.leaf_hashes, index, count)))


def verify_file_entry(proof: FileProof, content_root: Bytes32) -> None:
    """Check that the entry stands under ``content_root``.

    Raises:
        MalformedError: no tree of that size has a proof of that shape.
        VerificationError: the proof leads to another root.
    """
    verify_inclusion(leaf_hash(proof.entry.to_bytes()), proof.index, proof.file_count, proof.hashes, content_root)


def prove_chunk(entry: FileEntry, chunk_hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Prove that chunk ``index`` belongs to the file, without showing the other chunks.

    Raises:
        VerificationError: ``chunk_hashes`` are not those of the file.
        ValueError: no such chunk.
    """
    check_chunk_hashes(entry, chunk_hashes)
    return tuple(prove_inclusion(chunk_hashes, index, entry.chunk_count))


def verify_chunk(entry: FileEntry, index: int, data: bytes, proof: Sequence[bytes]) -> None:
    """Check that ``data`` are the bytes of chunk ``index``; how many chunks there are follows from the entry's size.

    Raises:
        MalformedError: no such chunk, data of another length, or a proof of another shape.
        VerificationError: the proof leads to another root.
    """
    if not 0 <= index < entry.chunk_count:
        raise MalformedError(f"{entry.path} has {entry.chunk_count} chunks, there is no chunk {index}")
    first, last = entry.chunk_span(index)
    if len(data) != last - first + 1:
        raise MalformedError(f"chunk {index} of {entry.path} has {last - first + 1} bytes, found {len(data)}")
    verify_inclusion(leaf_hash(data), index, entry.chunk_count, tuple(proof), entry.root)
