"""A sealing: the files of a version encrypted under one fresh key (docs/spec/sealing.md).

What stands in the logged ``Sealing`` is the key commitment, which is also the sealing's id, and the ciphertext root
over the sealed files. Whoever holds the descriptor, and not the key, learns how large the files are and can check every
byte of the ciphertext; names and hashes of the plaintext stay in the manifest.

Pure: no disk, no clock. `ledger.content.sealing_files` seals and opens.
"""

from __future__ import annotations

import hmac
import re
import secrets
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.content.manifest import CHUNK_SIZE_BYTES, MAX_FILE_SIZE_BYTES, MAX_FILES, FileEntry, Manifest
from ledger.errors import MalformedError, VerificationError
from ledger.merkle import HASH_SIZE_BYTES, compute_root, leaf_hash
from ledger.types import Bytes32

__all__ = [
    "KEY_SIZE_BYTES",
    "MAX_DESCRIPTOR_SIZE_BYTES",
    "SEALED_CHUNK_SIZE_BYTES",
    "SEALING_FORMAT",
    "TAG_SIZE_BYTES",
    "SealedFile",
    "SealingDescriptor",
    "SealingKey",
    "WrongSealingKeyError",
    "check_sealed_leaves",
    "parse_sealed_file",
    "parse_sealed_leaves",
    "parse_sealing",
]

SEALING_FORMAT: Final = "concord-sealing/1"
KEY_SIZE_BYTES: Final = 32
TAG_SIZE_BYTES: Final = 16
SEALED_CHUNK_SIZE_BYTES: Final = CHUNK_SIZE_BYTES + TAG_SIZE_BYTES
# No descriptor is larger: 100,000 files, each of a root, a size of at most 16 digits and their names.
MAX_DESCRIPTOR_SIZE_BYTES: Final = 1 << 24
_COMMITMENT: Final = f"{SEALING_FORMAT} commitment".encode()
_FILE_KEY: Final = f"{SEALING_FORMAT} file key".encode()
_FILE_LEAF: Final = f"{SEALING_FORMAT} file".encode()
_SIZE: Final = re.compile(r"[1-9][0-9]{0,15}\Z")


class WrongSealingKeyError(VerificationError):
    """The key is not the one that the sealing's statement commits to."""


