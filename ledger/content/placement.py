"""Putting an object whole or not at all, in a local folder or a bucket; the only module that writes through obstore."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TypeVar

import obstore
from obstore import exceptions
from obstore.store import LocalStore, ObjectStore

from ledger.durable import sync, write_synced
from ledger.errors import NotFoundError, UnavailableError

__all__ = ["REASONS", "BucketPlacement", "FolderPlacement", "NoPlacement", "Placement", "translate_errors"]

REASONS: Final[dict[type[exceptions.BaseError], str]] = {
    exceptions.AlreadyExistsError: "an object of that name is in the way",
    exceptions.GenericError: "the store failed",
    exceptions.InvalidPathError: "the store does not take that name",
    exceptions.JoinError: "the store's task died",
    exceptions.NotModifiedError: "the store answered a question that was not asked",
    exceptions.NotSupportedError: "the store can not do that",
    exceptions.PermissionDeniedError: "the store's credentials do not allow it",
    exceptions.PreconditionError: "another writer was faster",
    exceptions.UnauthenticatedError: "the store does not accept the credentials",
    exceptions.UnknownConfigurationKeyError: "an option of the store is not known",
}
# ENOSPC, EFBIG and EDQUOT, as the store's library and Python word them.
_FULL: Final = tuple(form.format(code) for code in (28, 27, 122) for form in ("(os error {})", "[Errno {}]"))
_INCOMING: Final = "incoming"
_PART_SIZE_BYTES: Final = 8 << 20
_MAX_PARTS: Final = 9_000
_PARTS_IN_FLIGHT: Final = 4
_OBJECTS_IN_FLIGHT: Final = 8
"""Of many small ones: the disk makes what is flushed at the same time durable together."""

T = TypeVar("T")


@contextmanager
def translate_errors(doing: str, store: str = "the content store") -> Iterator[None]:
    """Turn the store's exceptions into ours; ``doing`` completes the sentence *the content store can not …*.

    Neither addresses nor the store's own words come into the message: both may carry what is secret.

    Raises:
        NotFoundError: no such object.
        UnavailableError: everything else that the store or the disk says; the cause has the details.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"{store} can not {doing}: there is no such object") from error
    except (exceptions.BaseError, OSError) as error:
        raise _unavailable(doing, error, store) from error


def _unavailable(
    doing: str, error: exceptions.BaseError | OSError, store: str = "the content store"
) -> UnavailableError:
    if any(mark in str(error) for mark in _FULL):
        reason = "the disk is full: free some space and try again"
    elif isinstance(error, OSError) and error.strerror is not None:
        reason = error.strerror
    # What a bucket says in the middle of a put comes as an OSError without a number.
    elif isinstance(error, FileNotFoundError):
        reason = "there is no such bucket, or the credentials are not known there"
    else:
        kind = exceptions.PermissionDeniedError if isinstance(error, PermissionError) else type(error)
        reason = REASONS.get(kind, "the store failed")  # type: ignore[arg-type]  # OSError is no key, and not found
    return UnavailableError(f"{store} can not {doing}: {reason}")


class Placement(Protocol):
    """How an object comes to stand under its key."""

    async def place(self, key: str, chunks: AsyncGenerator[bytes, None], size_bytes: int) -> None:
        """Store the chunks under ``key`` once all came, replacing what is there; nothing when one is refused."""

    async def place_many(self, objects: Mapping[str, bytes]) -> None:
        """Store small objects under their keys; where it fails, some of them, each whole."""

    async def remove(self, key: str) -> None:
        """Remove the object under ``key``; whether there is one does not matter."""

    async def remove_leftovers(self) -> int:
        """Remove what interrupted puts left and return how many there were."""


