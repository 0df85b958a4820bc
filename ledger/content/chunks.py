"""Chunk hashes: they lie beside a manifest, are checked against its roots, and say which MiB is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.content.manifest import FileEntry, Manifest
from ledger.errors import MalformedError, VerificationError
from ledger.merkle import HASH_SIZE_BYTES, compute_root, leaf_hash
from ledger.types import parse_hex

__all__ = [
    "CHUNKS_FORMAT",
    "ChunkIndex",
    "ChunkMismatchError",
    "check_chunk",
    "check_chunk_hashes",
    "derive_chunk_hashes",
    "parse_chunks",
]

CHUNKS_FORMAT: Final = "concord-chunks/1"


class ChunkMismatchError(VerificationError):
    """A chunk is not the one that the manifest's root commits to.

    ``path`` and ``chunk`` (counted from 0) name it, ``first_byte`` and ``last_byte`` (included) its place.
    """

    def __init__(self, entry: FileEntry, chunk: int, *, expected: bytes, found: bytes) -> None:
        self.path = entry.path
        self.chunk = chunk
        self.first_byte, self.last_byte = entry.chunk_span(chunk)
        super().__init__(
            f"chunk {chunk} of {entry.path}, bytes {self.first_byte} to {self.last_byte}, is not the manifest's",
            expected=expected,
            found=found,
        )


@dataclass(frozen=True)
class ChunkIndex:
    """The leaf hashes of every file's chunks, by path, in the order of the manifest."""

    by_path: Mapping[str, tuple[bytes, ...]]

    def __getitem__(self, path: str) -> tuple[bytes, ...]:
        return self.by_path[path]

    def check(self, manifest: Manifest) -> None:
        """Check that the index belongs to ``manifest``.

        Raises:
            VerificationError: other files, another number of chunks, or hashes that lead to another root.
        """
        if list(self.by_path) != [entry.path for entry in manifest.files]:
            raise VerificationError("the chunk hashes are not those of the manifest's files")
        for entry in manifest.files:
            check_chunk_hashes(entry, self.by_path[entry.path])

    def to_bytes(self) -> bytes:
        """Return the index's canonical JSON; it names no paths, the manifest does."""
        files: list[JsonValue] = [["0x" + leaf.hex() for leaf in hashes] for hashes in self.by_path.values()]
        return encode_canonical({"files": files, "format": CHUNKS_FORMAT})


def parse_chunks(raw: bytes, manifest: Manifest) -> ChunkIndex:
    """Read the chunk hashes that lie beside ``manifest``, strictly, and check them against its roots.

    Raises:
        MalformedError: not canonical JSON or not of this format.
        VerificationError: another number of files or chunks than the manifest's, or hashes that lead to another root.
    """
    document = parse_canonical(raw)
    if not isinstance(document, dict) or set(document) != {"files", "format"} or document["format"] != CHUNKS_FORMAT:
        raise MalformedError(f"chunk hashes are an object with the members files and format, {CHUNKS_FORMAT}")
    files = document["files"]
    if not isinstance(files, list):
        raise MalformedError("the files of the chunk hashes are not a list")
    if len(files) != len(manifest.files):
        raise VerificationError(
            "the chunk hashes are those of another number of files", expected=len(manifest.files), found=len(files)
        )
    parsed = [_parse_hashes(item) for item in files]
    index = ChunkIndex({entry.path: hashes for entry, hashes in zip(manifest.files, parsed, strict=True)})
    index.check(manifest)
    return index


def check_chunk_hashes(entry: FileEntry, hashes: Sequence[bytes]) -> None:
    """Check that ``hashes`` are those of the entry's chunks.

    Raises:
        VerificationError: another number of chunks, or hashes that lead to another root.
    """
    if len(hashes) != entry.chunk_count:
        raise VerificationError(
            f"{entry.path} has {entry.chunk_count} chunks, the list has {len(hashes)}",
            expected=entry.chunk_count,
            found=len(hashes),
        )
    found = compute_root(hashes)
    if found != entry.root:
        raise VerificationError(
            f"the chunk hashes of {entry.path} lead to another root", expected=entry.root, found=found
        )


def derive_chunk_hashes(entry: FileEntry) -> tuple[bytes, ...] | None:
    """Return the chunk hashes that the entry alone tells: the root for a file of one chunk, none for an empty one."""
    if entry.chunk_count > 1:
        return None
    return (entry.root,) * entry.chunk_count


def check_chunk(entry: FileEntry, hashes: Sequence[bytes], index: int, data: bytes) -> None:
    """Check the bytes of chunk ``index`` against its hash.

    Raises:
        ChunkMismatchError: other bytes.
    """
    found = leaf_hash(data)
    if found != hashes[index]:
        raise ChunkMismatchError(entry, index, expected=hashes[index], found=found)


def _parse_hashes(item: JsonValue) -> tuple[bytes, ...]:
    if not isinstance(item, list):
        raise MalformedError("the chunk hashes of a file are not a list")
    return tuple(_parse_leaf(leaf) for leaf in item)


def _parse_leaf(leaf: JsonValue) -> bytes:
    if not isinstance(leaf, str):
        raise MalformedError("a chunk hash is not a string")
    return parse_hex(leaf, HASH_SIZE_BYTES)
