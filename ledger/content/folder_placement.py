"""Putting an object into a local folder: written aside, made durable, then moved to its place."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from ledger.content.placement import to_unavailable, translate_errors
from ledger.content.write_behind import WriteBehind
from ledger.durable import sync, write_synced

__all__ = ["FolderPlacement"]

_INCOMING: Final = "incoming"
_OBJECTS_IN_FLIGHT: Final = 8
"""Of many small ones: the disk makes what is flushed at the same time durable together."""

T = TypeVar("T")


class FolderPlacement:
    """A file written aside, flushed to the disk, then renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def place(self, key: str, chunks: AsyncGenerator[bytes, None], size_bytes: int) -> None:  # noqa: ARG002
        """Store the chunks under ``key``. Raises: UnavailableError, and whatever ``chunks`` raises."""
        aside = self._root / _INCOMING / uuid.uuid4().hex
        try:
            try:
                await _write_aside(aside, chunks)
            finally:
                await chunks.aclose()
            with translate_errors("keep an object"):
                await _finish_in_thread(lambda: _move_all(self._root, {key: aside}))
        finally:
            with suppress(OSError):  # what can not be removed now, the next start removes
                aside.unlink(missing_ok=True)

    async def place_many(self, objects: Mapping[str, bytes]) -> None:
        """Store objects, flushed several at a time, and each folder once. Raises: UnavailableError."""
        with translate_errors("keep an object"):
            await _finish_in_thread(lambda: _place_all(self._root, objects))

    async def remove(self, key: str) -> None:
        """Remove the file under ``key``. Raises: UnavailableError."""
        with translate_errors("delete a file"):
            await asyncio.to_thread((self._root / key).unlink, missing_ok=True)

    async def remove_leftovers(self) -> int:
        """Empty the folder of files written aside; only the process that owns the store may call it.

        Raises:
            UnavailableError: the disk does not let us.
        """
        with translate_errors("clean up"):
            return await asyncio.to_thread(_empty, self._root / _INCOMING)


class _Aside:
    """A file that is being written, by one thread at a time; the disk begins with it while more of it comes."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._opened = ExitStack()

    def open(self) -> None:
        self._place.parent.mkdir(exist_ok=True)
        target = self._opened.enter_context(self._place.open("xb"))
        self._behind = WriteBehind(target)
        self._opened.callback(self._behind.close)

    def write(self, chunk: bytes) -> None:
        self._behind.write(chunk)

    def finish(self) -> None:
        """Make all of it durable."""
        self._behind.finish()
        self._opened.close()

    def give_up(self) -> None:
        with suppress(OSError):  # whatever it was given up for is told
            self._opened.close()


async def _write_aside(place: Path, chunks: AsyncGenerator[bytes, None]) -> None:
    """Write the chunks durably, each while the next one is made; the file is closed whatever ends it."""
    file = _Aside(place)
    under_way = _in_thread(file.open)
    try:
        async for chunk in chunks:
            await _settle(under_way)
            under_way = _in_thread(_writing(file, chunk))
        await _settle(under_way)
        under_way = _in_thread(file.finish)
        await _settle(under_way)
    except BaseException:
        await asyncio.wait({under_way})
        under_way.exception()  # what is raised came first
        await _finish_in_thread(file.give_up)
        raise


def _writing(file: _Aside, chunk: bytes) -> Callable[[], None]:
    return lambda: file.write(chunk)


async def _settle(under_way: asyncio.Future[None]) -> None:
    with _disk_errors():
        await asyncio.shield(under_way)  # a thread is not ended by a cancelled wait for it


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise to_unavailable("store an object", error) from error


def _in_thread(act: Callable[[], T]) -> asyncio.Future[T]:
    return asyncio.ensure_future(asyncio.to_thread(act))


async def _finish_in_thread(act: Callable[[], T]) -> T:
    """Run it in a thread, to its end also where whoever waits for it is cancelled."""
    running = _in_thread(act)
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
        _move_all(root, aside)
    finally:
        for place in aside.values():
            with suppress(OSError):  # what can not be removed now, the next start removes
                place.unlink(missing_ok=True)


def _move_all(root: Path, aside: Mapping[str, Path]) -> None:
    """Move files to their keys, and make their names last, and those of their folders, which may be new."""
    folders = {(root / key).parent for key in aside}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for key, place in aside.items():
        place.rename(root / key)
    every = {each for folder in folders for each in (folder, *folder.parents) if each.is_relative_to(root)}
    for folder in sorted(every, key=lambda each: len(each.parts), reverse=True):
        sync(folder)


def _empty(folder: Path) -> int:
    if not folder.exists():
        return 0
    count = sum(1 for _ in folder.iterdir())
    shutil.rmtree(folder)
    return count
