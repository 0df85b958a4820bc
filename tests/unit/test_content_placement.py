"""Placing objects whole or not at all, and the table of foreign exceptions."""

from __future__ import annotations

import asyncio
import os
import re
import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from pathlib import Path

import obstore
import pytest
from obstore import exceptions
from obstore.store import LocalStore, MemoryStore

from ledger.content import folder_placement, write_behind
from ledger.content.folder_placement import FolderPlacement
from ledger.content.placement import (
    REASONS,
    BucketPlacement,
    NoPlacement,
    Placement,
    _InterruptedPutError,
    _Source,
    to_unavailable,
    translate_errors,
)
from ledger.content.write_behind import WriteBehind
from ledger.errors import NotFoundError, UnavailableError
from tests.unit.test_content_write_behind import failing_once

Objects = LocalStore | MemoryStore


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Objects, Placement]:
    if request.param == "folder":
        local = LocalStore(tmp_path)
        return local, FolderPlacement(tmp_path)
    memory = MemoryStore()
    return memory, BucketPlacement(memory)


async def chunks_of(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


def keys(store: Objects) -> list[str]:
    return [item["path"] for batch in store.list() for item in batch]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_object_stands_under_its_key_and_may_be_replaced(place: tuple[Objects, Placement]) -> None:
    store, placement = place
    for data in (b"old", b"new and longer", b""):
        asyncio.run(placement.place("files/ab/abc", chunks_of(data[:2], data[2:]), len(data)))
        assert bytes(store.get("files/ab/abc").bytes()) == data
    assert keys(store) == ["files/ab/abc"]


def test_large_objects_go_in_parts(place: tuple[Objects, Placement]) -> None:
    store, placement = place
    data = [bytes([number]) * (1 << 20) for number in range(20)]
    asyncio.run(placement.place("k", chunks_of(*data), 20 << 20))
    assert bytes(store.get("k").bytes()) == b"".join(data)


@pytest.mark.parametrize(
    "failure", [KeyError("mine"), OSError(5, "the sender's"), FileNotFoundError(2, "the sender's")]
)
@pytest.mark.parametrize("good_chunks", [0, 1, 20])
def test_what_the_chunks_raise_comes_through_and_nothing_stays(
    place: tuple[Objects, Placement], tmp_path: Path, failure: Exception, good_chunks: int
) -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        for _ in range(good_chunks):
            yield bytes(1 << 20)
        raise failure

    store, placement = place
    with pytest.raises(type(failure), match=str(failure.args[-1])):
        asyncio.run(placement.place("k", failing(), 20 << 20))
    assert keys(store) == []
    assert files_in(tmp_path) == []


def test_a_cancelled_put_leaves_nothing_and_closes_the_chunks(place: tuple[Objects, Placement], tmp_path: Path) -> None:
    store, placement = place
    closed = False

    async def stalling(waiting: asyncio.Event) -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            for _ in range(9):
                yield bytes(1 << 20)
            waiting.set()
            await asyncio.Event().wait()
        finally:
            closed = True

    async def cancel() -> None:
        waiting = asyncio.Event()
        task = asyncio.create_task(placement.place("k", stalling(waiting), 20 << 20))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert closed
    assert keys(store) == []
    assert files_in(tmp_path) == []


def test_a_put_that_asks_on_after_it_was_cancelled_is_told_to_fail() -> None:
    async def ask() -> None:
        source = _Source(chunks_of(b"x", b"y"))
        assert await anext(aiter(source)) == b"x"
        source.interrupt()
        with pytest.raises(_InterruptedPutError):
            await anext(aiter(source))
        await source.close()

    asyncio.run(ask())


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    placement = FolderPlacement(tmp_path)
    assert asyncio.run(placement.remove_leftovers()) == 0
    asyncio.run(placement.place("files/ab/abc", chunks_of(b"kept"), 4))
    (tmp_path / "incoming" / "0123#1").write_bytes(b"half")
    (tmp_path / "incoming" / "4567").write_bytes(b"whole, not yet renamed")
    assert asyncio.run(placement.remove_leftovers()) == 2
    assert [path.name for path in files_in(tmp_path)] == ["abc"]
    assert asyncio.run(BucketPlacement(MemoryStore()).remove_leftovers()) == 0


def test_a_failing_store_isto_unavailable(tmp_path: Path) -> None:
    (tmp_path / "incoming").write_bytes(b"a file where the folder should be")
    placement = FolderPlacement(tmp_path)
    with pytest.raises(UnavailableError, match="content store can not"):
        asyncio.run(placement.place("k", chunks_of(b"x"), 1))
    with pytest.raises(UnavailableError, match="can not clean up: Not a directory"):
        asyncio.run(placement.remove_leftovers())


def test_every_exception_of_the_store_is_in_the_table() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        known = {value for name in dir(exceptions) if isinstance(value := getattr(exceptions, name), type)}
    concrete = {kind for kind in known if issubclass(kind, exceptions.BaseError) and kind is not exceptions.BaseError}
    assert {kind.__name__ for kind in concrete} - {"NotFoundError"} == {kind.__name__ for kind in REASONS}


@pytest.mark.parametrize("kind", [*REASONS, exceptions.BaseError])
def test_the_store_s_exceptions_become_ours_without_their_text(kind: type[exceptions.BaseError]) -> None:
    with pytest.raises(UnavailableError) as caught, translate_errors("do it"):
        raise kind("https://bucket/?X-Amz-Signature=secret")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError("https://bucket/?secret"), "can not do it: the store's credentials do not allow it"),
        (OSError("https://bucket/?secret"), "can not do it: the store failed"),
        (FileNotFoundError("https://bucket/?secret"), "can not do it: there is no such bucket, or the credentials"),
        (OSError(5, "Input/output error"), "can not do it: Input/output error"),
    ],
)
def test_what_a_bucket_says_in_the_middle_of_a_put_is_told_without_its_text(error: OSError, reason: str) -> None:
    caught = to_unavailable("do it", error)
    assert re.search(reason, str(caught))
    assert "secret" not in str(caught)


