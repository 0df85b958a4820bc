"""`concord dataset manifest`: what it hashes, shows and keeps."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ledger.content import (
    CHUNK_SIZE_BYTES,
    Progress,
    ProgressCallback,
    ScannedContent,
    parse_chunks,
    parse_manifest,
    scan_folder,
)
from ledger.content.cache import HashCache
from scripts.concord import app, hashing
from scripts.concord.context import Context
from tests.support.content import make_bytes, write_files
from tests.support.ranges import serving_ranges

FILES = {"a.csv": b"hour\n", "b/c.csv": b"mwh\n", "b/large.bin": make_bytes("large", 2 * CHUNK_SIZE_BYTES)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_files(tmp_path / "data", FILES)


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["dataset", "manifest", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def cached(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "concord" / "hashes").iterdir())


def test_a_folder_s_manifest_and_chunk_hashes_are_written(folder: Path, tmp_path: Path) -> None:
    content = scan_folder(folder)
    told = run(folder, "--to", tmp_path / "m.json", "--chunks", tmp_path / "c.json")
    assert told.splitlines()[-1] == f"content root {content.manifest.content_root}: 3 files, 2,097,161 bytes"
    manifest = parse_manifest((tmp_path / "m.json").read_bytes())
    assert ScannedContent(manifest, parse_chunks((tmp_path / "c.json").read_bytes(), manifest)) == content


def test_a_pattern_and_an_address_are_hashed(folder: Path) -> None:
    assert "2 files, 9 bytes" in run(folder / "**/*.csv")
    with serving_ranges(folder) as url:
        assert "1 file, 4 bytes" in run(f"{url}/b/c.csv")


def test_hashes_are_kept_for_the_next_run_but_for_a_fresh_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.content.scan.SETTLED_NS", -(10**12))  # as if everything had been there for long
    first = run(folder)
    (file,) = cached(tmp_path)
    assert len(file.read_bytes().splitlines()) == 3
    lines = file.read_bytes()
    assert run(folder) == run(folder, "--fresh") == first
    assert len(file.read_bytes()) == len(lines)


def test_what_was_kept_for_three_months_is_forgotten(folder: Path, tmp_path: Path) -> None:
    run(folder / "a.csv")
    (old,) = cached(tmp_path)
    os.utime(old, (0, 0))
    run(folder / "b")
    assert old not in cached(tmp_path)
    assert len(cached(tmp_path)) == 1


def test_a_cache_that_can_not_be_had_is_told_and_everything_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file in the way")
    told = run(folder)
    assert "every file is read: the cache of hashes" in told
    assert "3 files" in told


def test_a_full_disk_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.content.scan.SETTLED_NS", -(10**12))
    monkeypatch.setattr("ledger.content.cache.HashCache._append", _refuse)
    assert "hashes are not kept for the next run: the disk is full" in run(folder)


def _refuse(cache: HashCache, lines: bytes) -> None:
    cache.failure = "the disk is full"


def context(*, as_json: bool = False) -> Context:
    return Context("http://127.0.0.1:1", None, as_json, None, None)


def watch(given: Context, act: Callable[[ProgressCallback | None], object]) -> None:
    with hashing.watching_hashing(given) as progress:
        act(progress)


def test_where_nobody_watches_lines_tell_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = iter([0.0, 5.0, 10.0, 20.0, 25.0])
    monkeypatch.setattr("scripts.concord.hashing.time.monotonic", lambda: next(moments))

    def act(progress: ProgressCallback | None) -> None:
        assert progress is not None
        for done in (1, 2, 3, 4):
            progress(Progress(done, 10, done * 10**9, 10**10))

    watch(context(), act)
    assert capsys.readouterr().err.splitlines() == [
        "concord: hashed 2 of 10 files, 2.0 GB of 10.0 GB, 200.0 MB/s, 40 s left",
        "concord: hashed 3 of 10 files, 3.0 GB of 10.0 GB, 150.0 MB/s, 47 s left",
    ]


def test_a_program_is_told_nothing_but_the_answer(folder: Path) -> None:
    watched: list[object] = []
    watch(context(as_json=True), watched.append)
    assert watched == [None]
    done = CliRunner().invoke(app, ["--json", "dataset", "manifest", str(folder)])
    assert json.loads(done.stdout)["files"] == 3


def test_on_a_terminal_a_bar_shows_bytes_files_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=160)
    monkeypatch.setattr(hashing, "Console", lambda *, stderr: terminal)
    monkeypatch.setattr(Context, "has_terminal", property(lambda self: True))
    monkeypatch.setattr(hashing, "_BAR_PAUSE_S", 0.0)

    def act(progress: ProgressCallback | None) -> None:
        assert progress is not None
        progress(Progress(1, 2, 500, 1000))

    watch(context(), act)
    shown = screen.getvalue()
    assert "500/1,000 bytes" in shown.replace("0.5/1.0 kB", "500/1,000 bytes")
    assert "1/2 files" in shown
