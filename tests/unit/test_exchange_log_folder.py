"""The log's folder taken from a writer that hangs: whatever it still does, the files of its successor stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import ConflictError, UnavailableError
from ledger.exchange.log_folder import name_for, seize
from ledger.log import Sequencer
from ledger.log.storage import FileCalls
from tests.support.log import MemoryCheckpointStore, open_log


class PausedCalls(FileCalls):
    """Calls ``meanwhile`` once, in the middle of an append: its files are staged, and none is in its place."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None

    def rename(self, source: Path, target: Path) -> None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        super().rename(source, target)


def test_a_writer_that_goes_on_after_its_folder_was_seized_changes_no_file(tmp_path: Path) -> None:
    folder, store, calls = tmp_path / "log", MemoryCheckpointStore(), PausedCalls()
    name_for(folder, 5)
    hung = open_log(folder, store, calls)
    hung.append([b"first"])
    successors: list[Sequencer] = []

    def take_over() -> None:
        with pytest.raises(ConflictError):
            open_log(folder, store)
        seize(folder, 7)
        successors.append(open_log(folder, store))
        successors[0].append([b"second"])

    calls.meanwhile = take_over
    with pytest.raises(UnavailableError):
        hung.append([b"another second"])
    (successor,) = successors
    assert folder.is_symlink()
    assert folder.resolve() == tmp_path / "log.7"
    assert successor.reader.entries(0, 2) == [b"first", b"second"]
    before = {path: path.read_bytes() for path in folder.resolve().rglob("*") if path.is_file()}
    hung.close()
    assert {path: path.read_bytes() for path in folder.resolve().rglob("*") if path.is_file()} == before
    successor.append([b"third"])
    successor.close()
    with open_log(folder, store) as again:
        assert again.reader.entries(0, 3) == [b"first", b"second", b"third"]


def test_of_two_that_seize_the_folder_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "log"
    name_for(folder, 1)
    (folder / "tile").write_bytes(b"x")
    real = Path.resolve

    def overtaken(path: Path) -> Path:
        found = real(path)
        monkeypatch.setattr(Path, "resolve", real)
        seize(folder, 3)
        return found

    monkeypatch.setattr(Path, "resolve", overtaken)
    with pytest.raises(UnavailableError):
        seize(folder, 2)
    assert folder.resolve() == tmp_path / "log.3"
    assert (folder / "tile").read_bytes() == b"x"


def test_a_folder_that_was_one_processs_alone_is_shared_from_now_on(tmp_path: Path) -> None:
    folder, store = tmp_path / "log", MemoryCheckpointStore()
    with open_log(folder, store) as alone:
        alone.append([b"first"])
        with pytest.raises(ConflictError):
            name_for(folder, 4)
        assert not folder.is_symlink()
    for token in (4, 5):
        name_for(folder, token)
        assert folder.resolve() == tmp_path / "log.4"
    with open_log(folder, store) as shared:
        assert shared.reader.entry(0) == b"first"


@pytest.mark.parametrize("left", ["no link", "a link to nowhere"])
def test_a_folder_whose_link_a_crash_left_out_is_found_again(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "log"
    for token in ("9", "10", "backup"):
        (tmp_path / f"log.{token}").mkdir()
    if left == "a link to nowhere":
        folder.symlink_to("log.8")
    name_for(folder, 11)
    assert folder.resolve() == tmp_path / "log.10"


def test_a_disk_that_refuses_the_link_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _target: str) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(UnavailableError, match="Read-only"):
        name_for(tmp_path / "log", 1)