class SealingKey:
    """The 32 random bytes that open one sealing. Its text shows nothing of them."""

    __slots__ = ("_secret", "commitment")

    def __init__(self, secret: bytes) -> None:
        """Take a key that was unwrapped. For a new sealing use `draw`."""
        if len(secret) != KEY_SIZE_BYTES:
            raise ValueError(f"a sealing's key has {KEY_SIZE_BYTES} bytes")
        self._secret = bytes(secret)
        self.commitment: Final = Bytes32(_derive(self._secret, b"", _COMMITMENT))

    @classmethod
    def draw(cls) -> Self:
        """Draw the key of a new sealing."""
        return cls(secrets.token_bytes(KEY_SIZE_BYTES))

    @classmethod
    def opened(cls, secret: bytes, commitment: Bytes32) -> Self:
        """Take a key that somebody else gave, checked against the commitment in the ``Sealing``.

        Raises:
            WrongSealingKeyError: it is another key, or not of 32 bytes.
        """
        key = cls(secret) if len(secret) == KEY_SIZE_BYTES else None
        if key is None or not hmac.compare_digest(key.commitment, commitment):
            raise WrongSealingKeyError(
                "the key is not the one that the sealing commits to",
                expected=commitment,
                found=None if key is None else key.commitment,
            )
        return key

    def to_bytes(self) -> bytes:
        """Return the secret, to be wrapped and nothing else."""
        return self._secret

    def derive_file_key(self, entry: FileEntry) -> bytes:
        """Return the AES-256 key of one file: another for every sealing, path, size and content."""
        return _derive(self._secret, self.commitment, _FILE_KEY + leaf_hash(entry.to_bytes()))

    def __repr__(self) -> str:
        return f"SealingKey(commitment={self.commitment})"


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file's ciphertext: its size, and the RFC 6962 root over its sealed chunks of 1 MiB and 16 bytes.

    Every file has a sealed chunk; that of an empty file is a tag alone.
    """

    size_bytes: int
    root: Bytes32

    def __post_init__(self) -> None:
        """Raise MalformedError unless a file can have this size when it is sealed."""
        last = self.size_bytes - (self.chunk_count - 1) * SEALED_CHUNK_SIZE_BYTES
        least = TAG_SIZE_BYTES if self.chunk_count == 1 else TAG_SIZE_BYTES + 1  # only an empty file's chunk is empty
        if self.size_bytes < least or last < least or self.plain_size_bytes > MAX_FILE_SIZE_BYTES:
            raise MalformedError(f"no file has {self.size_bytes} bytes when it is sealed")

    @property
    def chunk_count(self) -> int:
        """How many sealed chunks the file has, at least one."""
        return -(-self.size_bytes // SEALED_CHUNK_SIZE_BYTES)

    @property
    def plain_size_bytes(self) -> int:
        """The size of what was sealed."""
        return self.size_bytes - self.chunk_count * TAG_SIZE_BYTES

    def chunk_span(self, index: int) -> tuple[int, int]:
        """Return the first and last byte of sealed chunk ``index`` within the file, both included.

        Raises:
            ValueError: no such chunk.
        """
        if not 0 <= index < self.chunk_count:
            raise ValueError(f"the sealed file has {self.chunk_count} chunks, there is no chunk {index}")
        first = index * SEALED_CHUNK_SIZE_BYTES
        return first, min(first + SEALED_CHUNK_SIZE_BYTES, self.size_bytes) - 1

    def to_document(self) -> dict[str, JsonValue]:
        """Return the file as it stands in a descriptor."""
        return {"root": str(self.root), "size": str(self.size_bytes)}

    def to_leaf(self) -> bytes:
        """Return what the ciphertext root is built over: a label, the root, and the size in 8 bytes."""
        return _FILE_LEAF + self.root + self.size_bytes.to_bytes(8)


@dataclass(frozen=True)
class SealingDescriptor:
    """What a sealing consists of; ``files`` stand in the order of the manifest.

    The sealed files are one stream of chunks, file after file: ``chunk 7 of the sealing`` counts from its beginning.
    """

    key_commitment: Bytes32
    files: tuple[SealedFile, ...]

    def __post_init__(self) -> None:
        """Raise MalformedError unless there are files, and few enough."""
        if not 0 < len(self.files) <= MAX_FILES:
            raise MalformedError(f"a sealing has 1 to {MAX_FILES} files, this one {len(self.files)}")

    @cached_property
    def leaf_hashes(self) -> tuple[bytes, ...]:
        """The RFC 6962 leaf hashes of the files, in order."""
        return tuple(leaf_hash(file.to_leaf()) for file in self.files)

    @cached_property
    def ciphertext_root(self) -> Bytes32:
        """The RFC 6962 root over the files: what the ``Sealing`` names."""
        return Bytes32(compute_root(self.leaf_hashes))

    @cached_property
    def size_bytes(self) -> int:
        """The size of the ciphertext: what the ``Sealing`` names."""
        return sum(file.size_bytes for file in self.files)

    @cached_property
    def chunk_count(self) -> int:
        """How many sealed chunks all files have together."""
        return sum(file.chunk_count for file in self.files)

    @cached_property
    def first_chunks(self) -> tuple[int, ...]:
        """For each file the number, in the sealing, of its first chunk."""
        return tuple(accumulate((file.chunk_count for file in self.files[:-1]), initial=0))

    @cached_property
    def first_bytes(self) -> tuple[int, ...]:
        """For each file the place, in the sealing, of its first byte."""
        return tuple(accumulate((file.size_bytes for file in self.files[:-1]), initial=0))

    def locate(self, chunk: int) -> tuple[int, int]:
        """Return which file a chunk of the sealing belongs to, by position, and which of that file's chunks it is.

        Raises:
            ValueError: no such chunk.
        """
        if not 0 <= chunk < self.chunk_count:
            raise ValueError(f"the sealing has {self.chunk_count} chunks, there is no chunk {chunk}")
        position = bisect_right(self.first_chunks, chunk) - 1
        return position, chunk - self.first_chunks[position]

    def chunk_span(self, chunk: int) -> tuple[int, int]:
        """Return the first and last byte of a chunk within the sealing, both included. Raises: ValueError."""
        position, index = self.locate(chunk)
        first, last = self.files[position].chunk_span(index)
        return self.first_bytes[position] + first, self.first_bytes[position] + last

    def check_manifest(self, manifest: Manifest) -> None:
        """Check that these can be the sealed files of ``manifest``.

        Raises:
            VerificationError: another number of files, or a file of another size.
        """
        if len(self.files) != len(manifest.files):
            raise VerificationError(
                "the sealing has another number of files than the manifest",
                expected=len(manifest.files),
                found=len(self.files),
            )
        for entry, file in zip(manifest.files, self.files, strict=True):
            if file.plain_size_bytes != entry.size_bytes:
                raise VerificationError(
                    f"the sealing has another size of {entry.path} than the manifest",
                    expected=entry.size_bytes,
                    found=file.plain_size_bytes,
                )

    def check_statement(self, key_commitment: Bytes32, ciphertext_root: Bytes32, ciphertext_size: int) -> None:
        """Check that this is the sealing that a ``Sealing`` states.

        Raises:
            VerificationError: another key commitment, ciphertext root or size.
        """
        stated = (key_commitment, ciphertext_root, ciphertext_size)
        found = (self.key_commitment, self.ciphertext_root, self.size_bytes)
        for name, expected, value in zip(("key commitment", "ciphertext root", "size"), stated, found, strict=True):
            if expected != value:
                raise VerificationError(
                    f"the sealing has another {name} than its statement", expected=expected, found=value
                )

    def to_bytes(self) -> bytes:
        """Return the descriptor's canonical JSON."""
        return encode_canonical(
            {
                "files": [file.to_document() for file in self.files],
                "format": SEALING_FORMAT,
                "keyCommitment": str(self.key_commitment),
            }
        )


