"""What can fail around an append, one row each: how it breaks and heals, and what the log makes of it.

``expect_progress``: the append that meets it is acknowledged all the same. ``expect_fatal``: going on could sign a
forked history, so the log stops until it is started again. Neither: the append is refused, and the next one that does
not meet it goes through. ``persisted``: it failed, but it was persisted; nobody was told, and the entries stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.errors import FatalError, UnavailableError
from ledger.log import Checkpoint, NoteSigner, Sequencer, SignedNote, TileReader
from tests.support.log import ANCHOR_BY, SIGNER, MemoryCheckpointStore, check_nothing_lost, entries_of, unanswered
from tests.support.log_faults import DISK_BROKEN, DISK_FULL, BrokenCalls, Rule

OLD = entries_of("old", 254)
FORKED = Checkpoint(SIGNER.name, 300, bytes(32))


class Store(MemoryCheckpointStore):
    """A database that answers, or not, until it is healed."""

    down: str = ""  # before: nothing happens; after: it happens, and no answer comes
    deaf = False

    def load(self, origin: str) -> Checkpoint | None:
        if self.deaf:
            raise unanswered()
        return super().load(origin)

    def compare_and_swap(
        self, expected: Checkpoint | None, new: Checkpoint, once: Callable[[], object] | None = None
    ) -> bool:
        if self.down:
            self.fail = (self.down, unanswered())
        return super().compare_and_swap(expected, new, once)


@dataclass
class Signer:
    """A note signer whose signatures can be spoilt, as a broken CPU would."""

    spoilt: bool = False
    name: str = SIGNER.name
    verifier_key = SIGNER.verifier_key

    def sign(self, text: str) -> SignedNote:
        return NoteSigner(self.name, bytes(32)).sign(text) if self.spoilt else SIGNER.sign(text)


@dataclass
class Case:
    """A log of 254 entries with everything below it that can break."""

    folder: Path
    patch: pytest.MonkeyPatch
    calls: BrokenCalls = field(default_factory=BrokenCalls)
    store: Store = field(default_factory=Store)
    signer: Signer = field(default_factory=Signer)
    entries: list[bytes] = field(default_factory=list)
    promised: list[Checkpoint] = field(default_factory=list)
    row: Checkpoint | None = None

    def open(self) -> Sequencer:
        signer: NoteSigner = self.signer  # type: ignore[assignment]  # the same interface
        return Sequencer.open(self.folder, signer, self.store, anchor_by=lambda: ANCHOR_BY, calls=self.calls)

    def append(self, log: Sequencer, entries: list[bytes]) -> None:
        batch = log.append(entries)
        assert (batch.first_index, batch.count) == (len(self.entries), len(entries))
        self.entries += entries
        self.promised.append(batch.checkpoint)


Act = Callable[[Case], None]


@dataclass(frozen=True)
class Failpoint:
    """One row."""

    name: str
    break_it: Act
    heal: Act
    expect_progress: bool = False
    expect_fatal: bool = False
    persisted: bool = False


def disk(call: str, where: str, when: str, error: OSError, *, expect_progress: bool = False) -> Failpoint:
    def break_it(case: Case) -> None:
        case.calls.rule = Rule(call, where, when, error)

    def heal(case: Case) -> None:
        assert case.calls.met, "nothing met the failpoint"
        case.calls.rule = None

    name = f"{call} {where} {when} {error.strerror}"
    return Failpoint(name, break_it, heal, expect_progress=expect_progress)


def database(name: str, down: str, *, deaf: bool = False) -> Failpoint:
    def break_it(case: Case) -> None:
        case.store.down, case.store.deaf = down, deaf

    def heal(case: Case) -> None:
        case.store.down, case.store.deaf = "", False

    return Failpoint(name, break_it, heal, persisted=down == "after")


def row(name: str, found: Checkpoint | None) -> Failpoint:
    def break_it(case: Case) -> None:
        case.row, case.store.row = case.store.row, found

    def heal(case: Case) -> None:
        case.store.row = case.row

    return Failpoint(name, break_it, heal, expect_fatal=True)


def reading(name: str, read: Callable[[Path, str], bytes], *, expect_fatal: bool = False) -> Failpoint:
    def break_it(case: Case) -> None:
        case.patch.setattr(TileReader, "_read", lambda reader, path: read(reader._folder, path))

    return Failpoint(name, break_it, lambda case: case.patch.undo(), expect_fatal=expect_fatal)


def fails_to_read(folder: Path, path: str) -> bytes:
    raise UnavailableError("the disk can not be read")


def reads_another_bit(folder: Path, path: str) -> bytes:
    raw = (folder / path).read_bytes()
    return raw[:-1] + bytes([raw[-1] ^ 1])


def reads_nothing(folder: Path, path: str) -> bytes:
    return b""


def spoil_signature(case: Case) -> None:
    case.signer.spoilt = True


def heal_signature(case: Case) -> None:
    case.signer.spoilt = False


TABLE = [
    *(disk("write", ".staging", when, DISK_FULL) for when in ("before", "half", "after")),
    *(disk("write", ".staging", when, DISK_BROKEN) for when in ("before", "half", "after")),
    *(disk("fsync", ".staging", when, DISK_BROKEN) for when in ("before", "after")),
    *(disk("rename", "tile/entries", when, DISK_BROKEN) for when in ("before", "after")),
    *(disk("rename", "tile/0", when, DISK_BROKEN) for when in ("before", "after")),
    *(disk("rename", "tile/1", when, DISK_FULL) for when in ("before", "after")),
    *(disk("mkdir", "tile/1", when, DISK_FULL) for when in ("before", "after")),
    *(disk("fsync", "tile/entries/", when, DISK_BROKEN) for when in ("before", "after")),
    *(disk("fsync", "tile/0/", when, DISK_BROKEN) for when in ("before", "after")),
    *(disk("fsync", "tile/1/", when, DISK_FULL) for when in ("before", "after")),
    # The row is committed before the checkpoint is published: what breaks then delays the publishing alone.
    *(disk("rename", "/checkpoint", when, DISK_BROKEN, expect_progress=True) for when in ("before", "after")),
    disk("unlink", ".p/", "before", DISK_BROKEN, expect_progress=True),
    database("the database does not answer and did nothing", "before"),
    database("the database does not answer, but it was persisted", "after"),
    database("the database neither answers nor tells, but it was persisted", "after", deaf=True),
    reading("what was written can not be read back", fails_to_read),
    reading("what was written reads back with another bit", reads_another_bit, expect_fatal=True),
    reading("what was written reads back empty", reads_nothing, expect_fatal=True),
    row("another writer moved the row", FORKED),
    row("the row is gone", None),
]


# A few files, and so many that several threads write them.
@pytest.mark.parametrize("size", [300, pytest.param(2300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("point", TABLE, ids=lambda point: point.name)
def test_failpoint(point: Failpoint, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(tmp_path / "log", monkeypatch)
    log = case.open()
    case.append(log, OLD)
    point.break_it(case)
    for number in range(2):  # it stays broken: the second meets it, too
        meet(case, log, point, entries_of(f"met {number}", size))
    point.heal(case)
    if point.expect_fatal:
        with pytest.raises(FatalError):
            log.append([b"a log that stopped stays stopped"])
    else:
        case.append(log, entries_of("healed", size))
    log.close()
    with case.open() as again:
        assert again.size == len(case.entries)
        case.append(again, entries_of("later", 300))
    check_nothing_lost(case.folder, case.entries, case.promised)


def meet(case: Case, log: Sequencer, point: Failpoint, entries: list[bytes]) -> None:
    if point.expect_progress:
        case.append(log, entries)
        return
    with pytest.raises(FatalError if point.expect_fatal else UnavailableError) as refused:
        log.append(entries)
    if isinstance(refused.value, UnavailableError) and case.calls.met:
        assert refused.value.retry_after_s
    assert case.store.row is not None or point.expect_fatal
    if point.persisted and case.store.row is not None and case.store.row.size > len(case.entries):
        case.entries += entries


def test_a_signature_that_does_not_verify_is_not_given_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is committed by then: the batch is in the log, and a restart signs it."""
    case = Case(tmp_path / "log", monkeypatch)
    log = case.open()
    case.append(log, OLD)
    spoil_signature(case)
    added = entries_of("unsigned", 3)
    for _ in range(2):
        with pytest.raises(FatalError, match="signature does not verify"):
            log.append(added)
    heal_signature(case)
    log.close()
    case.entries += added
    with case.open() as again:
        assert again.size == len(case.entries)
        case.append(again, entries_of("later", 3))
    check_nothing_lost(case.folder, case.entries, case.promised)


def test_a_database_that_is_away_while_the_log_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(tmp_path / "log", monkeypatch)
    with case.open() as log:
        case.append(log, OLD)
    case.store.deaf = True
    for _ in range(2):
        with contextlib.ExitStack() as stack, pytest.raises(UnavailableError):
            stack.enter_context(case.open())
    case.store.deaf = False
    with case.open() as again:
        case.append(again, entries_of("later", 3))
    check_nothing_lost(case.folder, case.entries, case.promised)


def test_a_lock_that_can_not_be_written_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries again in the same process gets the folder."""

    def broken(*_: object) -> int:
        raise DISK_FULL

    case = Case(tmp_path / "log", monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr("os.pwrite", broken)
        with contextlib.ExitStack() as stack, pytest.raises(UnavailableError, match="disk is full"):
            stack.enter_context(case.open())
    with case.open() as log:
        case.append(log, OLD)
    check_nothing_lost(case.folder, case.entries, case.promised)