class BucketPlacement:
    """A multipart upload: the bucket shows the object when the last part is confirmed.

    The parts of an upload that died with its process are invisible; a lifecycle rule of the bucket removes them.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def place(self, key: str, chunks: AsyncGenerator[bytes, None], size_bytes: int) -> None:
        """Store the chunks under ``key``. Raises: UnavailableError, and whatever ``chunks`` raises."""
        await _put(self._store, key, chunks, size_bytes)

    async def place_many(self, objects: Mapping[str, bytes]) -> None:
        """Store objects, several at a time. Raises: UnavailableError."""
        turns = asyncio.Semaphore(_OBJECTS_IN_FLIGHT)

        async def put(key: str, data: bytes) -> None:
            async with turns:
                await obstore.put_async(self._store, key, data)

        with translate_errors("store an object"):
            try:
                async with asyncio.TaskGroup() as group:
                    for key, data in objects.items():
                        group.create_task(put(key, data))
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None  # the others were called off

    async def remove(self, key: str) -> None:
        """Remove the object under ``key``. Raises: UnavailableError."""
        await _remove(self._store, key)

    async def remove_leftovers(self) -> int:
        """Do nothing: there is nothing to see."""
        return 0


class NoPlacement:
    """A store that is read over HTTP: it takes nothing and loses nothing."""

    async def place(self, key: str, chunks: AsyncGenerator[bytes, None], size_bytes: int) -> None:  # noqa: ARG002
        """Refuse, before a byte of ``chunks`` is asked for. Raises: UnavailableError."""
        await chunks.aclose()
        raise _read_only("store an object")

    async def place_many(self, objects: Mapping[str, bytes]) -> None:  # noqa: ARG002
        """Refuse. Raises: UnavailableError."""
        raise _read_only("store an object")

    async def remove(self, key: str) -> None:  # noqa: ARG002
        """Refuse. Raises: UnavailableError."""
        raise _read_only("delete a file")

    async def remove_leftovers(self) -> int:
        """Do nothing: there is nothing of ours."""
        return 0


class FolderPlacement:
    """A file written aside, flushed to the disk, then renamed."""

    def __init__(self, store: LocalStore, root: Path) -> None:
        self._store = store
        self._root = root

    async def place(self, key: str, chunks: AsyncGenerator[bytes, None], size_bytes: int) -> None:
        """Store the chunks under ``key``. Raises: UnavailableError, and whatever ``chunks`` raises."""
        aside = f"{_INCOMING}/{uuid.uuid4().hex}"
        try:
            await _put(self._store, aside, chunks, size_bytes)
            with translate_errors("keep an object"):
                await asyncio.to_thread(sync, self._root / aside)
                await obstore.rename_async(self._store, aside, key)
                await asyncio.to_thread(_flush_folders, self._root, key)
        finally:
            with suppress(OSError):  # what can not be removed now, the next start removes
                (self._root / aside).unlink(missing_ok=True)

    async def place_many(self, objects: Mapping[str, bytes]) -> None:
        """Store objects, flushed several at a time, and each folder once. Raises: UnavailableError."""
        with translate_errors("keep an object"):
            await _finish_in_thread(lambda: _place_all(self._root, objects))

    async def remove(self, key: str) -> None:
        """Remove the file under ``key``. Raises: UnavailableError."""
        await _remove(self._store, key)

    async def remove_leftovers(self) -> int:
        """Empty the folder of files written aside; only the process that owns the store may call it.

        Raises:
            UnavailableError: the disk does not let us.
        """
        with translate_errors("clean up"):
            return await asyncio.to_thread(_empty, self._root / _INCOMING)


def _read_only(doing: str) -> UnavailableError:
    return UnavailableError(
        f"the content store can not {doing}: over HTTP it is only read; name a folder or bucket in CONCORD_CONTENT_URL"
    )


async def _remove(store: ObjectStore, key: str) -> None:
    with suppress(NotFoundError), translate_errors("delete a file"):
        await obstore.delete_async(store, key)


async def _put(store: ObjectStore, key: str, chunks: AsyncGenerator[bytes, None], size_bytes: int) -> None:
    part_size = max(_PART_SIZE_BYTES, -(-size_bytes // _MAX_PARTS))
    source = _Source(chunks)
    put = asyncio.ensure_future(
        obstore.put_async(store, key, source, chunk_size=part_size, max_concurrency=_PARTS_IN_FLIGHT)
    )
    try:
        await asyncio.shield(put)
    except asyncio.CancelledError:
        source.interrupt()
        await asyncio.wait({put})
        put.exception()  # it is the interruption; looking at it says that somebody did
        raise
    except (exceptions.BaseError, OSError) as error:
        if source.failure is not None:
            raise source.failure from None
        raise _unavailable("store an object", error) from error
    finally:
        await source.close()


class _Source:
    """Chunks for a put that can be told to fail: a put that is merely dropped leaves its parts in the bucket."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._pending: asyncio.Task[bytes] | None = None
        self._interrupted = False
        self.failure: OSError | None = None  # of whoever sends the chunks, not of the store

    def interrupt(self) -> None:
        self._interrupted = True
        if self._pending is not None:
            self._pending.cancel()

    async def close(self) -> None:
        self.interrupt()
        if self._pending is not None:
            await asyncio.wait({self._pending})
        await self._chunks.aclose()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._interrupted:
            raise _InterruptedPutError
        self._pending = asyncio.ensure_future(self._next())
        try:
            return await self._pending
        except asyncio.CancelledError:
            raise _InterruptedPutError from None
        except OSError as error:
            self.failure = error
            raise

    async def _next(self) -> bytes:
        return await anext(self._chunks)


class _InterruptedPutError(Exception):
    """Makes a cancelled put abort; never leaves this module."""


async def _finish_in_thread(act: Callable[[], T]) -> T:
    """Run it in a thread, to its end also where whoever waits for it is cancelled."""
    running = asyncio.ensure_future(asyncio.to_thread(act))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        running.exception()  # nobody is there to be told
        raise


def _place_all(root: Path, objects: Mapping[str, bytes]) -> None:
    incoming = root / _INCOMING
    incoming.mkdir(exist_ok=True)
    aside = {key: incoming / uuid.uuid4().hex for key in objects}
    try:
        with ThreadPoolExecutor(_OBJECTS_IN_FLIGHT, thread_name_prefix="placing") as flushers:
            list(flushers.map(write_synced, aside.values(), objects.values()))
        for key, place in aside.items():
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            place.rename(root / key)
        folders = {folder for key in objects for folder in (root / key).parents if folder.is_relative_to(root)}
        for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            sync(folder)
    finally:
        for place in aside.values():
            with suppress(OSError):  # what can not be removed now, the next start removes
                place.unlink(missing_ok=True)


def _flush_folders(root: Path, key: str) -> None:
    """Make the object's name last, and those of its folders, which may be new."""
    folder = (root / key).parent
    while True:
        sync(folder)
        if folder == root:
            return
        folder = folder.parent


def _empty(folder: Path) -> int:
    if not folder.exists():
        return 0
    count = sum(1 for _ in folder.iterdir())
    shutil.rmtree(folder)
    return count
