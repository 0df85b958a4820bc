"""Hashes kept for a rerun: what is believed, what is not, and what a damaged file does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import pytest

from ledger.content import CHUNK_SIZE_BYTES, Progress, ScannedContent, hash_bytes, scan, scan_folder
from ledger.content.cache import SETTLED_NS, HashCache, Mark
from ledger.content.pipeline import FilePipeline
from ledger.content.reading import hash_small_file
from ledger.content.walking import FoundFile
from ledger.errors import ConflictError, UnavailableError
from tests.support.content import make_bytes, unprivileged, write_files

DATA: Final = make_bytes("kept", 2 * CHUNK_SIZE_BYTES + 1)
LARGE: Final = hash_bytes("large.bin", DATA)
SMALL: Final = hash_bytes("small.csv", b"x")
NOTHING: Final = hash_bytes("nothing", b"")
MARK: Final[Mark] = (len(DATA), 1, 2, 3, 4)
NOW: Final = 10**18


def open_cache(file: Path, now_ns: int = NOW) -> HashCache:
    return HashCache.open(file, lambda: now_ns)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A cache with two files in it."""
    file = tmp_path / "cache" / "hashes"
    cache = open_cache(file)
    cache.add([(LARGE, MARK, NOW), (SMALL, (1, 1), NOW)])
    cache.add([(NOTHING, (0, 1), NOW)])
    cache.close()
    return file


def test_what_was_kept_is_found_by_path_and_mark(file: Path) -> None:
    cache = open_cache(file)
    assert cache.find("large.bin", MARK) == LARGE
    assert cache.find("small.csv", (1, 1)) == SMALL
    assert cache.find("nothing", (0, 1)) == NOTHING
    assert cache.find("other", MARK) is None
    for place in range(len(MARK)):
        assert cache.find("large.bin", (*MARK[:place], -1, *MARK[place + 1 :])) is None
    cache.close()


