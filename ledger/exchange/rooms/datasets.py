"""What is registered. The catalogue is known to all; contents to the provider, who may download, and auditors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence, Set
from contextlib import ExitStack
from datetime import datetime
from itertools import accumulate
from typing import Final

from ledger.content import FileEntry, parse_chunks, parse_manifest
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.erasing import Erasing, check_kept
from ledger.exchange.errors import ForbiddenError, NoSuchRangeError
from ledger.exchange.paging import Paging, present_page
from ledger.exchange.parts import Parts
from ledger.exchange.permission import Permission
from ledger.exchange.presenting import (
    present_dataset,
    present_descendant,
    present_file,
    present_match,
    present_version,
)
from ledger.exchange.rooms.visibility import party_of
from ledger.store.rows import ContentRow, FileRow, MatchRow, VersionRow
from ledger.surface.outcomes import Page, Stamped
from ledger.surface.views import (
    DatasetView,
    DescendantView,
    Download,
    FileView,
    LineageView,
    VerdictView,
    VersionView,
)
from ledger.types import Bytes32

__all__ = ["Datasets"]

_MOST_IN_LINEAGE: Final = 1000
_COME_BACK_S: Final = 1.0
_ASK_AGAIN_S: Final = 0.25
"""How often a download under way asks whether it is still permitted."""


class Datasets:
    """`gateway.datasets`."""

    def __init__(self, parts: Parts, permission: Permission, erasing: Erasing) -> None:
        self._parts = parts
        self._permission = permission
        self._erasing = erasing

    def list(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        provider: str | None = None,
        state: str | None = None,
        text: str | None = None,
        since: datetime | None = None,
    ) -> Page[DatasetView]:
        """The catalogue; with ``role`` what the asker provides, or asked for or was granted (``consumer``).

        Raises:
            MalformedError, NotFoundError: a filter can not be, or names nobody.
        """
        rows = self._parts.store.datasets.list(
            participant=party_of(asker, role) if role else None,
            role=role,
            provider=None if provider is None else self._parts.directory.participant(provider),
            state=state,
            text=text,
            since=since,
            limit=paging.limit,
            cursor=paging.cursor,
        )
        now = self._parts.now()
        return present_page(rows, lambda row: present_dataset(row, now))

    def get(self, _asker: Asker, name: str) -> Stamped[DatasetView]:
        """A dataset. Raises: NotFoundError."""
        with self._parts.store.snapshot():
            row = self._parts.store.datasets.find(self._parts.directory.dataset(name).id)
            if row is None:
                raise NotFoundError(f"no dataset {name[:140]} is known here")
            return Stamped(present_dataset(row, self._parts.now()), self._as_of_block())

    def versions(self, asker: Asker, name: str, paging: Paging) -> Page[VersionView]:
        """Versions, the newest first. Raises: NotFoundError, MalformedError."""
        dataset = self._parts.directory.dataset(name)
        rows = self._parts.store.datasets.versions(dataset.id, limit=paging.limit, cursor=paging.cursor)
        return present_page(rows, lambda row: present_version(row, opened=self._may_open(asker, row)))

    def version(self, asker: Asker, name: str, version: int) -> Stamped[VersionView]:
        """One version. Raises: NotFoundError."""
        row, as_of_block = self._read_version(name, version)
        return Stamped(present_version(row, opened=self._may_open(asker, row)), as_of_block)

    def lineage(self, _asker: Asker, name: str, version: int) -> Stamped[LineageView]:
        """A version with all that it is derived from. Raises: NotFoundError."""
        with self._parts.store.snapshot():
            row = self._find_version(name, version)
            return Stamped(self._trace(row.dataset, row.version, row.registration, set()), self._as_of_block())

    def _trace(self, dataset: Bytes32, version: int, registration: Bytes32, seen: set[Bytes32]) -> LineageView:
        name = self._parts.directory.name_of(dataset)
        row = self._parts.store.datasets.find_registration(registration)
        parents, erased = ((), None) if row is None else (row.parents, row.erased)
        if parents and (registration in seen or len(seen) >= _MOST_IN_LINEAGE):
            return LineageView(dataset, name, version, registration, (), more=True, erased=erased)
        seen.add(registration)
        traced = tuple(self._trace(each.dataset, each.version, each.registration, seen) for each in parents)
        return LineageView(dataset, name, version, registration, traced, erased=erased)

    def descendants(self, _asker: Asker, name: str, version: int, paging: Paging) -> Page[DescendantView]:
        """What is derived from a version, of all generations, each once. Raises: NotFoundError, MalformedError."""
        row = self._find_version(name, version)
        rows = self._parts.store.datasets.descendants(row.registration, limit=paging.limit, cursor=paging.cursor)
        return present_page(rows, present_descendant)

    def manifest(self, asker: Asker, name: str, version: int) -> Stamped[bytes]:
        """The manifest's canonical JSON. Raises: ForbiddenError: not permitted; NotFoundError."""
        row, as_of_block = self._require_open(asker, name, version)
        return Stamped(self._content(row).manifest, as_of_block)

    def chunks(self, asker: Asker, name: str, version: int) -> Stamped[bytes]:
        """The chunk hashes' canonical JSON. Raises: ForbiddenError: not permitted; NotFoundError."""
        row, as_of_block = self._require_open(asker, name, version)
        content = self._content(row)
        if content.chunks is None:
            raise NotFoundError("every file of this version has at most one chunk: there is no list of chunk hashes")
        return Stamped(content.chunks, as_of_block)

    def files(self, asker: Asker, name: str, version: int) -> Stamped[tuple[FileView, ...]]:
        """The files and whether their bytes are here. Raises: ForbiddenError: not permitted; NotFoundError."""
        row, as_of_block = self._require_open(asker, name, version)
        files = self._parts.store.contents.files(row.registration)
        return Stamped(tuple(present_file(each) for each in files), as_of_block)

    async def upload(
        self, asker: Asker, name: str, version: int, path: str, stream: AsyncIterable[bytes]
    ) -> Stamped[FileView]:
        """Take a file's bytes (pieces of any size), checked against the manifest as they arrive.

        Raises:
            ForbiddenError: the dataset is another participant's, or the key may not write.
            NotFoundError: the version or its manifest has no such file.
            VerificationError: other bytes than the manifest names; nothing of them stays.
            ErasedError: the version was erased, before or meanwhile.
            ConflictError: the same bytes are just being removed with another version (``file-being-removed``).
            UnavailableError: the store or its disk failed, or is full.
        """
        row, file, hashes = await asyncio.to_thread(self._find_upload, asker, name, version, path)
        with self._erasing.arriving(file.sha256):
            await asyncio.to_thread(self._check_arrival, row, {file.sha256})
            await self._parts.content.put_file(_entry_of(file), self._while_kept(row, stream), hashes)
            return await asyncio.to_thread(self._finish_upload, row, path)

    def upload_many(
        self, asker: Asker, name: str, version: int, paths: Sequence[str], data: bytes
    ) -> Stamped[tuple[FileView, ...]]:
        """Take small files in one go; ``data`` holds their bytes, one after another in the order of ``paths``.

        Raises:
            As `upload`, for the first file that is not right; nothing of any of them stays then.
            MalformedError: ``data`` is not as long as they are together, or one is named twice or has several chunks.
        """
        row, files = self._find_small(asker, name, version, paths)
        if sum(file.size_bytes for file in files) != len(data):
            raise MalformedError(f"{len(data)} bytes came, which is not what these {len(files)} files have together")
        ends = accumulate(file.size_bytes for file in files)
        pieces = [(_entry_of(file), data[end - file.size_bytes : end]) for file, end in zip(files, ends, strict=True)]
        with ExitStack() as arriving:
            for file in files:
                arriving.enter_context(self._erasing.arriving(file.sha256))
            self._check_arrival(row, {file.sha256 for file in files})
            asyncio.run(self._parts.content.put_files(pieces))
            self._check_kept(row)
            self._parts.store.contents.mark_many_uploaded(row.registration, set(paths), self._parts.now())
        with self._parts.store.snapshot():
            there = self._parts.store.contents.find_files(row.registration, set(paths))
            return Stamped(tuple(present_file(each) for each in there), self._as_of_block())

    def _find_small(
        self, asker: Asker, name: str, version: int, paths: Sequence[str]
    ) -> tuple[VersionRow, tuple[FileRow, ...]]:
        row = self._find_own(asker, name, version)
        found = {file.path: file for file in self._parts.store.contents.find_files(row.registration, set(paths))}
        missing = next((path for path in paths if path not in found), None)
        if missing is not None:
            raise NotFoundError(f"version {row.version} has no file {missing[:200]!r}")
        if len(found) != len(paths):
            raise MalformedError("a file is named twice: name each once")
        large = next((file.path for file in found.values() if _entry_of(file).chunk_count > 1), None)
        if large is not None:
            raise MalformedError(f"{large[:200]!r} has more than one chunk: send it by itself")
        return row, tuple(found[path] for path in paths)

    def _check_arrival(self, row: VersionRow, sha256s: Set[Bytes32]) -> None:
        self._check_kept(row)
        if self._erasing.is_any_going(sha256s):
            raise ConflictError(
                "the same bytes are just being removed with another version: send them again soon",
                code="file-being-removed",
                retry_after_s=_COME_BACK_S,
            )

    async def _while_kept(self, row: VersionRow, stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Ask again while bytes arrive: an erasure stops what is under way. Raises: ErasedError."""
        asked_at = time.monotonic()
        async for piece in stream:
            if time.monotonic() - asked_at >= _ASK_AGAIN_S:
                await asyncio.to_thread(self._check_kept, row)
                asked_at = time.monotonic()
            yield piece

    def _check_kept(self, row: VersionRow) -> None:
        check_kept(self._parts.store.datasets.find_registration(row.registration) or row)

    def _find_upload(
        self, asker: Asker, name: str, version: int, path: str
    ) -> tuple[VersionRow, FileRow, tuple[bytes, ...] | None]:
        row = self._find_own(asker, name, version)
        file = self._find_file(row, path)
        content = self._content(row)
        if content.chunks is None:
            return row, file, None
        return row, file, parse_chunks(content.chunks, parse_manifest(content.manifest))[path]

    def _find_own(self, asker: Asker, name: str, version: int) -> VersionRow:
        """A version to which the asker may upload. Raises: ForbiddenError, NotFoundError, ErasedError."""
        row = self._find_version(name, version)
        if asker.participant != row.provider:
            raise ForbiddenError("only the provider uploads a dataset's files", code="not-yours")
        if not asker.may(Scope.WRITE):
            raise ForbiddenError("this key may not upload: it needs the scope write", code="missing-scope")
        check_kept(row)
        return row

    def _finish_upload(self, row: VersionRow, path: str) -> Stamped[FileView]:
        self._check_kept(row)
        self._parts.store.contents.mark_uploaded(row.registration, path, self._parts.now())
        with self._parts.store.snapshot():
            return Stamped(present_file(self._find_file(row, path)), self._as_of_block())

    async def download(
        self,
        asker: Asker,
        name: str,
        version: int,
        path: str,
        *,
        first: int = 0,
        last: int | None = None,
        grant: Bytes32 | None = None,
    ) -> Download:
        """A file, or bytes ``first`` to ``last`` (included) of it, to the provider or under a grant that permits it.

        Raises:
            ForbiddenError: no grant permits it; the code says why.
            NotFoundError: no such version or file, or its bytes were not uploaded.
            NoSuchRangeError: the file has no such bytes.
            VerificationError: the stored copy was changed.
            UnavailableError: chain or store failed.
        """
        row, file, as_of_block = await asyncio.to_thread(self._find_download, asker, name, version, path, grant)
        end = file.size_bytes - 1 if last is None else min(last, file.size_bytes - 1)
        if not 0 <= first <= end and (first, last) != (0, None):
            raise NoSuchRangeError(
                f"{path} has {file.size_bytes} bytes: there is none from {first} on", size_bytes=file.size_bytes
            )
        pieces = await self._parts.content.open_file(_entry_of(file), first, end)
        watched = self._while_permitted(asker, row, grant, pieces)
        return Download(present_file(file), first, end, watched, as_of_block)

    async def _while_permitted(
        self, asker: Asker, row: VersionRow, grant: Bytes32 | None, pieces: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Ask again while bytes travel: a revocation stops what is under way. Raises: ForbiddenError."""
        asked_at = time.monotonic()
        async for piece in pieces:
            if time.monotonic() - asked_at >= _ASK_AGAIN_S:
                await asyncio.to_thread(self._check_kept, row)
                await asyncio.to_thread(self._permission.check, asker, row, grant)
                asked_at = time.monotonic()
            yield piece

    def _find_download(
        self, asker: Asker, name: str, version: int, path: str, grant: Bytes32 | None
    ) -> tuple[VersionRow, FileRow, int]:
        row, as_of_block = self._read_version(name, version)
        check_kept(row)
        self._permission.check(asker, row, grant)
        file = self._find_file(row, path)
        if file.uploaded_at is None:
            raise NotFoundError(f"the bytes of {path} were not uploaded yet: ask the provider")
        return row, file, as_of_block

    def verify(self, asker: Asker, sha256: Bytes32) -> Stamped[VerdictView]:
        """Whether bytes with this SHA-256 are registered in a version whose contents the asker may know."""
        rows, as_of_block = self._match(asker, sha256)
        matches = tuple(present_match(row) for row in rows)
        if any(row.in_force for row in rows):
            first = next(match for match, row in zip(matches, rows, strict=True) if row.in_force)
            sentence = f"These bytes are {first.path} of {first.name or first.dataset}, version {first.version}."
            return Stamped(VerdictView("verified", sentence, matches), as_of_block)
        sentence = (
            "These bytes are of a version that is not in force yet."
            if matches
            else "No version whose contents you may know has these bytes; that shows nothing about others."
        )
        return Stamped(VerdictView("undetermined", sentence, matches), as_of_block)

    def _match(self, asker: Asker, sha256: Bytes32) -> tuple[Sequence[MatchRow], int]:
        """The matches in versions whose contents the asker may know, and as of which block they are that."""
        store = self._parts.store
        with store.snapshot():
            found = [(row, store.datasets.find_registration(row.registration)) for row in store.contents.match(sha256)]
            as_of_block = self._as_of_block()
        return [row for row, version in found if version is not None and self._may_open(asker, version)], as_of_block

    def _may_open(self, asker: Asker, row: VersionRow) -> bool:
        return asker.may(Scope.AUDIT) or self._permission.is_permitted(asker, row)

    def _require_open(self, asker: Asker, name: str, version: int) -> tuple[VersionRow, int]:
        row, as_of_block = self._read_version(name, version)
        check_kept(row)
        if not asker.may(Scope.AUDIT):
            self._permission.check(asker, row)
        return row, as_of_block

    def _read_version(self, name: str, version: int) -> tuple[VersionRow, int]:
        """A version and the block that it is as of: what is read or asked of the chain afterwards is no older.

        The chain is asked outside of the snapshot: a slow node does not hold the database.
        """
        with self._parts.store.snapshot():
            return self._find_version(name, version), self._as_of_block()

    def _find_version(self, name: str, version: int) -> VersionRow:
        dataset = self._parts.directory.dataset(name)
        row = self._parts.store.datasets.find_version(dataset.id, version)
        if row is None:
            raise NotFoundError(f"the dataset {name[:140]} has no version {version}")
        return row

    def _find_file(self, row: VersionRow, path: str) -> FileRow:
        file = self._parts.store.contents.find_file(row.registration, path)
        if file is None:
            raise NotFoundError(f"version {row.version} has no file {path[:200]!r}")
        return file

    def _content(self, row: VersionRow) -> ContentRow:
        content = None if row.content_root is None else self._parts.store.contents.find(row.content_root)
        if content is None:
            raise NotFoundError("the manifest of this version is not kept here")
        return content

    def _as_of_block(self) -> int:
        return self._parts.store.chain.as_of_block()


def _entry_of(file: FileRow) -> FileEntry:
    return FileEntry(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256, root=file.root)
