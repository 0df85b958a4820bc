"""The sequencer under every fault: nothing acknowledged is lost, and the log goes on.

Each case is one row of a table: which call of an append breaks, how (an error before or after it took effect, halfway
through a write, a kill, a power cut), at which size of the log.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ledger.errors import FatalError, UnavailableError
from ledger.log import Sequencer, TileReader, verify_sole_checkpoint
from ledger.log.edge import RightEdge
from tests.support.log import SIGNER, MemoryCheckpointStore, SqliteCheckpointStore, check_log, entries_of, open_log
from tests.support.log_faults import DISK_BROKEN, DISK_FULL, Fault, FaultyCalls, Killed, PowerCutCalls

OLD = entries_of("old", 600)
NEW = entries_of("new", 400)
LATER = entries_of("later", 3)
MANY = entries_of("many", 2300)  # of so many files that several threads write them
SHAPES = [(0, 1), (3, 2), (254, 2), (254, 300), (512, 1)]  # entries before, entries of the batch that breaks


@cache
def calls_of(before: int, added: int, *, many: bool = False) -> tuple[str, ...]:
    """The calls of an append on a healthy disk."""
    with TemporaryDirectory() as folder:
        calls = FaultyCalls()
        log = prepared(Path(folder), MemoryCheckpointStore(), before, calls)
        calls.names = []
        log.append(MANY if many else NEW[:added])
        log.close()
        return tuple(calls.names)


def prepared(folder: Path, store: MemoryCheckpointStore, before: int, calls: FaultyCalls) -> Sequencer:
    log = open_log(folder, store, calls)
    if before:
        log.append(OLD[:before])
    return log


def rows() -> Iterator[tuple[int, int, int, str]]:
    for before, added in SHAPES:
        for at, name in enumerate(calls_of(before, added)):
            yield before, added, at, "before"
            yield before, added, at, "after"
            if name == "write":
                yield before, added, at, "half"


TABLE = list(rows())


def abandon(log: Sequencer) -> None:
    """Let the lock go as the system does when a process dies, and nothing else."""
    log._lock.release()


def test_the_table_covers_every_kind_of_call() -> None:
    names = {name.split()[0] for shape in SHAPES for name in calls_of(*shape)}
    assert names == {"mkdir", "write", "fsync", "rename", "unlink"}


@pytest.mark.parametrize(("before", "added", "at", "when"), TABLE)
def test_a_disk_that_fails_once(tmp_path: Path, before: int, added: int, at: int, when: str) -> None:
    error = DISK_FULL if calls_of(before, added)[at].startswith(("write", "mkdir")) else DISK_BROKEN
    calls, store = FaultyCalls(), MemoryCheckpointStore()
    log = prepared(tmp_path, store, before, calls)
    calls.arm(Fault(at, when, error))
    acknowledged, refusal = [*OLD[:before], *NEW[:added]], None
    try:
        log.append(NEW[:added])
    except UnavailableError as unavailable:  # rows that break after the commit are no refusals
        acknowledged, refusal = OLD[:before], unavailable
    assert refusal is None or (refusal.retry_after_s and ("disk is full" in str(refusal)) == (error is DISK_FULL))
    assert log.size == len(acknowledged)
    log.append(LATER)  # the disk is well again and the log usable, without a restart
    acknowledged = [*acknowledged, *LATER]
    check_log(tmp_path, acknowledged, [before, before + 1])
    log.close()
    with open_log(tmp_path, store) as again:
        again.append(LATER)
    check_log(tmp_path, [*acknowledged, *LATER])


@pytest.mark.parametrize(("before", "added", "at", "when"), TABLE)
def test_a_kill(tmp_path: Path, before: int, added: int, at: int, when: str) -> None:
    calls, store = FaultyCalls(), MemoryCheckpointStore()
    log = prepared(tmp_path, store, before, calls)
    calls.arm(Fault(at, when, Killed()))
    with pytest.raises(Killed):
        log.append(NEW[:added])
    abandon(log)
    with open_log(tmp_path, store) as again:
        assert again.size in {before, before + added}
        entries = [*OLD[:before], *NEW[:added]][: again.size]
        check_log(tmp_path, entries)
        assert verify_sole_checkpoint(again.note, SIGNER.verifier_key) == again.checkpoint
        again.append(LATER)
    check_log(tmp_path, [*entries, *LATER], [before])


@pytest.mark.parametrize(("before", "added", "at", "when"), TABLE)
def test_a_power_cut(tmp_path: Path, before: int, added: int, at: int, when: str) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    calls, store = PowerCutCalls(folder), MemoryCheckpointStore()
    log = prepared(folder, store, before, calls)
    calls.arm(Fault(at, when, Killed()))
    with pytest.raises(Killed):
        log.append(NEW[:added])
    abandon(log)
    calls.survivors(tmp_path / "after")
    with open_log(tmp_path / "after", store) as again:
        assert again.size in {before, before + added}
        entries = [*OLD[:before], *NEW[:added]][: again.size]
        check_log(tmp_path / "after", entries)
        again.append(LATER)
    check_log(tmp_path / "after", [*entries, *LATER])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(0, len(calls_of(254, len(MANY), many=True)), 4))
def test_a_power_cut_while_several_threads_write(tmp_path: Path, at: int, when: str) -> None:
    """Which call is the ``at``-th differs from run to run; what is left is one log or the other."""
    folder = tmp_path / "log"
    folder.mkdir()
    calls, store = PowerCutCalls(folder), MemoryCheckpointStore()
    log = prepared(folder, store, 254, calls)
    calls.arm(Fault(at, when, Killed()))
    with pytest.raises(Killed):
        log.append(MANY)
    abandon(log)
    calls.survivors(tmp_path / "after")
    with open_log(tmp_path / "after", store) as again:
        assert again.size in {254, 254 + len(MANY)}
        entries = [*OLD[:254], *MANY][: again.size]
        again.append(LATER)
    check_log(tmp_path / "after", [*entries, *LATER])


@pytest.mark.parametrize(("before", "added"), SHAPES)
def test_a_power_cut_right_after_the_acknowledgement(tmp_path: Path, before: int, added: int) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    calls, store = PowerCutCalls(folder), MemoryCheckpointStore()
    log = prepared(folder, store, before, calls)
    batch = log.append(NEW[:added])
    abandon(log)
    calls.survivors(tmp_path / "after")
    with open_log(tmp_path / "after", store) as again:
        assert again.checkpoint == batch.checkpoint
        assert again.note == batch.note
    check_log(tmp_path / "after", [*OLD[:before], *NEW[:added]])


def test_the_power_cut_is_real(tmp_path: Path) -> None:
    """A writer that leaves out the directory's fsync (transparency-dev/tessera#749) loses what it acknowledged."""

    class Forgetful(PowerCutCalls):
        def fsync(self, descriptor: int) -> None:
            if not Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
                super().fsync(descriptor)

    folder = tmp_path / "log"
    folder.mkdir()
    calls, store = Forgetful(folder), MemoryCheckpointStore()
    log = open_log(folder, store, calls)
    log.append(NEW[:3])
    abandon(log)
    calls.survivors(tmp_path / "after")
    with pytest.raises(FatalError, match="do not hold"):
        open_log(tmp_path / "after", store)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_commit(tmp_path: Path, when: str) -> None:
    store = MemoryCheckpointStore()
    log = open_log(tmp_path, store)
    log.append(OLD[:254])
    store.fail = (when, Killed())
    with pytest.raises(Killed):
        log.append(NEW[:5])
    abandon(log)
    entries = OLD[:254] if when == "before" else [*OLD[:254], *NEW[:5]]
    with open_log(tmp_path, store) as again:
        assert again.size == len(entries)
        check_log(tmp_path, entries)
        again.append(LATER)
    check_log(tmp_path, [*entries, *LATER])