def test_only_its_owner_can_read_it_and_who_else_may_write_to_it_spoils_it(file: Path) -> None:
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.chmod(0o620)
    with pytest.raises(UnavailableError, match="may write to it"):
        open_cache(file)
    file.unlink()
    file.symlink_to("/etc/hosts")
    with pytest.raises(UnavailableError, match="can not be opened"):
        open_cache(file)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UnavailableError, match="is no file"):
        open_cache(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file another's")
def test_a_cache_of_somebody_else_is_not_used(file: Path) -> None:
    os.chown(file, 65534, -1)
    with pytest.raises(UnavailableError, match="somebody else owns it"):
        open_cache(file)


def test_what_was_read_after_the_present_does_not_count(file: Path) -> None:
    cache = open_cache(file, NOW - 1)
    assert cache.find("large.bin", MARK) is None
    cache.close(tidy=True)
    assert open_cache(file).find("large.bin", MARK) is None  # nor when the clock has come there again


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_a_damaged_line_is_not_there_and_the_others_are(file: Path, position: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[position] ^= 0x01
    file.write_bytes(raw)
    cache = open_cache(file)
    found = [cache.find(name, mark) for name, mark in (("large.bin", MARK), ("small.csv", (1, 1)), ("nothing", (0, 1)))]
    assert [each for each in found if each is not None] == [
        each for each, kept in zip((LARGE, SMALL, NOTHING), found, strict=True) if kept is not None
    ]
    assert 1 <= len([each for each in found if each is None]) <= 2
    cache.close()


def test_a_line_that_was_cut_short_spoils_neither_its_neighbours_nor_the_next(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])
    cache = open_cache(file)
    assert cache.find("nothing", (0, 1)) is None
    cache.add([(NOTHING, (0, 1), NOW)])
    cache.close()
    again = open_cache(file)
    assert (again.find("large.bin", MARK), again.find("nothing", (0, 1))) == (LARGE, NOTHING)


def test_hashes_that_do_not_belong_to_the_size_are_not_believed(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "c")
    cache.add([(SMALL, MARK, NOW), (LARGE, (0,), NOW)])
    cache.close()
    again = open_cache(tmp_path / "c")
    assert again.find("small.csv", MARK) is again.find("large.bin", (0,)) is None


def test_two_at_once_keep_what_both_found(tmp_path: Path) -> None:
    one, other = open_cache(tmp_path / "c"), open_cache(tmp_path / "c")
    one.add([(LARGE, MARK, NOW)])
    other.add([(SMALL, (1, 1), NOW)])
    one.close()
    other.close()
    both = open_cache(tmp_path / "c")
    assert (both.find("large.bin", MARK), both.find("small.csv", (1, 1))) == (LARGE, SMALL)


def test_what_a_whole_scan_did_not_meet_is_dropped(file: Path) -> None:
    cache = open_cache(file)
    cache.find("small.csv", (1, 1))
    cache.close(tidy=True)
    assert [json.loads(line.split(b" ", 1)[1])[0] for line in file.read_bytes().splitlines()] == ["small.csv"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(list(file.parent.iterdir())) == 1


def test_a_disk_that_refuses_ends_the_keeping_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    cache = open_cache(tmp_path / "c")
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
    cache.add([(LARGE, MARK, NOW)])
    assert cache.failure == "the disk is full"
    cache.add([(SMALL, (1, 1), NOW)])
    cache.close(tidy=True)
    assert (tmp_path / "c").stat().st_size == 20
    monkeypatch.undo()
    (tmp_path / "c").write_bytes(b"")
    refused = HashCache(tmp_path / "c", os.open(tmp_path / "c", os.O_RDONLY))
    refused.add([(SMALL, (1, 1), NOW)])
    assert refused.failure == "Bad file descriptor"
    refused.close()


def test_a_folder_that_can_not_be_tidied_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder, unprivileged(folder):
        cache = open_cache(Path(folder) / "c")
        cache.add([(LARGE, MARK, NOW), (LARGE, MARK, NOW)])
        cache.add([(LARGE, MARK, NOW)])
        Path(folder).chmod(0o500)
        cache.close(tidy=True)
        assert cache.failure == "Permission denied"
        Path(folder).chmod(0o700)


# Of a scan.


class Scans:
    """Scans of a folder with one cache, at times of our own, that tell which files they read."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "data"
        self.read: list[str] = []
        self.later_ns = 3600 * 10**9
        self._file = folder / "cache"
        time_ns = time.time_ns
        monkeypatch.setattr("time.time_ns", lambda: time_ns() + self.later_ns)
        hash_small, pipeline = hash_small_file, FilePipeline

        def small(found: FoundFile) -> object:
            self.read.append(found.path)
            return hash_small(found)

        def large(found: FoundFile, count: object) -> object:
            self.read.append(found.path)
            return pipeline(found, count)  # type: ignore[arg-type]  # as it came

        monkeypatch.setattr(scan, "hash_small_file", small)
        monkeypatch.setattr(scan, "FilePipeline", large)

    def run(self, *, workers: int = 2) -> ScannedContent:
        self.read.clear()
        cache = HashCache.open(self._file, time.time_ns)
        finished = False
        try:
            content = scan_folder(self.folder, workers=workers, cache=cache)
            finished = True
        finally:
            cache.close(tidy=finished)
        return content


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scans:
    scans = Scans(tmp_path, monkeypatch)
    write_files(scans.folder, {"large.bin": DATA, "small.csv": b"x", "nothing": b""})
    return scans


def test_a_rerun_reads_nothing_and_says_the_same(scans: Scans) -> None:
    first = scans.run()
    assert sorted(scans.read) == ["large.bin", "nothing", "small.csv"]
    assert scans.run() == first
    assert scans.read == []


def test_a_rerun_reads_what_is_new_or_changed_or_came_in_its_place(scans: Scans) -> None:
    scans.run()
    scans.later_ns += 3600 * 10**9
    status = (scans.folder / "large.bin").stat()
    (scans.folder / "large.bin").write_bytes(DATA[::-1])
    os.utime(scans.folder / "large.bin", ns=(status.st_atime_ns, status.st_mtime_ns))  # size, time and inode as before
    (scans.folder / "other").write_bytes(b"y")
    (scans.folder / "other").replace(scans.folder / "small.csv")
    content = scans.run()
    assert sorted(scans.read) == ["large.bin", "small.csv"]
    assert content == scan_folder(scans.folder)


def test_what_was_written_just_before_it_was_read_is_not_kept(scans: Scans) -> None:
    scans.later_ns = SETTLED_NS // 2
    scans.run()
    assert scans.run() == scan_folder(scans.folder)
    assert sorted(scans.read[:3]) == ["large.bin", "nothing", "small.csv"]


def test_after_the_clock_was_set_back_everything_is_read_again(scans: Scans) -> None:
    scans.run()
    scans.later_ns -= 1800 * 10**9
    scans.run()
    assert len(scans.read) == 3


def test_a_scan_that_was_broken_off_goes_on_where_it_was(scans: Scans) -> None:
    write_files(scans.folder, {f"{number:03}.csv": b"x" for number in range(200)})

    def stop(step: Progress) -> None:
        if step.files_done == 150:
            raise KeyboardInterrupt

    cache = HashCache.open(scans._file)
    with pytest.raises(KeyboardInterrupt):
        scan_folder(scans.folder, workers=1, progress=stop, cache=cache)
    cache.close()
    assert len(scans.read) == 150
    assert len(scans.run().manifest.files) == 203
    assert len(scans.read) == 53


def test_a_file_that_changes_while_others_are_looked_up_is_named(scans: Scans) -> None:
    scans.run()

    def change(step: Progress) -> None:
        (scans.folder / "small.csv").write_bytes(b"z")

    cache = HashCache.open(scans._file)
    with pytest.raises(ConflictError, match=r"small\.csv changed"):
        scan_folder(scans.folder, workers=1, progress=change, cache=cache)
    cache.close()


KILLED: Final = """
import sys, os, time
from pathlib import Path
from ledger.content import scan_folder
from ledger.content.cache import HashCache

later = time.time_ns
time.time_ns = lambda: later() + 3600 * 10**9
def die(step):
    if step.files_done == 150:
        os.kill(os.getpid(), 9)
scan_folder(Path(sys.argv[1]), workers=1, progress=die, cache=HashCache.open(Path(sys.argv[2])))
"""


def test_a_scan_that_was_killed_goes_on_where_it_was(scans: Scans) -> None:
    write_files(scans.folder, {f"{number:03}.csv": b"x" for number in range(200)})
    killed = subprocess.run([sys.executable, "-c", KILLED, scans.folder, scans._file], check=False)
    assert killed.returncode == -9
    scans.later_ns += 60 * 10**9
    assert len(scans.run().manifest.files) == 203
    assert "large.bin" not in scans.read
    assert len(scans.read) < 100
