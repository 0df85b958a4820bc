"""The manifest of a version: which files, how large, and the two hashes of each (docs/spec/manifest.md).

Pure: no clock, no disk. What is registered on chain is `compute_content_hash` of a salt and the content root.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.content.paths import check_path, fold_path, printable
from ledger.errors import MalformedError, NotFoundError
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash
from ledger.types import Bytes32

__all__ = [
    "CHUNK_SIZE_BYTES",
    "MANIFEST_FORMAT",
    "MAX_FILES",
    "MAX_FILE_SIZE_BYTES",
    "FileEntry",
    "Manifest",
    "compute_content_hash",
    "parse_entry",
    "parse_manifest",
]

MANIFEST_FORMAT: Final = "concord-manifest/1"
CHUNK_SIZE_BYTES: Final = 1 << 20
MAX_FILES: Final = 100_000
MAX_FILE_SIZE_BYTES: Final = 1 << 53
# No manifest is larger: a path's bytes at most double when JSON escapes them, and the rest of an entry is fixed.
_MAX_MANIFEST_SIZE_BYTES: Final = 1 << 28
_SIZE: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_ENTRY_MEMBERS: Final = {"path", "root", "sha256", "size"}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a manifest.

    ``path`` is relative, POSIX and NFC (``plants/2024.csv``), ``sha256`` the hash of its bytes, ``root`` the RFC 6962
    root over its chunks of 1 MiB, the last one shorter.
    """

    path: str
    size_bytes: int
    sha256: Bytes32
    root: Bytes32

    def __post_init__(self) -> None:
        """Raise MalformedError unless the fields can stand in a manifest."""
        check_path(self.path)
        if not 0 <= self.size_bytes <= MAX_FILE_SIZE_BYTES:
            raise MalformedError(f"{self.path}: a size of {self.size_bytes} bytes is not within 0 to 2^53")
        # SHA-256 of nothing is at once the flat hash of an empty file and the root of an empty tree.
        for name, value in (("sha256", self.sha256), ("root", self.root)):
            if (self.size_bytes == 0) != (value == EMPTY_ROOT):
                raise MalformedError(f"{self.path}: {name} {value} does not go with a size of {self.size_bytes} bytes")

    @property
    def chunk_count(self) -> int:
        """How many chunks of 1 MiB the file has; 0 when it is empty."""
        return -(-self.size_bytes // CHUNK_SIZE_BYTES)

    def chunk_span(self, index: int) -> tuple[int, int]:
        """Return the first and last byte of chunk ``index``, both included.

        Raises:
            ValueError: no such chunk.
        """
        if not 0 <= index < self.chunk_count:
            raise ValueError(f"{self.path} has {self.chunk_count} chunks, there is no chunk {index}")
        first = index * CHUNK_SIZE_BYTES
        return first, min(first + CHUNK_SIZE_BYTES, self.size_bytes) - 1

    def to_document(self) -> dict[str, JsonValue]:
        """Return the entry as it stands in a manifest."""
        return {
            "path": self.path,
            "root": str(self.root),
            "sha256": str(self.sha256),
            "size": str(self.size_bytes),
        }

    def to_bytes(self) -> bytes:
        """Return the canonical JSON of the entry: the leaf that the content root is built over."""
        return encode_canonical(self.to_document())


@dataclass(frozen=True)
class Manifest:
    """The files of a version, sorted by the UTF-8 bytes of their paths."""

    files: tuple[FileEntry, ...]

    def __post_init__(self) -> None:
        """Raise MalformedError unless files are there, few enough, in order, and unpack on any file system."""
        if not self.files:
            raise MalformedError("the data set is empty: a manifest names at least one file")
        if len(self.files) > MAX_FILES:
            raise MalformedError(f"{len(self.files)} files, a manifest holds at most {MAX_FILES}: pack or split them")
        _check_order([entry.path for entry in self.files])
        _check_distinct([entry.path for entry in self.files])

    @cached_property
    def leaf_hashes(self) -> tuple[bytes, ...]:
        """The RFC 6962 leaf hashes of the entries, in order."""
        return tuple(leaf_hash(entry.to_bytes()) for entry in self.files)

    @cached_property
    def content_root(self) -> Bytes32:
        """The RFC 6962 root over the entries."""
        return Bytes32(compute_root(self.leaf_hashes))

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(entry.size_bytes for entry in self.files)

    def find(self, path: str) -> tuple[int, FileEntry]:
        """Return the position and the entry of ``path``.

        Raises:
            NotFoundError: the manifest names no such file.
        """
        index = self._positions.get(path)
        if index is None:
            raise NotFoundError(f"the manifest names no file {printable(path)!r}")
        return index, self.files[index]

    def to_bytes(self) -> bytes:
        """Return the manifest's canonical JSON."""
        return encode_canonical({"files": [entry.to_document() for entry in self.files], "format": MANIFEST_FORMAT})

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {entry.path: index for index, entry in enumerate(self.files)}


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, a missing, unknown or mistyped member, a flawed path, size or hash, no file
            or too many, entries out of order or repeated.
    """
    document = parse_canonical(raw, max_size_bytes=_MAX_MANIFEST_SIZE_BYTES)
    if not isinstance(document, dict) or set(document) != {"files", "format"}:
        raise MalformedError("a manifest is an object with the members files and format")
    if document["format"] != MANIFEST_FORMAT:
        raise MalformedError(f"the manifest's format is not {MANIFEST_FORMAT}")
    files = document["files"]
    if not isinstance(files, list):
        raise MalformedError("the manifest's files are not a list")
    return Manifest(tuple(parse_entry(item) for item in files))


def compute_content_hash(version_salt: Bytes32, content_root: Bytes32) -> Bytes32:
    """SHA-256(version salt || content root): what a registration carries of the content."""
    return Bytes32(hashlib.sha256(version_salt + content_root).digest())


def parse_entry(item: JsonValue) -> FileEntry:
    """Read one entry as it stands in a manifest. Raises: MalformedError: its members are other ones, or can not be."""
    if not isinstance(item, dict) or set(item) != _ENTRY_MEMBERS:
        raise MalformedError("a manifest's entry is an object with the members path, root, sha256 and size")
    path, root, sha256, size = (_expect_text(item, name) for name in sorted(_ENTRY_MEMBERS))
    if not _SIZE.match(size):
        raise MalformedError(f"the size of {printable(path)!r} is not a decimal number without leading zeros")
    return FileEntry(path=path, size_bytes=int(size), sha256=Bytes32.parse(sha256), root=Bytes32.parse(root))


def _expect_text(item: dict[str, JsonValue], name: str) -> str:
    value = item[name]
    if not isinstance(value, str):
        raise MalformedError(f"member {name} of a manifest's entry is not a string")
    return value


def _check_order(paths: list[str]) -> None:
    keys = [path.encode("utf-8") for path in paths]
    for before, after in pairwise(keys):
        if before == after:
            raise MalformedError(f"the manifest names {before.decode()} twice")
        if before > after:
            raise MalformedError(f"the manifest is not sorted by path: {after.decode()} comes after {before.decode()}")


def _check_distinct(paths: list[str]) -> None:
    """Refuse what would overwrite itself when unpacked where case does not count, or a file that is also a folder."""
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(fold_path(path), path)
        if other != path:
            raise MalformedError(f"{other} and {path} differ only in case: rename one of them")
    for path in paths:
        folder = fold_path(path)
        while "/" in folder:
            folder = folder.rpartition("/")[0]
            if folder in seen:
                raise MalformedError(f"{seen[folder]} can not be a file and the folder of {path}")