def test_a_disk_that_fails_after_the_commit_delays_the_publishing_alone(tmp_path: Path) -> None:
    calls, store = FaultyCalls(), MemoryCheckpointStore()
    log = prepared(tmp_path, store, 254, calls)
    stale = (tmp_path / "checkpoint").read_bytes()
    at = calls_of(254, 2).index("rename checkpoint")
    calls.arm(Fault(at, "before", DISK_FULL))
    batch = log.append(NEW[:2])
    assert (tmp_path / "checkpoint").read_bytes() == stale
    check_log(tmp_path, OLD[:254])  # the tiles that the published checkpoint needs are still there
    assert log.reader.entries(254, 2) == NEW[:2]
    assert log.publish()
    assert (tmp_path / "checkpoint").read_bytes() == batch.note
    check_log(tmp_path, [*OLD[:254], *NEW[:2]], [254])
    log.close()


def test_a_fault_while_opening(tmp_path: Path) -> None:
    """Every call of a first and of a later start, broken once: it says so, and the next start works."""
    store = MemoryCheckpointStore()
    for at in range(40):
        calls = FaultyCalls()
        calls.arm(Fault(at, "before", DISK_FULL))
        with contextlib.suppress(UnavailableError):
            open_log(tmp_path, store, calls).close()
        with open_log(tmp_path, store) as log:
            log.append([bytes([at])])
        if calls.fault is not None:
            break
    else:
        pytest.fail("opening took more calls than expected")
    check_log(tmp_path, [bytes([number]) for number in range(at + 1)])


