"""A log brought up to its checkpoint from a mirror: what is taken, and that what is refused changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.errors import ConflictError, FatalError, UnavailableError, VerificationError
from ledger.log import Checkpoint, NoteSigner, TileReader
from ledger.log.mirror import Mirror
from ledger.log.restoring import LogRecovery, Restored
from tests.support.log import ORIGIN, SIGNER, MemoryCheckpointStore, check_log, entries_of, open_log

SIZES = (300, 600, 4500)
ENTRIES = entries_of("entry", SIZES[-1])


@dataclass
class Case:
    """A folder and a database row of 600 entries; mirrors of every size beside them."""

    root: Path
    store: MemoryCheckpointStore
    stated: Callable[[int], bytes | None] = lambda _: None
    signer: NoteSigner = SIGNER

    @property
    def folder(self) -> Path:
        return self.root / "600"

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(ORIGIN, size, TileReader(self.root / "4500").root(size))

    def recover(
        self, mirror: str = "4500", anchored: Checkpoint | None = None, *, everything: bool = False
    ) -> Restored:
        keys = (self.signer.verifier_key,)
        recovery = LogRecovery(
            self.folder,
            self.signer,
            keys,
            self.store,
            Mirror(str(self.root / mirror)),
            self.stated,
        )
        return recovery.run(anchored, everything=everything)

    def check(self, size: int) -> None:
        check_log(self.folder, ENTRIES[:size])
        with open_log(self.folder, self.store) as log:
            assert log.size == size
            log.append([b"it goes on"])


@pytest.fixture
def case(tmp_path: Path) -> Case:
    store, kept = MemoryCheckpointStore(), MemoryCheckpointStore()
    with open_log(tmp_path / "log", store) as log:
        for size in SIZES:
            log.append(ENTRIES[log.size : size])
            shutil.copytree(tmp_path / "log", tmp_path / str(size), ignore=shutil.ignore_patterns(".*"))
            if size == 600:
                kept.row = store.row
    return Case(tmp_path, kept)


def test_folder_and_database_behind(case: Case) -> None:
    restored = case.recover(anchored=case.checkpoint(1000))
    assert (restored.first_index, restored.checkpoint) == (600, case.store.row)
    case.check(4500)


def test_nothing_missing(case: Case) -> None:
    before = case.store.row
    assert case.recover("600", case.checkpoint(300)).first_index == 600
    assert case.store.row is before
    case.check(600)


def test_everything_again_and_after_a_damage(case: Case) -> None:
    (case.folder / "tile/0/001").write_bytes(bytes(256 * 32))
    with pytest.raises(FatalError, match="--everything"):
        case.recover(anchored=case.checkpoint(300))
    assert case.recover(anchored=case.checkpoint(300), everything=True).first_index == 0
    case.check(4500)


def test_a_folder_without_tiles(case: Case) -> None:
    shutil.rmtree(case.folder)
    assert case.recover().first_index == 0
    case.check(4500)


def test_a_database_that_lost_its_row(case: Case) -> None:
    case.store.row = None
    assert case.recover().first_index == 600
    case.check(4500)


def test_an_old_database_beside_a_newer_folder_needs_no_other_mirror(case: Case) -> None:
    shutil.rmtree(case.folder)
    shutil.copytree(case.root / "4500", case.folder)
    assert case.recover("4500").first_index == 4500
    case.check(4500)


def test_statements_complete_what_the_mirror_has_not(case: Case) -> None:
    shutil.rmtree(case.folder)
    shutil.copytree(case.root / "300", case.folder)
    with pytest.raises(UnavailableError, match="has entry 300"):
        case.recover("300")
    case.stated = lambda index: ENTRIES[index]
    row = case.store.row
    assert row is not None
    assert case.recover("300") == Restored(300, row)
    case.check(600)


def test_statements_that_say_something_else(case: Case) -> None:
    shutil.rmtree(case.folder)
    case.stated = lambda _: b"made up"
    with pytest.raises(VerificationError, match="nothing was recovered"):
        case.recover("300")


def test_too_short_a_mirror(case: Case) -> None:
    with pytest.raises(UnavailableError, match="600 entries, the largest checkpoint that is known 1000"):
        case.recover("600", case.checkpoint(1000))


def test_checkpoints_that_contradict_each_other(case: Case) -> None:
    with pytest.raises(FatalError, match="different roots"):
        case.recover(anchored=Checkpoint(ORIGIN, 4500, bytes(32)))
    with pytest.raises(VerificationError, match="checkpoint of size 1000"):
        case.recover(anchored=Checkpoint(ORIGIN, 1000, bytes(32)))
    assert not (case.folder / "tile/0/004").exists()
    case.check(600)


def test_an_unreadable_own_checkpoint_is_written_again(case: Case) -> None:
    (case.folder / "checkpoint").write_bytes(b"junk")
    case.recover()
    case.check(4500)


def test_other_writers(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_log(case.folder, case.store), pytest.raises(ConflictError):
        case.recover()
    monkeypatch.setattr(case.store, "compare_and_swap", lambda *_: False)
    with pytest.raises(FatalError, match="another writer"):
        case.recover()


def test_a_mirror_of_another_log_and_a_disk_that_fails(case: Case) -> None:
    with pytest.raises(VerificationError, match="does not mirror"):
        Case(case.root, case.store, signer=NoteSigner(ORIGIN, bytes(32))).recover()
    shutil.rmtree(case.folder)
    case.folder.write_bytes(b"no folder")
    with pytest.raises(UnavailableError, match="can not be written"):
        case.recover()
