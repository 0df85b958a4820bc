"""Who writes: taken up when it is free, kept, lost, and given up in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import FatalError, LedgerError, UnavailableError
from ledger.exchange import GatewaySettings
from ledger.exchange import tenure as module
from ledger.exchange.doctor import Diagnosis
from ledger.exchange.tenure import DUTY, Tenure, Term, name_process
from ledger.store import Store
from ledger.store.fencing import NotTheWriterError
from tests.support.shared import DatabaseUrl, shared_databases
from tests.support.store_world import CONSORTIUM
from tests.support.waiting import eventually

__all__ = ["shared_databases"]


class Seat:
    """One process: what its tenure asked of it."""

    def __init__(self, url: str, name: str) -> None:
        self.store = Store.open(url, CONSORTIUM)
        self.terms: list[Term] = []
        self.obstacles: list[Exception] = []
        self.looks = 0
        self.lost = threading.Event()
        self.tenure = Tenure(self.store.leases, self._take_up, self._look, self.lost.set, name=name)

    def _take_up(self, term: Term) -> None:
        if self.obstacles:
            raise self.obstacles.pop()
        self.terms.append(term)

    def _look(self) -> None:
        self.looks += 1

    def end(self) -> None:
        self.tenure.stop()
        self.tenure.release()
        self.store.close()


@pytest.fixture
def seats(
    shared_databases: DatabaseUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Seat, Seat]]:
    for name, seconds in (("_TERM_S", 1.0), ("_RENEW_EVERY_S", 0.05), ("_LOOK_EVERY_S", 0.02)):
        monkeypatch.setattr(module, name, seconds)
    url = shared_databases(tmp_path)
    both = Seat(url, "first"), Seat(url, "second")
    yield both
    for seat in both:
        seat.end()


def test_the_first_writes_the_second_waits_and_follows(seats: tuple[Seat, Seat]) -> None:
    first, second = seats
    first.tenure.start()
    second.tenure.start()
    assert (first.tenure.writes, second.tenure.writes) == (True, False)
    first.tenure.check_writes()
    with pytest.raises(NotTheWriterError) as caught:
        second.tenure.check_writes()
    assert caught.value.facts == {"writer": "first"}
    assert (first.tenure.writer, second.tenure.writer) == ("first", "first")
    eventually(lambda: second.looks > 2)
    row = second.store.leases.find(DUTY)
    eventually(lambda: second.store.leases.find(DUTY) != row)  # it is renewed
    assert second.terms == []
    first.tenure.stop()
    first.tenure.release()
    eventually(lambda: second.tenure.writes)
    assert (first.terms, second.terms) == ([Term(1, is_seized=False)], [Term(2, is_seized=False)])
    assert not first.tenure.writes
    assert not first.tenure.is_lost


def test_one_that_hangs_loses_the_lease_and_is_told(seats: tuple[Seat, Seat]) -> None:
    first, second = seats
    first.tenure.start()
    second.tenure.start()
    with first.store.leases._turn:  # it renews nothing while it is paused
        eventually(lambda: second.tenure.writes)
        assert not first.tenure.is_lost
    assert first.lost.wait(60)
    assert second.terms == [Term(2, is_seized=True)]
    assert not first.tenure.writes
    assert first.tenure.failure is not None
    assert "took the writer's lease" in first.tenure.failure


def test_what_can_not_be_taken_up_is_left_to_others_and_tried_again(seats: tuple[Seat, Seat]) -> None:
    first, second = seats
    first.obstacles.append(FatalError("the log is behind"))
    with pytest.raises(FatalError):
        first.tenure.start()
    second.tenure.start()
    assert second.terms == [Term(2, is_seized=False)]
    second.tenure.stop()
    second.tenure.release()

    third = first
    third.obstacles.append(UnavailableError("the chain is away"))
    third.tenure._holder = "second"
    third.tenure._waiting = module._begin("succession", third.tenure._wait)
    eventually(lambda: third.tenure.failure is not None)
    eventually(lambda: third.tenure.writes)
    assert third.tenure.failure is None


def test_while_the_database_does_not_answer_nothing_is_lost(
    seats: tuple[Seat, Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = seats
    first.tenure.start()

    def fail(*_: object) -> bool:
        raise UnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(first.store.leases, "renew", fail)
        eventually(lambda: first.tenure.failure is not None)
        patched.setattr(first.store.leases, "release", fail)
    eventually(lambda: first.tenure.failure is None)
    assert first.tenure.writes
    monkeypatch.setattr(first.store.leases, "release", fail)
    first.tenure.stop()
    first.tenure.release()
    assert not first.tenure.writes


def test_a_store_that_was_closed_ends_the_tenure(seats: tuple[Seat, Seat]) -> None:
    first, second = seats
    first.tenure.start()
    first.store.close()
    keeping = first.tenure._keeping
    assert keeping is not None
    keeping.join(60)
    assert not keeping.is_alive()
    second.tenure.start()
    eventually(lambda: second.tenure.writes)


def test_the_doctor_says_who_writes_and_who_hangs(
    seats: tuple[Seat, Seat], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = seats
    diagnosis = Diagnosis(GatewaySettings(home=tmp_path, passphrase=""), "http://127.0.0.1:1")
    diagnosis._store = second.store
    assert "no process writes" in diagnosis._check_writer()
    first.tenure.start()
    assert diagnosis._check_writer().startswith("first writes since ")
    monkeypatch.setattr(module, "_TERM_S", -1.0)  # as if it renewed nothing any more
    eventually(lambda: (found := second.store.leases.find(DUTY)) is not None and found.is_hung)
    with pytest.raises(LedgerError, match="first has the writer's lease and did not renew it"):
        diagnosis._check_writer()
    with Store.open(f"sqlite:///{tmp_path / 'alone.sqlite3'}") as alone:
        diagnosis._store = alone
        assert "one process at a time" in diagnosis._check_writer()


def test_a_process_is_named_by_machine_and_number() -> None:
    machine, _, number = name_process().rpartition(":")
    assert machine
    assert number.isdecimal()
