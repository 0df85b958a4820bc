"""Reading a file chunk by chunk: whole chunks, one pass, and any change noticed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.content import CHUNK_SIZE_BYTES, hash_bytes
from ledger.content.reading import FileHasher, read_chunks
from ledger.content.walking import FoundFile, list_files
from ledger.errors import ConflictError, UnavailableError
from tests.support.content import make_bytes, unprivileged, write_files

SIZES = [0, 1, CHUNK_SIZE_BYTES - 1, CHUNK_SIZE_BYTES, CHUNK_SIZE_BYTES + 1, 3 * CHUNK_SIZE_BYTES + 7]


def found_file(folder: Path, data: bytes) -> FoundFile:
    (file,) = list_files(write_files(folder, {"a.bin": data}) / "a.bin")
    return file


@pytest.mark.parametrize("size", SIZES)
def test_chunks_are_cut_at_the_mebibyte_and_hashed_once(tmp_path: Path, size: int) -> None:
    data = make_bytes("reading", size)
    chunks = list(read_chunks(found_file(tmp_path, data)))
    assert b"".join(chunks) == data
    assert all(len(chunk) == CHUNK_SIZE_BYTES for chunk in chunks[:-1])
    with ThreadPoolExecutor(2) as pool:
        for hasher in (FileHasher(), FileHasher(pool)):
            for chunk in chunks:
                hasher.update(chunk)
            assert (hasher.to_entry("a.bin"), tuple(hasher.leaf_hashes)) == hash_bytes("a.bin", data)


def test_short_reads_do_not_cut_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 300_000)))
    data = make_bytes("short", 2 * CHUNK_SIZE_BYTES + 1)
    assert [len(chunk) for chunk in read_chunks(found_file(tmp_path, data))] == [CHUNK_SIZE_BYTES] * 2 + [1]


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def truncate(path: Path) -> None:
    os.truncate(path, CHUNK_SIZE_BYTES + 5)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [append, truncate, overwrite])
@pytest.mark.parametrize("chunks_read", [0, 1, 2, 3])
def test_a_change_is_noticed_whenever_it_comes(
    tmp_path: Path, change: Callable[[Path], None], chunks_read: int
) -> None:
    found = found_file(tmp_path, make_bytes("changing", 2 * CHUNK_SIZE_BYTES + 9))
    chunks = read_chunks(found)
    for _ in range(chunks_read):
        next(chunks)
    change(found.location)
    with pytest.raises(ConflictError, match=r"a\.bin changed while it was read") as caught:
        list(chunks)
    assert caught.value.code == "file-changed"


def test_a_file_that_was_replaced_or_removed_is_a_change(tmp_path: Path) -> None:
    found = found_file(tmp_path, b"same")
    (tmp_path / "other").write_bytes(b"same")
    os.utime(tmp_path / "other", ns=(0, found.stamp.mtime_ns))
    (tmp_path / "other").rename(found.location)
    with pytest.raises(ConflictError):
        list(read_chunks(found))
    found.location.unlink()
    with pytest.raises(ConflictError):
        list(read_chunks(found))


def test_a_pipe_or_link_in_the_place_of_a_file_is_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    found = found_file(tmp_path, b"data")
    found.location.unlink()
    os.mkfifo(found.location)
    with pytest.raises(ConflictError):
        list(read_chunks(found))
    found.location.unlink()
    found.location.symlink_to("/etc/passwd")
    with pytest.raises(UnavailableError):
        list(read_chunks(found))


def test_an_unreadable_file_is_unavailable() -> None:
    with tempfile.TemporaryDirectory() as folder, unprivileged(folder):
        found = found_file(Path(folder), b"data")
        found.location.chmod(0)
        with pytest.raises(UnavailableError, match=r"a\.bin can not be read: Permission denied"):
            list(read_chunks(found))


def test_a_failing_read_is_unavailable() -> None:
    (found,) = list_files(Path("/proc/self/mem"))
    with pytest.raises(UnavailableError, match="mem can not be read: Input/output error"):
        list(read_chunks(found))


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    found = found_file(tmp_path, make_bytes("descriptors", 3 * CHUNK_SIZE_BYTES))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        next(read_chunks(found))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
