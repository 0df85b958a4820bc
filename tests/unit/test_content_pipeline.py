"""One large file hashed by several threads."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.content import CHUNK_SIZE_BYTES, Progress, hash_bytes, scan_folder
from ledger.content.pipeline import FilePipeline
from ledger.content.walking import FoundFile, list_files
from ledger.errors import ConflictError, UnavailableError
from tests.support.content import make_bytes, write_files

MIB = CHUNK_SIZE_BYTES
SIZES = [MIB + 1, 2 * MIB, 9 * MIB + 5]


def found_file(folder: Path, data: bytes) -> FoundFile:
    (found,) = list_files(write_files(folder, {"a.bin": data}) / "a.bin")
    return found


def ignore(size_bytes: int) -> None:
    """Count nothing."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_however_many_help_the_hashes_are_the_same(tmp_path: Path, size: int, helpers: int) -> None:
    data = make_bytes("pipeline", size)
    counted: list[int] = []
    pipeline = FilePipeline(found_file(tmp_path, data), counted.append)
    pipeline.threads += helpers
    threads = [threading.Thread(target=pipeline.help) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    assert pipeline.run() == hash_bytes("a.bin", data)
    for thread in threads:
        thread.join()
    assert pipeline.is_over
    assert sum(counted) == size


def test_short_reads_do_not_cut_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at: preadv(file, [buffers[0][:300_000]], at))
    data = make_bytes("short", 2 * MIB + 1)
    assert FilePipeline(found_file(tmp_path, data), ignore).run() == hash_bytes("a.bin", data)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, MIB + 5)


def replace(path: Path) -> None:
    path.with_name("other").write_bytes(path.read_bytes())
    path.with_name("other").replace(path)


def turn_back(path: Path) -> None:
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [grow, shrink, turn_back])
@pytest.mark.parametrize("at_chunk", [0, 1, 3])
def test_a_change_is_noticed_whenever_it_comes(tmp_path: Path, change: Callable[[Path], None], at_chunk: int) -> None:
    found = found_file(tmp_path, make_bytes("changing", 3 * MIB + 9))
    done = 0

    def act(size_bytes: int) -> None:
        nonlocal done
        if done == at_chunk:
            change(found.location)
        done += 1

    with pytest.raises(ConflictError, match=r"a\.bin changed while it was read"):
        FilePipeline(found, act).run()


def test_what_was_replaced_before_it_was_opened_is_a_change_and_helpers_go(tmp_path: Path) -> None:
    found = found_file(tmp_path, make_bytes("replaced", 2 * MIB))
    replace(found.location)
    pipeline = FilePipeline(found, ignore)
    helper = threading.Thread(target=pipeline.help)
    helper.start()
    with pytest.raises(ConflictError):
        pipeline.run()
    helper.join()
    found.location.unlink()
    found.location.symlink_to("/etc/hosts")
    with pytest.raises(UnavailableError):
        FilePipeline(found, ignore).run()


def test_a_read_that_fails_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(5, "Input/output error")

    found = found_file(tmp_path, make_bytes("failing", 2 * MIB))
    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(UnavailableError, match=r"a\.bin can not be read: Input/output error"):
        FilePipeline(found, ignore).run()


def test_what_goes_wrong_at_a_helper_s_the_runner_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_file(tmp_path, make_bytes("raising", 8 * MIB))
    runner = threading.current_thread()
    met = threading.Event()

    def read_or_fail(file: int, buffers: list[memoryview], at: int) -> int:
        if threading.current_thread() is not runner:
            met.set()
            raise KeyError("mine")
        assert met.wait(60)
        return preadv(file, buffers, at)

    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", read_or_fail)
    pipeline = FilePipeline(found, ignore)
    pipeline.threads = 2
    helper = threading.Thread(target=pipeline.help)
    helper.start()
    with pytest.raises(KeyError, match="mine"):
        pipeline.run()
    helper.join()


def test_holes_of_a_sparse_file_are_zeros(tmp_path: Path) -> None:
    data = bytes(3 * MIB) + b"end"
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(3 * MIB)
        file.write(b"end")
    content = scan_folder(tmp_path)
    assert (content.manifest.files[0], content.chunks["sparse"]) == hash_bytes("sparse", data)


@pytest.mark.parametrize("workers", [1, 3])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, workers: int) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(64 * MIB)
    tracemalloc.start()
    try:
        scan_folder(tmp_path, workers=workers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * MIB


def test_one_large_file_is_shared_and_counted_once(tmp_path: Path) -> None:
    data = make_bytes("shared", 12 * MIB)
    write_files(tmp_path, {"large": data, "small": b"x"})
    seen: list[Progress] = []
    content = scan_folder(tmp_path, workers=4, progress=seen.append)
    assert content.manifest.files[0] == hash_bytes("large", data)[0]
    assert (seen[-1].files_done, seen[-1].bytes_done) == (2, 12 * MIB + 1)


def test_where_the_system_can_not_read_at_a_position_files_are_read_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "preadv")
    data = make_bytes("in order", 2 * MIB + 1)
    assert scan_folder(write_files(tmp_path, {"a": data})).manifest.files[0] == hash_bytes("a", data)[0]
