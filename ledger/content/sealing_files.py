"""Sealing and opening one file, chunk by chunk: memory stays at one chunk whatever the file's size.

A (key, nonce) never meets two plaintexts, and nobody has to take care of it: a file's key is derived from its entry in
the manifest, a chunk is encrypted only after its hash was found to be the one that this entry's root commits to, and
its nonce is its index. Sealing a source that changed therefore fails before anything is encrypted, and sealing the
same one again under the same key gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.content.chunks import check_chunk, check_chunk_hashes, derive_chunk_hashes
from ledger.content.intake import FileIntake
from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.content.sealing import TAG_SIZE_BYTES, SealedFile, SealingKey
from ledger.errors import MalformedError, VerificationError
from ledger.merkle import compute_root, leaf_hash
from ledger.types import Bytes32

__all__ = [
    "ByteRange",
    "FileOpener",
    "FileSealer",
    "SealedChunkError",
    "open_chunks",
    "open_range",
    "plan_range",
    "read_pieces",
    "seal_chunks",
    "sealed_chunk_count",
    "sealed_size",
]

_INDEX_SIZE_BYTES: Final = 11


class SealedChunkError(VerificationError):
    """A sealed chunk does not open in its place: changed, or of another. ``path`` and ``chunk`` name it."""

    def __init__(self, entry: FileEntry, chunk: int) -> None:
        self.path = entry.path
        self.chunk = chunk
        super().__init__(
            f"sealed chunk {chunk} of {entry.path} does not open: it was changed, or is of another place, file or "
            "sealing; fetch it again"
        )


def sealed_chunk_count(entry: FileEntry) -> int:
    """How many sealed chunks a file has: an empty file has one, which holds nothing."""
    return max(1, entry.chunk_count)


def sealed_size(entry: FileEntry) -> int:
    """How many bytes a file has when it is sealed."""
    return entry.size_bytes + sealed_chunk_count(entry) * TAG_SIZE_BYTES


class FileSealer:
    """Seals the chunks of one file in order."""

    def __init__(self, key: SealingKey, entry: FileEntry, chunk_hashes: Sequence[bytes] | None = None) -> None:
        """Seal ``entry``; ``chunk_hashes`` may be left out for a file of at most one chunk.

        Raises:
            VerificationError: ``chunk_hashes`` are not those of ``entry``.
            ValueError: they are needed and not given.
        """
        known = chunk_hashes if chunk_hashes is not None else derive_chunk_hashes(entry)
        if known is None:
            raise ValueError(f"{entry.path} has {entry.chunk_count} chunks: their hashes are needed to seal it")
        check_chunk_hashes(entry, known)
        self._entry = entry
        self._hashes = known
        self._cipher = AESGCM(key.derive_file_key(entry))
        self._leaves: list[bytes] = []
        self._size_bytes = 0

    @property
    def leaf_hashes(self) -> tuple[bytes, ...]:
        """The leaf hashes of the chunks that were sealed so far."""
        return tuple(self._leaves)

    def seal(self, chunk: bytes) -> bytes:
        """Seal the next chunk (of an empty file: the one empty chunk).

        Raises:
            ChunkMismatchError: it is not the chunk that the manifest names; nothing was encrypted.
            VerificationError: the file has no further chunk.
        """
        sealed, leaf = self.seal_at(len(self._leaves), chunk)
        self.keep(sealed, leaf)
        return sealed

    def seal_at(self, index: int, chunk: bytes) -> tuple[bytes, bytes]:
        """Seal the chunk at ``index`` and hash it, in any thread; `keep` takes what it returns, in order.

        Raises:
            ChunkMismatchError, VerificationError: as `seal`.
        """
        entry, count = self._entry, sealed_chunk_count(self._entry)
        if index >= count or (entry.size_bytes == 0 and len(chunk)):
            raise VerificationError(f"{entry.path} has more bytes than the {entry.size_bytes} of its entry")
        if entry.size_bytes:
            check_chunk(entry, self._hashes, index, chunk)
        sealed = self._cipher.encrypt(_nonce(index, is_last=index == count - 1), chunk, None)
        return sealed, leaf_hash(sealed)

    def keep(self, sealed: bytes, leaf: bytes) -> None:
        """Count the next chunk that `seal_at` sealed."""
        self._leaves.append(leaf)
        self._size_bytes += len(sealed)

    def finish(self) -> SealedFile:
        """Return the sealed file once its last chunk is sealed.

        Raises:
            VerificationError: chunks are missing.
        """
        count = sealed_chunk_count(self._entry)
        if len(self._leaves) != count:
            raise VerificationError(
                f"{self._entry.path} ended after {len(self._leaves)} of {count} chunks",
                expected=count,
                found=len(self._leaves),
            )
        return SealedFile(self._size_bytes, Bytes32(compute_root(self._leaves)))


class FileOpener:
    """Opens the sealed chunks of one file, in any order. Safe to share between threads."""

    def __init__(self, key: SealingKey, entry: FileEntry) -> None:
        self._entry = entry
        self._count = sealed_chunk_count(entry)
        self._cipher = AESGCM(key.derive_file_key(entry))

    @property
    def entry(self) -> FileEntry:
        """The file."""
        return self._entry

    def open(self, index: int, sealed: bytes) -> bytes:
        """Return the plaintext of sealed chunk ``index``, as it was sealed in this place of this file.

        That it is what the manifest names is another question: `open_chunks` asks it of the whole file, `check_chunk`
        of one chunk.

        Raises:
            MalformedError: no such chunk, or it has another length.
            SealedChunkError: it does not open here.
        """
        entry = self._entry
        if not 0 <= index < self._count:
            raise MalformedError(f"{entry.path} has {self._count} sealed chunks, there is no chunk {index}")
        size = min(entry.size_bytes - index * CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES) + TAG_SIZE_BYTES
        if len(sealed) != size:
            raise MalformedError(f"sealed chunk {index} of {entry.path} has {size} bytes, found {len(sealed)}")
        try:
            return self._cipher.decrypt(_nonce(index, is_last=index == self._count - 1), sealed, None)
        except InvalidTag as error:
            raise SealedChunkError(entry, index) from error


def seal_chunks(sealer: FileSealer, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the sealed chunks of a file whose chunks of 1 MiB come in order; an empty file may bring none.

    Raises:
        ChunkMismatchError, VerificationError: as `FileSealer`; too few chunks, too.
    """
    is_empty = True
    for chunk in chunks:
        is_empty = False
        yield sealer.seal(chunk)
    if is_empty:
        yield sealer.seal(b"")
    sealer.finish()