def parse_sealing(raw: bytes) -> SealingDescriptor:
    """Read a descriptor, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: too large, not canonical JSON, a missing, unknown or mistyped member, a size that no sealed file
            has, no file or too many.
    """
    document = parse_canonical(raw, max_size_bytes=MAX_DESCRIPTOR_SIZE_BYTES)
    if not isinstance(document, dict) or set(document) != {"files", "format", "keyCommitment"}:
        raise MalformedError("a sealing is an object with the members files, format and keyCommitment")
    if document["format"] != SEALING_FORMAT:
        raise MalformedError(f"the sealing's format is not {SEALING_FORMAT}")
    files, commitment = document["files"], document["keyCommitment"]
    if not isinstance(files, list) or not isinstance(commitment, str):
        raise MalformedError("a sealing's files are a list, its keyCommitment is a string")
    return SealingDescriptor(Bytes32.parse(commitment), tuple(parse_sealed_file(item) for item in files))


def check_sealed_leaves(file: SealedFile, leaves: Sequence[bytes]) -> None:
    """Check that ``leaves`` are the leaf hashes of the file's sealed chunks.

    Raises:
        VerificationError: another number of chunks, or hashes that lead to another root.
    """
    if len(leaves) != file.chunk_count:
        raise VerificationError(
            f"the sealed file has {file.chunk_count} chunks, the list {len(leaves)}",
            expected=file.chunk_count,
            found=len(leaves),
        )
    found = compute_root(leaves)
    if found != file.root:
        raise VerificationError(
            "the sealed chunks' hashes lead to another root than the sealed file's", expected=file.root, found=found
        )


def parse_sealed_leaves(file: SealedFile, raw: bytes) -> tuple[bytes, ...]:
    """Read the leaf hashes of a file's sealed chunks, 32 bytes each, and check them against its root.

    Raises:
        MalformedError: not a whole number of hashes.
        VerificationError: as `check_sealed_leaves`.
    """
    if len(raw) % HASH_SIZE_BYTES:
        raise MalformedError(f"{len(raw)} bytes are no list of hashes of {HASH_SIZE_BYTES} bytes")
    leaves = tuple(raw[first : first + HASH_SIZE_BYTES] for first in range(0, len(raw), HASH_SIZE_BYTES))
    check_sealed_leaves(file, leaves)
    return leaves


def _derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_SIZE_BYTES, salt=salt or None, info=info).derive(secret)


def parse_sealed_file(item: JsonValue) -> SealedFile:
    """Read one file as it stands in a descriptor. Raises: MalformedError: its members are other ones, or can not be."""
    if not isinstance(item, dict) or set(item) != {"root", "size"}:
        raise MalformedError("a sealing's file is an object with the members root and size")
    root, size = item["root"], item["size"]
    if not isinstance(root, str) or not isinstance(size, str):
        raise MalformedError("root and size of a sealing's file are strings")
    if not _SIZE.match(size):
        raise MalformedError("the size of a sealing's file is not a decimal number without leading zeros")
    return SealedFile(int(size), Bytes32.parse(root))
