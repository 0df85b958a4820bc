"""A commit that PostgreSQL carries out after its sender was cut off: the log waits for it, and goes on either way."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.errors import UnavailableError
from ledger.exchange import Gateway, GatewaySettings
from ledger.log import Sequencer
from ledger.store import Store
from tests.support.exchange import PASSPHRASE, Consortium, found_in, registration
from tests.support.late_commit import LateCommits, late_commits
from tests.support.log import ANCHOR_BY, ORIGIN, SIGNER, check_log, entries_of
from tests.support.shared import DatabaseUrl, shared_databases
from tests.support.store_world import CONSORTIUM
from tests.support.waiting import eventually

__all__ = ["shared_databases"]

FIRST, SECOND, THIRD = (entries_of(label, 300) for label in ("first", "second", "third"))


@dataclass
class Cut:
    """A log whose second batch was committed into a broken connection: nobody knows what became of it."""

    log: Sequencer
    store: Store
    late: LateCommits
    database: str

    def is_awaited(self) -> bool:
        """Whether somebody waits on the server until the transaction of that commit has ended."""
        with psycopg.connect(self.database) as connection:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = %s"
            return connection.execute(waiting, ("advisory",)).fetchone() == (1,)


@pytest.fixture
def cut(shared_databases: DatabaseUrl, tmp_path: Path) -> Iterator[Cut]:
    url = shared_databases(tmp_path)
    with ExitStack() as stack:
        sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="concord-late-"))
        late, by_it = stack.enter_context(late_commits(Path(sockets), url))
        store = stack.enter_context(Store.open(by_it, CONSORTIUM))
        log = Sequencer.open(tmp_path / "log", SIGNER, store.checkpoints, anchor_by=lambda: ANCHOR_BY)
        stack.callback(log.close)
        log.append(FIRST)
        late.hold_next()
        with pytest.raises(UnavailableError):
            log.append(SECOND)
        assert log.size == len(FIRST)
        yield Cut(log, store, late, url.replace("+psycopg", ""))


@contextmanager
def meanwhile(cut: Cut, act: Callable[[], object]) -> Iterator[None]:
    """The block begins when ``act`` waits for the commit, and ends when that has ended well."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(act)
        eventually(lambda: cut.is_awaited() or done.done())
        yield
        done.result(30)


def test_a_batch_that_lands_late_is_in_the_log_before_the_next_one(cut: Cut, tmp_path: Path) -> None:
    with meanwhile(cut, lambda: cut.log.append(THIRD)):
        assert cut.log.size == len(FIRST)
        cut.late.let_land()
    check_log(tmp_path / "log", FIRST + SECOND + THIRD)


def test_a_batch_that_never_lands_gives_way_to_the_next_one(cut: Cut, tmp_path: Path) -> None:
    with meanwhile(cut, lambda: cut.log.append(THIRD)):
        cut.late.let_fail()
    check_log(tmp_path / "log", FIRST + THIRD)


def test_who_starts_meanwhile_waits_for_it_too(cut: Cut, tmp_path: Path) -> None:
    cut.log.close()
    sizes: list[int] = []

    def start_anew() -> None:
        with Sequencer.open(tmp_path / "log", SIGNER, cut.store.checkpoints, anchor_by=lambda: ANCHOR_BY) as log:
            sizes.append(log.size)

    with meanwhile(cut, start_anew):
        cut.late.let_land()
    assert sizes == [len(FIRST + SECOND)]
    check_log(tmp_path / "log", FIRST + SECOND)


def test_nobody_waits_for_ever(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.checkpoints._LONGEST_WAIT_MS", 20)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="busy"):
            cut.log.append(THIRD)
    cut.late.let_land()
    eventually(lambda: cut.store.checkpoints.find(ORIGIN, 600) is not None)
    assert cut.log.settle()
    assert cut.log.append(THIRD).first_index == 600


def test_a_statement_that_is_sent_again_meanwhile_is_in_the_log_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    founded = found_in(home)
    settings = GatewaySettings(home=home, passphrase=PASSPHRASE, batch_delay_s=0.0)
    with ExitStack() as stack:
        gateway = Gateway.open(settings)
        stack.callback(gateway.close)
        gateway._indexer.catch_up()
        writer, checkpoints = gateway._writer, gateway.parts.store.checkpoints
        before, landing = gateway.parts.sequencer.size, list[Callable[[], object]]()
        swap, load = checkpoints.compare_and_swap, checkpoints.load_settled

        def swap_later(*given: Any) -> bool:
            rows = checkpoints._here.store

            def land() -> None:
                with checkpoints.together(rows):
                    assert swap(*given)

            landing.append(land)
            raise UnavailableError("the database does not answer", retry_after_s=1)

        def load_once_landed(origin: str) -> object:
            landing.pop()()
            return load(origin)

        pool = stack.enter_context(ThreadPoolExecutor(1))
        asker = Consortium(gateway, founded).asker("utility")
        first = pool.submit(gateway.statements.sign_and_submit, asker, registration("late", {"a.csv": b"1"}))
        eventually(lambda: writer.depth == 1)
        statement = writer._waiting[0].statement
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "compare_and_swap", swap_later)
            with pytest.raises(UnavailableError):
                writer.step()
        with pytest.raises(UnavailableError):
            first.result(30)
        monkeypatch.setattr(checkpoints, "load_settled", load_once_landed)
        again = pool.submit(writer.append, statement)
        eventually(lambda: writer.depth == 1)
        assert writer.step()
        again.result(30)
        assert gateway.parts.sequencer.size == before + 1
        row = gateway.parts.store.statements.find(statement.digest)
        assert row is not None
        assert row.log_index == before