def test_what_is_only_read_takes_and_loses_nothing() -> None:
    closed = chunks_of(b"x")
    for act in (NoPlacement().place("k", closed, 1), NoPlacement().remove("k")):
        with pytest.raises(UnavailableError, match="over HTTP it is only read"):
            asyncio.run(act)
    with pytest.raises(StopAsyncIteration):
        asyncio.run(anext(closed))
    assert asyncio.run(NoPlacement().remove_leftovers()) == 0


@pytest.mark.parametrize("text", ["write failed: No space left on device (os error 28)", "(os error 122)"])
def test_a_full_disk_is_called_so(text: str) -> None:
    with pytest.raises(UnavailableError, match="the disk is full"), translate_errors("do it"):
        raise exceptions.GenericError(text)
    with pytest.raises(UnavailableError, match="the disk is full"), translate_errors("do it"):
        raise OSError(28, "No space left on device")


def test_a_missing_object_is_not_found() -> None:
    async def read() -> AsyncIterator[bytes]:
        with translate_errors("read it"):
            yield bytes(await (await obstore.get_async(MemoryStore(), "nothing")).bytes_async())

    async def consume() -> None:
        async for _ in read():
            pass

    with pytest.raises(NotFoundError, match="can not read it"):
        asyncio.run(consume())


def test_many_objects_stand_under_their_keys_and_nothing_is_left_aside(
    place: tuple[Objects, Placement], tmp_path: Path
) -> None:
    store, placement = place
    for suffix in (b"old", b"new"):
        asyncio.run(placement.place_many({f"files/{number % 3}/{number}": suffix for number in range(20)}))
        assert {bytes(store.get(key).bytes()) for key in keys(store)} == {suffix}
    assert len(keys(store)) == 20
    assert not any(tmp_path.glob("incoming/*"))


@pytest.mark.parametrize("kind", [FolderPlacement, BucketPlacement])
def test_of_many_objects_each_is_whole_or_absent_where_the_disk_says_no(
    kind: type[FolderPlacement | BucketPlacement], tmp_path: Path
) -> None:
    local = LocalStore(tmp_path)
    placement = FolderPlacement(tmp_path) if kind is FolderPlacement else BucketPlacement(local)
    (tmp_path / "in-the-way").write_bytes(b"a file")
    with pytest.raises(UnavailableError):
        asyncio.run(placement.place_many({"first/a": b"whole", "in-the-way/b": b"none"}))
    assert all(path.read_bytes() in (b"whole", b"a file") for path in files_in(tmp_path))


def test_many_objects_that_nobody_waits_for_any_more_are_placed_all_the_same(tmp_path: Path) -> None:
    async def go_away() -> None:
        task = asyncio.create_task(placement.place_many({f"k/{number}": b"x" for number in range(50)}))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    placement = FolderPlacement(tmp_path)
    asyncio.run(go_away())
    assert not any(tmp_path.glob("incoming/*"))
    with pytest.raises(UnavailableError, match="over HTTP it is only read"):
        asyncio.run(NoPlacement().place_many({"k": b"x"}))


@pytest.mark.parametrize("failing", ["behind", "last"])
def test_what_the_disk_says_while_it_is_synced_ends_it_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    sync = failing_once()
    placement = FolderPlacement(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(folder_placement, "WriteBehind", partial(WriteBehind, every_bytes=1))
        if failing == "behind":
            patched.setattr(write_behind, "_sync_data", sync)
        else:
            patched.setattr(os, "fsync", sync)
        with pytest.raises(UnavailableError, match="can not store an object: Input/output error"):
            asyncio.run(placement.place("k", chunks_of(b"a", b"b", b"c"), 3))
    assert files_in(tmp_path) == []
    asyncio.run(placement.place("k", chunks_of(b"a", b"b", b"c"), 3))
    assert (tmp_path / "k").read_bytes() == b"abc"


def test_all_is_synced_before_an_object_stands_under_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = list[tuple[str, int]]()
    sync = os.fsync

    def note(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((str(place.relative_to(tmp_path)).partition("/")[0], os.fstat(descriptor).st_size))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    asyncio.run(FolderPlacement(tmp_path).place("files/k", chunks_of(bytes(1 << 20), b"x"), (1 << 20) + 1))
    assert synced[0] == ("incoming", (1 << 20) + 1)
    assert [where for where, _ in synced[1:]] == ["files", "."]
