"""The content store: files under their SHA-256, in a local folder or a bucket, checked on the way in and out.

    files/<ab>/<sha256>    the bytes of a file
    chunks/<ab>/<sha256>   its chunk hashes, 32 bytes each, written last; absent for a file of at most one chunk
    incoming/              (local folders only) files that are still being written

Nothing is believed because it is stored: chunk hashes are checked against the root that the caller's manifest names,
and every chunk against its hash before a byte of it is passed on. Equal files are kept once, yet an upload of what is
already there must bring all the bytes again: knowing a hash is not having the data.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import obstore
from obstore.store import HTTPStore, LocalStore, ObjectStore

from ledger.content.chunks import ChunkMismatchError, check_chunk, check_chunk_hashes, derive_chunk_hashes
from ledger.content.folder_placement import FolderPlacement
from ledger.content.intake import ChunkJoiner, FileIntake, verify_stream
from ledger.content.manifest import CHUNK_SIZE_BYTES, FileEntry
from ledger.content.objects import DEFAULT_PATIENCE, Patience, open_objects
from ledger.content.placement import BucketPlacement, NoPlacement, Placement, translate_errors
from ledger.errors import NotFoundError, VerificationError
from ledger.merkle import HASH_SIZE_BYTES
from ledger.types import Bytes32

__all__ = ["ContentStore", "StoredContentError"]

_WINDOW_SIZE_BYTES: Final = 4 * CHUNK_SIZE_BYTES


class StoredContentError(VerificationError):
    """What the store holds is not what was put there: somebody or something changed it.

    ``path`` names the file as the caller's manifest has it, ``sha256`` its object, ``chunk`` the wrong chunk, if known.
    """

    def __init__(self, entry: FileEntry, finding: VerificationError) -> None:
        self.path = entry.path
        self.sha256 = entry.sha256
        self.chunk = finding.chunk if isinstance(finding, ChunkMismatchError) else None
        super().__init__(
            f"the stored copy of {entry.path} was changed: {finding}; upload the file again",
            expected=finding.expected,
            found=finding.found,
        )


class ContentStore:
    """Files by SHA-256. Safe for concurrent use by one event loop; several processes may read."""

    def __init__(self, objects: ObjectStore, placement: Placement) -> None:
        self._objects = objects
        self._placement = placement

    @property
    def objects(self) -> ObjectStore:
        """Where the bytes are kept, for whoever keeps others beside them."""
        return self._objects

    @property
    def placement(self) -> Placement:
        """How bytes come to be kept there."""
        return self._placement

    @classmethod
    def open(
        cls, location: str | Path, options: Mapping[str, str] | None = None, patience: Patience = DEFAULT_PATIENCE
    ) -> Self:
        """Open a local folder (made when missing) or what an address names, as `open_objects` has it.

        Over ``http://`` and ``https://`` it can only be read. ``options`` are the bucket's (``region``, ``endpoint``,
        ``access_key_id`` and so on, as obstore names them) and go before what the environment says; ``patience`` says
        how long a store that does not answer is waited for.

        Raises:
            MalformedError: another scheme, a password in the address, or an option that the store does not know.
            UnavailableError: the folder can not be made.
        """
        if isinstance(location, str) and "://" in location:
            objects = open_objects(location, options, patience)
            return cls(objects, NoPlacement() if isinstance(objects, HTTPStore) else BucketPlacement(objects))
        root = Path(location).absolute()
        with translate_errors("open its folder"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            local = LocalStore(root)
        return cls(local, FolderPlacement(root))

    async def remove_leftovers(self) -> int:
        """Remove what interrupted uploads left, on start, by the one process that writes; return how many.

        Raises:
            UnavailableError: the disk does not let us.
        """
        return await self._placement.remove_leftovers()

    async def check(self) -> None:
        """Ask for the first object's name, so that a store that does not answer is found. Raises: UnavailableError."""
        with translate_errors("be looked at"):
            if isinstance(self._objects, HTTPStore):  # which lists nothing
                with suppress(FileNotFoundError):
                    await obstore.head_async(self._objects, "files")
                return
            async for _ in obstore.list(self._objects, chunk_size=1):
                return

    async def put_file(
        self, entry: FileEntry, stream: AsyncIterable[bytes], chunk_hashes: Sequence[bytes] | None = None
    ) -> bool:
        """Take the bytes of ``entry`` and return whether they were new; may be repeated, and heals a damaged copy.

        With ``chunk_hashes`` the first wrong chunk ends it; without, the end of the stream does. Surplus bytes end it
        at once. Whatever ends it, an error of ``stream`` and cancellation too, nothing of this upload stays. When it
        returns, a local file has reached the disk.

        Raises:
            ChunkMismatchError: a wrong chunk, by number and place.
            VerificationError: too many or too few bytes, another root or SHA-256, or chunk hashes of another file.
            UnavailableError: the store or the disk failed, or the disk is full.
        """
        intake = FileIntake(entry, chunk_hashes)
        chunks = verify_stream(intake, stream)
        if await self._is_intact(entry):
            async for _ in chunks:
                pass
            return False
        await self._placement.place(_key("files", entry.sha256), chunks, entry.size_bytes)
        if entry.chunk_count > 1:
            stored = b"".join(intake.leaf_hashes)
            await self._placement.place(_key("chunks", entry.sha256), _once(stored), len(stored))
        return True

    async def put_files(self, files: Sequence[tuple[FileEntry, bytes]]) -> None:
        """Take small files, of at most one chunk each, whole and in one go; may be repeated, and heals damaged copies.

        Every file is checked before the first is kept. When it returns, local files have reached the disk.

        Raises:
            VerificationError: the bytes of one are not its entry's; nothing is kept.
            UnavailableError: the store or the disk failed, or the disk is full; what was kept is right.
        """
        await asyncio.to_thread(_check_all, files)
        await self._placement.place_many({_key("files", entry.sha256): data for entry, data in files})

    async def open_file(
        self, entry: FileEntry, first_byte: int = 0, last_byte: int | None = None
    ) -> AsyncIterator[bytes]:
        """Return the bytes from ``first_byte`` to ``last_byte`` (included; by default the end), in checked pieces.

        Everything that can be known before the first byte is sent is checked before this returns, the first chunk too.

        Raises:
            ValueError: no such range.
            NotFoundError: the file was not uploaded.
            StoredContentError: the stored copy was changed; raised from the iterator for a later chunk, and then no
                byte of that chunk was passed on.
            UnavailableError: the store failed.
        """
        last_byte = entry.size_bytes - 1 if last_byte is None else last_byte
        if not 0 <= first_byte <= last_byte + 1 <= entry.size_bytes:
            raise ValueError(f"{entry.path} has {entry.size_bytes} bytes, not a range {first_byte} to {last_byte}")
        await self._check_size(entry)
        hashes = await self.load_chunk_hashes(entry)
        pieces = self._read_checked(entry, hashes, first_byte, last_byte)
        return _resume(await anext(pieces, None), pieces)

    async def read_file(self, entry: FileEntry) -> AsyncIterator[bytes]:
        """Return the stored bytes of a file in pieces of whole chunks, unchecked: for whoever checks each chunk itself.

        Raises:
            NotFoundError, UnavailableError: as `open_file`.
            StoredContentError: it has another size.
        """
        await self._check_size(entry)
        return self._read(entry, 0, entry.size_bytes)

    async def load_chunk_hashes(self, entry: FileEntry) -> tuple[bytes, ...]:
        """Return the chunk hashes of a stored file, checked against the entry's root.

        Raises:
            NotFoundError: the file was not uploaded.
            StoredContentError: the stored hashes are not those of the file.
            UnavailableError: the store failed.
        """
        derived = derive_chunk_hashes(entry)
        if derived is not None:
            return derived
        with translate_errors(f"read the chunk hashes of {entry.path}"):
            stored = await obstore.get_async(self._objects, _key("chunks", entry.sha256))
            if stored.meta["size"] != entry.chunk_count * HASH_SIZE_BYTES:
                raise StoredContentError(entry, VerificationError("its list of chunk hashes has another length"))
            raw = bytes(await stored.bytes_async())
        hashes = tuple(raw[first : first + HASH_SIZE_BYTES] for first in range(0, len(raw), HASH_SIZE_BYTES))
        try:
            check_chunk_hashes(entry, hashes)
        except VerificationError as error:
            raise StoredContentError(entry, error) from error
        return hashes

    async def verify_file(self, entry: FileEntry) -> None:
        """Hash the stored copy again, as `fsck` does.

        Raises:
            NotFoundError: the file was not uploaded.
            StoredContentError: the stored copy was changed.
            UnavailableError: the store failed.
        """
        await self._check_size(entry)
        hashes = await self.load_chunk_hashes(entry)
        try:
            async for _ in verify_stream(FileIntake(entry, hashes), self._read(entry, 0, entry.size_bytes)):
                pass
        except VerificationError as error:
            raise StoredContentError(entry, error) from error

    async def delete_file(self, sha256: Bytes32) -> None:
        """Remove a file and its chunk hashes; whether another data set shares it is the caller's to know.

        Raises:
            UnavailableError: the store failed.
        """
        for kind in ("chunks", "files"):
            await self._placement.remove(_key(kind, sha256))

    async def _is_intact(self, entry: FileEntry) -> bool:
        try:
            await self.verify_file(entry)
        except (NotFoundError, StoredContentError):
            return False
        return True

    async def _check_size(self, entry: FileEntry) -> None:
        with translate_errors(f"find {entry.path}"):
            size = (await obstore.head_async(self._objects, _key("files", entry.sha256)))["size"]
        if size != entry.size_bytes:
            finding = VerificationError(f"it has {size} bytes", expected=entry.size_bytes, found=size)
            raise StoredContentError(entry, finding)

    async def _read(self, entry: FileEntry, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield the stored bytes from ``start`` to before ``end``, unchecked.

        Window by window, because obstore's own stream never ends when a local file is truncated under it.
        """
        key = _key("files", entry.sha256)
        for first in range(start, end, _WINDOW_SIZE_BYTES):
            last = min(first + _WINDOW_SIZE_BYTES, end)
            with translate_errors(f"read {entry.path}"):
                window = await obstore.get_range_async(self._objects, key, start=first, end=last)
            yield bytes(window)

    async def _read_checked(
        self, entry: FileEntry, hashes: Sequence[bytes], first_byte: int, last_byte: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``first_byte`` to ``last_byte``, each chunk that holds one checked as a whole."""
        index = first_byte // CHUNK_SIZE_BYTES
        end = min((last_byte // CHUNK_SIZE_BYTES + 1) * CHUNK_SIZE_BYTES, entry.size_bytes)
        joiner, left = ChunkJoiner(), end - index * CHUNK_SIZE_BYTES
        async for piece in self._read(entry, index * CHUNK_SIZE_BYTES, end):
            left -= len(piece)
            for chunk in joiner.cut(piece, is_last=not left):
                await self._check_stored(entry, hashes, index, chunk)
                first = index * CHUNK_SIZE_BYTES
                yield chunk[max(first_byte - first, 0) : last_byte - first + 1]
                index += 1
        if index * CHUNK_SIZE_BYTES < end:
            raise StoredContentError(entry, VerificationError(f"it ends within chunk {index}"))

    async def _check_stored(self, entry: FileEntry, hashes: Sequence[bytes], index: int, chunk: bytes) -> None:
        try:
            await asyncio.to_thread(check_chunk, entry, hashes, index, chunk)
        except VerificationError as error:
            raise StoredContentError(entry, error) from error


def _check_all(files: Sequence[tuple[FileEntry, bytes]]) -> None:
    for entry, data in files:
        intake = FileIntake(entry)
        for chunk in intake.split(data):
            intake.check(chunk)
        intake.finish()


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


async def _resume(first: bytes | None, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    try:
        if first is not None:
            yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()


def _key(kind: str, sha256: Bytes32) -> str:
    name = sha256.hex()
    return f"{kind}/{name[:2]}/{name}"