def test_a_disk_that_can_not_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(reader: TileReader, first: int, count: int) -> list[bytes]:
        raise UnavailableError("the disk can not be read")

    store = MemoryCheckpointStore()
    with open_log(tmp_path, store) as log:
        log.append(OLD[:3])
        with monkeypatch.context() as broken:
            broken.setattr(TileReader, "entries", unreadable)
            with pytest.raises(UnavailableError):
                log.append(NEW[:2])
        assert not (tmp_path / "tile/0/000.p/5").exists()
        log.append(LATER)
    check_log(tmp_path, [*OLD[:3], *LATER])
    with monkeypatch.context() as broken:
        broken.setattr(TileReader, "entries", unreadable)
        with pytest.raises(UnavailableError):
            open_log(tmp_path, store)


def test_a_bit_that_flipped_on_its_way_to_the_disk_is_not_signed(tmp_path: Path) -> None:
    class Flipping(FaultyCalls):
        flip = False

        def write(self, descriptor: int, data: bytes) -> None:
            super().write(descriptor, data[:-1] + bytes([data[-1] ^ 1]) if self.flip else data)

    calls, store = Flipping(), MemoryCheckpointStore()
    log = open_log(tmp_path, store, calls)
    committed = log.append(OLD[:3]).checkpoint
    calls.flip = True
    with pytest.raises(FatalError, match="reads back differently"):
        log.append(NEW[:2])
    calls.flip = False
    with pytest.raises(FatalError):
        log.append(NEW[:2])
    assert store.row == committed
    log.close()
    with open_log(tmp_path, store) as again:
        again.append(LATER)
    check_log(tmp_path, [*OLD[:3], *LATER])


def test_a_bit_that_flipped_in_memory_is_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        log.append(OLD[:3])
        monkeypatch.setattr(RightEdge, "root", lambda edge: bytes(32))
        with pytest.raises(FatalError, match="nothing was signed"):
            log.append(NEW[:2])


def test_kill_minus_nine_of_a_real_process(tmp_path: Path) -> None:
    """Five times on one folder: what the process acknowledged before it died is there."""
    chance = random.Random(20_261_121)
    acknowledged = 0
    for _ in range(5):
        command = [sys.executable, "-m", "tests.support.log_writer", str(tmp_path)]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 40)):
                first, count = map(int, process.stdout.readline().split()[:2])
                acknowledged = max(acknowledged, first + count)
            os.kill(process.pid, signal.SIGKILL)
            for line in process.stdout:
                first, count = map(int, line.split()[:2])
                acknowledged = max(acknowledged, first + count)
        store = SqliteCheckpointStore(tmp_path / "log.sqlite")
        with contextlib.closing(store), open_log(tmp_path / "log", store) as log:
            assert log.size >= acknowledged > 0
            check_log(tmp_path / "log", log.reader.entries(0, log.size), [acknowledged])
