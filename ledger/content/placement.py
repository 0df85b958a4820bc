"""Putting an object into a bucket whole or not at all; the only module that writes through obstore."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, Protocol

import obstore
from obstore import exceptions
from obstore.store import ObjectStore

from ledger.errors import NotFoundError, UnavailableError

__all__ = ["REASONS", "BucketPlacement", "NoPlacement", "Placement", "to_unavailable", "translate_errors"]

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
_PART_SIZE_BYTES: Final = 8 << 20
_MAX_PARTS: Final = 9_000
_PARTS_IN_FLIGHT: Final = 4
_OBJECTS_IN_FLIGHT: Final = 8


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
        raise to_unavailable(doing, error, store) from error


def to_unavailable(
    doing: str, error: exceptions.BaseError | OSError, store: str = "the content store"
) -> UnavailableError:
    """The error of ours for one of the store's, without its words."""
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
        raise to_unavailable("store an object", error) from error
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