def open_chunks(
    opener: FileOpener, sealed: Iterable[bytes], chunk_hashes: Sequence[bytes] | None = None
) -> Iterator[bytes]:
    """Yield the chunks of a whole file, checked against its entry as `FileIntake` does; the end comes after the check.

    Raises:
        MalformedError, SealedChunkError: as `FileOpener.open`; a chunk after the last one.
        VerificationError: chunks are missing, or the plaintext is not the manifest's.
    """
    entry, count = opener.entry, 0
    intake = FileIntake(entry, chunk_hashes)
    for index, piece in enumerate(sealed):
        count += 1
        for chunk in intake.split(opener.open(index, piece)):
            intake.check(chunk)
            yield chunk
    if count != sealed_chunk_count(entry):
        raise VerificationError(
            f"{entry.path} ended after {count} of {sealed_chunk_count(entry)} sealed chunks: fetch the rest",
            expected=sealed_chunk_count(entry),
            found=count,
        )
    intake.finish()


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Which sealed chunks hold a range of a file's bytes, ``first_chunk`` to ``last_chunk``, both included."""

    entry: FileEntry
    first_byte: int
    last_byte: int
    first_chunk: int
    last_chunk: int


def plan_range(entry: FileEntry, first_byte: int, last_byte: int) -> ByteRange:
    """Find the sealed chunks that hold the bytes from ``first_byte`` to ``last_byte``, both included.

    Raises:
        ValueError: the file has no such range; an empty file has none at all.
    """
    if not 0 <= first_byte <= last_byte < entry.size_bytes:
        raise ValueError(f"{entry.path} has {entry.size_bytes} bytes, not a range {first_byte} to {last_byte}")
    return ByteRange(entry, first_byte, last_byte, first_byte // CHUNK_SIZE_BYTES, last_byte // CHUNK_SIZE_BYTES)


def open_range(opener: FileOpener, planned: ByteRange, sealed: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a planned range from the sealed chunks that it names, in order.

    Raises:
        MalformedError, SealedChunkError: as `FileOpener.open`.
        VerificationError: fewer or more chunks came than the range has.
    """
    index = planned.first_chunk
    for piece in sealed:
        if index > planned.last_chunk:
            raise VerificationError(f"more sealed chunks of {planned.entry.path} came than its range has")
        first = index * CHUNK_SIZE_BYTES
        yield opener.open(index, piece)[max(planned.first_byte - first, 0) : planned.last_byte - first + 1]
        index += 1
    if index <= planned.last_chunk:
        raise VerificationError(f"the range of {planned.entry.path} ended before its sealed chunk {index}")


def read_pieces(reader: BinaryIO, size_bytes: int = CHUNK_SIZE_BYTES) -> Iterator[bytes]:
    """Yield what a reader holds in pieces of ``size_bytes``, the last one shorter, none empty."""
    while piece := _read_fully(reader, size_bytes):
        yield piece


def _read_fully(reader: BinaryIO, size_bytes: int) -> bytes:
    pieces: list[bytes] = []
    missing = size_bytes
    while missing and (piece := reader.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _nonce(index: int, *, is_last: bool) -> bytes:
    return index.to_bytes(_INDEX_SIZE_BYTES) + bytes([is_last])
