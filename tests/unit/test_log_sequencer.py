"""ledger.log.sequencer: appending, starting again, and the contradictions it refuses to sign over."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ledger.log
from ledger.errors import ConflictError, FatalError, MalformedError, UnavailableError, VerificationError
from ledger.log import Checkpoint, NoteSigner, Sequencer, SignedNote, VerifierKey, verify_sole_checkpoint
from ledger.log import sequencer as sequencer_module
from ledger.log.readback import check_files
from ledger.log.tiles import Tile
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash
from tests.support.log import (
    ANCHOR_BY,
    ORIGIN,
    SIGNER,
    MemoryCheckpointStore,
    check_log,
    entries_of,
    open_log,
    unanswered,
)

ENTRIES = entries_of("entry", 700)


def test_the_room_has_one_door() -> None:
    assert sorted(ledger.log.__all__) == list(ledger.log.__all__)
    assert all(hasattr(ledger.log, name) for name in ledger.log.__all__)


def test_an_empty_log_publishes_its_checkpoint(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path / "a/log", store) as log:
        assert (log.size, log.checkpoint) == (0, Checkpoint(ORIGIN, 0, EMPTY_ROOT))
        assert store.row == log.checkpoint
        assert (tmp_path / "a/log/checkpoint").read_bytes() == log.note
        assert verify_sole_checkpoint(log.note, SIGNER.verifier_key) == log.checkpoint
        assert log.reader.root(0) == EMPTY_ROOT


def test_batches(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        at = 0
        for count in (1, 254, 1, 1, 300, 3):
            batch = log.append(ENTRIES[at : at + count])
            assert (batch.first_index, batch.count) == (at, count)
            at += count
            root = compute_root([leaf_hash(entry) for entry in ENTRIES[:at]])
            assert batch.checkpoint == Checkpoint(ORIGIN, at, root, ("anchor-by 2026-11-21T09:30:00Z",))
            assert batch.checkpoint.anchor_by == ANCHOR_BY
            assert verify_sole_checkpoint(batch.note, SIGNER.verifier_key) == batch.checkpoint
            assert (log.size, log.checkpoint, log.note, store.row) == (at, batch.checkpoint, batch.note, log.checkpoint)
            assert (tmp_path / "checkpoint").read_bytes() == batch.note
            check_log(tmp_path, ENTRIES[:at])


def test_entries_that_a_bundle_can_not_hold(tmp_path: Path) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        for bad in ([], [b"a", b"b" * 65_536], [bytearray(b"a")], ["a"]):
            with pytest.raises(ValueError, match="entry"):
                log.append(bad)  # type: ignore[arg-type]  # another type is the point
        assert log.append([b"", b"b" * 65_535]).count == 2
    check_log(tmp_path, [b"", b"b" * 65_535])


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    for first, end in ((0, 200), (200, 256), (256, 257), (257, 700)):
        with open_log(tmp_path, store) as log:
            assert log.size == first
            log.append(ENTRIES[first:end])
    check_log(tmp_path, ENTRIES, [200, 256, 257])
    note = (tmp_path / "checkpoint").read_bytes()
    (tmp_path / "checkpoint").unlink()
    with open_log(tmp_path, store):
        assert (tmp_path / "checkpoint").read_bytes() == note  # the same bytes, signed again


def test_a_closed_sequencer(tmp_path: Path) -> None:
    log = open_log(tmp_path, MemoryCheckpointStore())
    log.close()
    log.close()
    with pytest.raises(RuntimeError, match="closed"):
        log.append([b"a"])


def test_a_second_writer_in_this_process_is_refused(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store):
        with pytest.raises(ConflictError, match="stop that one") as refusal:
            open_log(tmp_path, store)
        assert refusal.value.code == "log-in-use"
    open_log(tmp_path, store).close()


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from tests.support.log import *\n"
        "try: open_log(pathlib.Path(sys.argv[1]), MemoryCheckpointStore())\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    with open_log(tmp_path, MemoryCheckpointStore()):
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", program, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=root)
    assert done.stdout.startswith("ConflictError the log in ")
    assert f"pid {os.getpid()}" in done.stdout


def test_two_writers_over_one_row_can_not_both_win(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path / "a", store) as first, open_log(tmp_path / "b", store) as second:
        first.append([b"mine"])
        with pytest.raises(FatalError, match="another writer") as stop:
            second.append([b"theirs"])
        with pytest.raises(FatalError) as again:
            second.append([b"theirs"])
        assert again.value is stop.value
        assert second.size == 0
        first.append([b"more"])
    check_log(tmp_path / "a", [b"mine", b"more"])


def test_founding_at_the_same_moment(tmp_path: Path) -> None:
    class Late(MemoryCheckpointStore):
        def load(self, origin: str) -> Checkpoint | None:
            found, self.row = self.row, Checkpoint(origin, 0, EMPTY_ROOT, ("another",))
            return found

    with pytest.raises(FatalError, match="founded"):
        open_log(tmp_path, Late())
    open_log(tmp_path, MemoryCheckpointStore()).close()  # the lock was let go


def test_a_swap_without_an_answer_that_happened(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        store.fail = ("after", unanswered())
        with pytest.raises(UnavailableError):
            log.append([b"a"])
        assert log.append([b"b"]).first_index == 1
    check_log(tmp_path, [b"a", b"b"])


def test_a_swap_without_an_answer_that_did_not_happen(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        store.fail = ("before", unanswered())
        with pytest.raises(UnavailableError):
            log.append([b"a"])
        assert log.append([b"b"]).first_index == 0
    check_log(tmp_path, [b"b"])


def test_a_swap_without_an_answer_that_another_writer_won(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        store.fail = ("before", unanswered())
        with pytest.raises(UnavailableError):
            log.append([b"a"])
        store.row = Checkpoint(ORIGIN, 1, leaf_hash(b"theirs"))
        with pytest.raises(FatalError, match="another writer"):
            log.append([b"b"])


def restored(folder: Path, store: MemoryCheckpointStore, copy: Path) -> MemoryCheckpointStore:
    shutil.copytree(folder, copy)
    backup = MemoryCheckpointStore()
    backup.row = store.row
    return backup


def test_a_row_ahead_of_the_files(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path / "log", store) as log:
        log.append(ENTRIES[:10])
        restored(tmp_path / "log", store, tmp_path / "yesterday")
        log.append(ENTRIES[10:300])
    with pytest.raises(FatalError, match="concord log recover"):
        open_log(tmp_path / "yesterday", store)


def test_a_row_behind_what_was_published(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path / "log", store) as log:
        log.append(ENTRIES[:10])
        yesterday = restored(tmp_path / "log", store, tmp_path / "copy")
        log.append(ENTRIES[10:20])
    with pytest.raises(FatalError, match="could fork the log"):
        open_log(tmp_path / "log", yesterday)
    with open_log(tmp_path / "copy", yesterday) as log:
        assert log.size == 10


def test_a_published_checkpoint_beside_the_row(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        log.append(ENTRIES[:10])
    (tmp_path / "checkpoint").write_bytes(SIGNER.sign(Checkpoint(ORIGIN, 10, bytes(32)).text).to_bytes())
    with pytest.raises(FatalError, match="could fork the log"):
        open_log(tmp_path, store)


def test_a_database_that_knows_no_log(tmp_path: Path) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        empty = log.note
        log.append(ENTRIES[:10])
    with pytest.raises(FatalError, match="restore the database"):
        open_log(tmp_path, MemoryCheckpointStore())
    shutil.rmtree(tmp_path / "tile")
    (tmp_path / "checkpoint").write_bytes(empty)
    open_log(tmp_path, MemoryCheckpointStore()).close()  # nothing can be lost of an empty log


def test_the_folder_of_another_log(tmp_path: Path) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()):
        pass
    other = NoteSigner("other.example/log", bytes(32))
    with pytest.raises(FatalError, match="name another folder"):
        Sequencer.open(tmp_path, other, MemoryCheckpointStore(), anchor_by=lambda: ANCHOR_BY)


def test_a_malformed_checkpoint_file_is_written_again_once_removed(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        log.append(ENTRIES[:10])
    (tmp_path / "checkpoint").write_bytes(b"")
    with pytest.raises(FatalError, match="remove it"):
        open_log(tmp_path, store)
    (tmp_path / "checkpoint").unlink()
    open_log(tmp_path, store).close()
    check_log(tmp_path, ENTRIES[:10])


@pytest.mark.parametrize("path", ["tile/entries/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1"])
def test_files_that_do_not_hash_to_the_row(tmp_path: Path, path: str) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        log.append(ENTRIES[:300])
    raw = bytearray((tmp_path / path).read_bytes())
    raw[-1] ^= 1
    (tmp_path / path).write_bytes(raw)
    with pytest.raises(FatalError, match="do not hash"):
        open_log(tmp_path, store)


def test_a_new_key_signs_on(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        log.append(ENTRIES[:10])
    successor = NoteSigner(ORIGIN, bytes(32))
    with Sequencer.open(tmp_path, successor, store, anchor_by=lambda: ANCHOR_BY) as log:
        assert verify_sole_checkpoint(log.note, successor.verifier_key).size == 10
        assert (tmp_path / "checkpoint").read_bytes() == log.note


def test_the_checkpoint_on_chain(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        log.check_anchored(0, EMPTY_ROOT)
        old = log.append(ENTRIES[:10]).checkpoint
        log.append(ENTRIES[10:300])
        log.check_anchored(old.size, old.root)
        log.check_anchored(log.size, log.checkpoint.root)
        with pytest.raises(FatalError, match="concord log recover --from URL"):
            log.check_anchored(301, bytes(32))
        with pytest.raises(FatalError):
            log.append([b"a"])
    with open_log(tmp_path, store) as log:
        with pytest.raises(FatalError, match="not one of the log"):
            log.check_anchored(10, bytes(32))
        with pytest.raises(FatalError):
            log.append([b"a"])


def test_a_signature_that_came_out_false(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(note: SignedNote, key: VerifierKey) -> None:
        raise VerificationError("a bit flipped")

    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        monkeypatch.setattr(sequencer_module, "verify_sole_signature", refuse)
        with pytest.raises(FatalError, match="does not verify"):
            log.append([b"a"])


def test_a_naive_promise(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    naive = ANCHOR_BY.replace(tzinfo=None)
    with Sequencer.open(tmp_path, SIGNER, store, anchor_by=lambda: naive) as log:
        with pytest.raises(ValueError, match="aware"):
            log.append([b"a"])
        assert log.size == 0


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="can not be opened"):
        open_log(tmp_path / "file", MemoryCheckpointStore())


def test_a_checkpoint_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(UnavailableError, match="can not be opened"):
        open_log(tmp_path, MemoryCheckpointStore())


def test_tiles_that_a_crash_left_beyond_the_row_are_removed(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        log.append(ENTRIES[:250])
        row, note = store.row, log.note
    kept = {path: path.read_bytes() for path in (tmp_path / "tile").rglob("*") if path.is_file()}
    edge_files = open_log(tmp_path, store)
    edge_files.append(ENTRIES[250:])
    edge_files.close()
    for path, data in kept.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    store.row = row
    (tmp_path / "checkpoint").write_bytes(note)
    with open_log(tmp_path, store):
        assert {path for path in (tmp_path / "tile").rglob("*") if path.is_file()} == set(kept)


def test_leftovers_in_staging_are_removed(tmp_path: Path) -> None:
    store = MemoryCheckpointStore()
    open_log(tmp_path, store).close()
    (tmp_path / ".staging/7").write_bytes(b"left")
    open_log(tmp_path, store).close()
    assert list((tmp_path / ".staging").iterdir()) == []


def test_reading_back_finds_what_differs(tmp_path: Path) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        previous = log.append(ENTRIES[:250]).checkpoint
        new = log.append(ENTRIES[250:300]).checkpoint
    written = [Tile(-1, 0), Tile(-1, 1, 44), Tile(0, 0), Tile(0, 1, 44), Tile(1, 0, 1)]
    check_files(tmp_path, written, ENTRIES[250:300], previous, new)
    other = Checkpoint(ORIGIN, 250, bytes(32))
    for entries, before in ((ENTRIES[249:299], previous), (ENTRIES[250:300], other)):
        with pytest.raises(FatalError, match="reads back differently"):
            check_files(tmp_path, written, entries, before, new)
    for path in ("tile/entries/000", "tile/0/000", "tile/1/000.p/1"):
        raw = (tmp_path / path).read_bytes()
        (tmp_path / path).write_bytes(bytes([*raw[:5], raw[5] ^ 1, *raw[6:]]))
        with pytest.raises(FatalError, match="reads back differently"):
            check_files(tmp_path, written, ENTRIES[250:300], previous, new)
        (tmp_path / path).write_bytes(raw)


def test_errors_name_what_to_do_and_show_no_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        store.row = None
        with pytest.raises(FatalError) as stop:
            log.append([b"a secret"])
    assert "Stop one of them" in str(stop.value)
    assert "secret" not in str(stop.value) + caplog.text
    with pytest.raises(MalformedError):
        SignedNote.parse(b"")


def test_it_signs_with_another_key_from_one_moment_on(tmp_path: Path) -> None:
    store, second = MemoryCheckpointStore(), NoteSigner(ORIGIN, bytes(32))
    with open_log(tmp_path, store) as log:
        before = log.append(ENTRIES[:3])
        log.use_signer(second)
        assert verify_sole_checkpoint(before.note, SIGNER.verifier_key) == log.checkpoint
        assert verify_sole_checkpoint(log.note, second.verifier_key) == log.checkpoint
        after = log.append(ENTRIES[3:5])
        assert verify_sole_checkpoint(after.note, second.verifier_key).size == 5
        assert (tmp_path / "checkpoint").read_bytes() == log.note
        with pytest.raises(ValueError, match="other"):
            log.use_signer(NoteSigner("other", bytes(32)))
    with Sequencer.open(tmp_path, second, store, anchor_by=lambda: ANCHOR_BY) as again:
        assert again.note == after.note
