"""The log's folder taken from a writer that hangs: whatever it still does, the files of its successor stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import ConflictError, UnavailableError
from ledger.exchange import log_folder as module
from ledger.exchange.log_folder import name_for, open_under, seize
from ledger.log import Sequencer
from ledger.log.storage import FileCalls, FolderLock
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


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sequencer]:
    """Opens the one log under a token, as gateways that share it do, and waits for no ex-writer longer than 0.2 s."""
    store = MemoryCheckpointStore()
    monkeypatch.setattr(module, "_LETS_GO_WITHIN_S", 0.2)

    def open_it(token: int, *, is_hung: bool = False) -> Sequencer:
        return open_under(tmp_path / "log", token, lambda folder: open_log(folder, store), is_hung=is_hung)

    return open_it


def test_a_hung_writers_folder_is_seized_even_if_who_took_its_lease_first_failed(
    tmp_path: Path, opened: Callable[..., Sequencer]
) -> None:
    hung = opened(5)
    hung.append([b"first"])
    # 6 took the lease from it and failed before it opened the log: the lease says no more that somebody hangs.
    successor = opened(7)
    assert (tmp_path / "log").resolve() == tmp_path / "log.7"
    successor.append([b"second"])
    with pytest.raises(ConflictError, match="token 7"):
        opened(6)  # it has lost the lease meanwhile
    with opened(8, is_hung=True) as third:
        assert third.reader.entries(0, 2) == [b"first", b"second"]
    for each in (hung, successor):
        each.close()


def test_a_writer_that_lets_go_in_time_keeps_the_name_of_its_folder(
    tmp_path: Path, opened: Callable[..., Sequencer], monkeypatch: pytest.MonkeyPatch
) -> None:
    former = opened(5)
    monkeypatch.setattr(module, "_sleep", lambda _: former.close())
    with opened(6):
        assert (tmp_path / "log").resolve() == tmp_path / "log.5"


def test_a_folder_that_no_writer_holds_is_never_seized(tmp_path: Path, opened: Callable[..., Sequencer]) -> None:
    opened(5).close()
    maintenance = FolderLock((tmp_path / "log").resolve())
    with pytest.raises(ConflictError):
        opened(6)
    maintenance.release()
    with opened(7):
        assert (tmp_path / "log").resolve() == tmp_path / "log.5"


def test_a_lock_that_can_not_be_read_or_written_is_nobodys(tmp_path: Path) -> None:
    name_for(tmp_path / "log", 1)
    assert not module._is_former_writers(tmp_path / "log", 2)
    module._sign(tmp_path / "log.1", 1)
    assert not (tmp_path / "log" / ".lock").exists()
