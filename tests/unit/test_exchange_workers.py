"""Workers, one at a time and stepped by hand: what dies, what is refused, what goes back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.chain import Refusal, RefusalKind, SignedTransaction
from ledger.errors import FatalError, RefusedError, UnavailableError
from ledger.exchange import Gateway, GatewaySettings, InForce, State
from ledger.exchange.intents import AccessRevocationIntent, RawIntent
from ledger.exchange.log_writer import LogWriter
from ledger.exchange.worker import AwaitingStep, Worker
from ledger.log import TileReader
from ledger.statements import Statement
from ledger.store.rows import NewStatement, OutboxState
from ledger.types import Bytes32
from tests.support.exchange import PASSPHRASE, Consortium, found_in, registration
from tests.support.waiting import eventually


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Consortium]:
    """A gateway whose workers do not run: the test takes their steps."""
    home = tmp_path / "home"
    founded = found_in(home)
    settings = GatewaySettings(
        home=home, passphrase=PASSPHRASE, publish_after_s=0.0, poll_s=0.01, batch_delay_s=0.0, most_in_flight=2
    )
    gateway = Gateway.open(settings)
    gateway._indexer.catch_up()
    gateway._writing.start()
    yield Consortium(gateway, founded)
    gateway._writing.stop()
    gateway._parts.close()


def test_a_worker_tries_again_for_as_long_as_a_node_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour by the clock of its own pauses; the longest is ten seconds, so that it goes on soon after the node."""
    waited: list[float] = []

    def step() -> bool:
        if sum(waited) < 3600:
            raise UnavailableError("the node does not answer")
        return False

    worker = Worker("submitter", step, poll_s=0.0)
    back = threading.Event()

    def wait(timeout: float | None = None) -> bool:
        assert timeout is not None
        waited.append(timeout)
        if timeout == 0.0:  # the pause of a step that went well
            back.set()
            return worker._stopping.wait(60)
        return False

    monkeypatch.setattr(worker._wake, "wait", wait)
    worker.start()
    assert back.wait(60)
    assert worker.failure is None
    worker.stop()
    assert max(waited) == 10.0
    assert sum(waited) > 3600


def state(still: Consortium, number: int = 1) -> Bytes32:
    """An accepted statement that nobody has submitted."""
    intent = registration("series", {"a.csv": f"{number}\n".encode()})
    return still.gateway.statements.sign_and_submit(still.asker("utility"), intent).digest


def contradict(still: Consortium, first: Bytes32) -> Bytes32:
    """Another registration of the same version, accepted while the first is on its way."""
    row = still.gateway.parts.store.statements.find(first)
    assert row is not None
    members = {**row.message, "contentHash": str(Bytes32(bytes([5]) * 32))}
    intent = RawIntent(type_name=row.type, members=members)
    return still.gateway.statements.sign_and_submit(still.asker("utility"), intent).digest


def settle(gateway: Gateway) -> None:
    while gateway._submitter.step() | gateway._indexer.step() | (gateway._publisher.step() is True):
        pass


def test_a_statement_goes_from_accepted_to_final(still: Consortium) -> None:
    gateway = still.gateway
    digest = state(still)
    assert gateway.statements.outcome(digest).state is State.ACCEPTED
    assert gateway._submitter._is_busy()
    settle(gateway)
    outcome = gateway.statements.outcome(digest)
    assert (outcome.state, outcome.in_force) == (State.FINAL, InForce.YES)
    assert not gateway._submitter.settle()


def test_what_became_false_meanwhile_is_refused_with_the_contracts_reason(still: Consortium) -> None:
    gateway = still.gateway
    first = state(still, 1)
    second = contradict(still, first)
    settle(gateway)
    outcomes = {gateway.statements.outcome(each).in_force for each in (first, second)}
    assert outcomes == {InForce.YES, InForce.REFUSED}
    refusal = next(o.refusal for o in map(gateway.statements.outcome, (first, second)) if o.refusal)
    assert refusal.code == "dataset-registry-version-taken"
    assert gateway.statements.outcome(second).state is State.FINAL


def test_a_simulation_refuses_before_a_nonce_is_spent(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, store = still.gateway, still.gateway.parts.store
    first = state(still, 1)
    second = contradict(still, first)
    real = store.statements.list_submittable
    monkeypatch.setattr(store.statements, "list_submittable", lambda _limit=64: real(1))
    gateway._submitter.step()
    monkeypatch.undo()
    settle(gateway)
    assert gateway.statements.outcome(second).in_force is InForce.REFUSED
    assert store.outbox.find(str(second)) is None


class Node:
    """Stands before the chain edge and answers sends as a test says."""

    def __init__(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> None:
        self._real = gateway.parts.edge.send
        self._answers = answers
        monkeypatch.setattr(gateway.parts.edge, "send", self.send)

    def send(self, transactions: Sequence[SignedTransaction]) -> list[Refusal | None]:
        answer = self._answers.pop(0) if self._answers else None
        if answer is None:
            return self._real(transactions)
        if answer == "lost":
            self._real(transactions)
            raise UnavailableError("the response was lost")
        return [answer for _ in transactions]


def test_a_lost_response_and_a_busy_node_lose_nothing(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway
    Node(gateway, monkeypatch, [Refusal(RefusalKind.BUSY, 0, "pool is full"), "lost", None])
    digest = state(still)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            gateway._submitter.step()
    settle(gateway)
    assert gateway.statements.outcome(digest).in_force is InForce.YES


def test_a_certain_refusal_is_an_outcome_and_blocks_nobody(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway
    Node(gateway, monkeypatch, [Refusal(RefusalKind.INVALID, -32000, "intrinsic gas too low")])
    digest = state(still)
    settle(gateway)
    refused = gateway.statements.outcome(digest)
    assert refused.in_force is InForce.REFUSED
    assert refused.refusal is not None
    assert refused.refusal.code == "transaction-invalid"
    row = gateway.parts.store.outbox.find(str(digest))
    assert row is not None
    assert row.state is OutboxState.FAILED
    after = state(still, 2)
    settle(gateway)
    assert gateway.statements.outcome(after).in_force is InForce.YES


def test_a_foreign_nonce_stops_the_submitter(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway
    Node(gateway, monkeypatch, [Refusal(RefusalKind.NONCE_TOO_LOW, 0, "nonce too low")])
    monkeypatch.setattr(gateway.parts.edge, "nonce", lambda _: 1 << 20)
    state(still)
    with pytest.raises(FatalError, match="not ours"):
        gateway._submitter.step()


def test_a_nonce_is_not_spent_because_a_node_says_so_once(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway
    Node(gateway, monkeypatch, [Refusal(RefusalKind.NONCE_TOO_LOW, 0, "nonce too low"), None])
    digest = state(still)
    with pytest.raises(UnavailableError, match="counts fewer"):
        gateway._submitter.step()
    settle(gateway)
    assert gateway.statements.outcome(digest).in_force is InForce.YES


def test_our_own_hash_behind_a_low_nonce_is_sent(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway
    Node(gateway, monkeypatch, ["lost", Refusal(RefusalKind.NONCE_TOO_LOW, 0, "nonce too low")])
    digest = state(still)
    with pytest.raises(UnavailableError):
        gateway._submitter.step()
    settle(gateway)
    assert gateway.statements.outcome(digest).in_force is InForce.YES


def test_a_reverted_transaction_tells_why(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway
    digest = state(still)
    other = contradict(still, digest)
    monkeypatch.setattr("ledger.exchange.submitter.simulate_each", lambda _, calls: [True] * len(calls))
    gateway._submitter._enqueue_new()
    gateway._submitter._send()
    monkeypatch.undo()
    settle(gateway)
    by_force = {gateway.statements.outcome(each).in_force: each for each in (digest, other)}
    refusal = gateway.statements.outcome(by_force[InForce.REFUSED]).refusal
    assert refusal is not None
    assert refusal.code == "dataset-registry-version-taken"


def test_a_repeat_by_somebody_else_counts_as_done(still: Consortium) -> None:
    gateway = still.gateway
    revocation = AccessRevocationIntent(grant=Bytes32(bytes([9]) * 32))
    outcome = gateway.statements.sign_and_submit(still.asker("utility"), revocation)
    settle(gateway)
    assert gateway.statements.outcome(outcome.digest).in_force is InForce.YES
    assert gateway.parts.store.outbox.depth() == 0


def test_the_index_goes_back_with_the_chain(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway
    digest = state(still)
    settle(gateway)
    projections, edge = gateway.parts.store.projections, gateway.parts.edge
    cursor = projections.cursor()
    assert cursor is not None
    rebuilt = gateway.statements.outcome(digest)
    real = edge.header
    changed = edge.head().number

    def other_header(number: int) -> Any:
        header = real(number)
        return replace(header, hash=Bytes32(bytes(32))) if header and number == changed else header

    monkeypatch.setattr(edge, "header", other_header)
    with pytest.raises(FatalError):
        gateway._indexer.step()  # the block was final
    monkeypatch.undo()
    projections.reset()
    gateway._indexer.catch_up()
    assert gateway.statements.outcome(digest) == rebuilt


def test_an_entry_without_its_index_is_joined_after_a_crash(still: Consortium) -> None:
    gateway, parts = still.gateway, still.gateway.parts
    prepared = gateway.statements.prepare(still.asker("utility"), registration("crash", {"a": b"1"}))
    lost = gateway.statements.prepare(still.asker("utility"), registration("lost", {"a": b"1"}))
    rows = [_new(still, each.statement, each.digest) for each in (prepared, lost)]
    parts.store.statements.stage(rows)
    entry = parts.sequencer.append([_entry(rows[0])])
    recovered = LogWriter(parts)
    recovered.recover()
    found = parts.store.statements.find(prepared.digest)
    assert found is not None
    assert found.log_index == entry.first_index
    assert parts.store.statements.find(lost.digest) is None


def _new(still: Consortium, statement: Statement, digest: Bytes32) -> NewStatement:
    parts = still.gateway.parts
    key = parts.directory.signing_keys_of(statement.participant)[0]
    return NewStatement(digest, statement, bytes(65), key, parts.now(), executable=True)


def _entry(row: NewStatement) -> bytes:
    from ledger.statements import Entry

    return Entry.of(row.digest, row.statement.participant, row.signature).to_bytes()


def test_too_much_in_flight_is_told_when_to_come_back(still: Consortium) -> None:
    gateway = still.gateway
    gateway._writing.stop()
    statement = gateway.statements.prepare(still.asker("utility"), registration("busy", {"a": b"1"})).statement
    row = _new(still, statement, Bytes32(bytes(32)))
    errors: list[BaseException] = []

    def append() -> None:
        try:
            gateway._writer.append(row)
        except UnavailableError as error:
            errors.append(error)

    threads = [threading.Thread(target=append) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: gateway._writer.depth == 2)
    with pytest.raises(UnavailableError) as busy:
        gateway._writer.append(row)
    assert busy.value.retry_after_s
    gateway._writer.fail_waiting()
    for thread in threads:
        thread.join()
    assert len(errors) == 2


def test_a_full_disk_fails_the_batch_and_nothing_else(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = still.gateway

    def full(_entries: object) -> None:
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(gateway.parts.sequencer, "append", full)
    with pytest.raises(UnavailableError):
        state(still)
    monkeypatch.undo()
    digest = state(still)
    settle(gateway)
    assert gateway.statements.outcome(digest).in_force is InForce.YES


def test_an_old_copy_of_the_log_refuses_to_start(still: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = still.gateway.parts
    last = parts.store.chain.last_checkpoint(parts.log)
    assert last is not None
    monkeypatch.setattr(parts.store.chain, "last_checkpoint", lambda _log: replace(last, size=last.size + 5))
    with pytest.raises(FatalError):
        still.gateway._publisher.check_log()


def test_a_worker_retries_stops_and_says_why() -> None:
    steps: list[int] = []

    def step() -> bool:
        steps.append(1)
        if len(steps) == 1:
            raise UnavailableError("away", retry_after_s=0.01)
        if len(steps) == 2:
            raise RefusedError("no", code="no")
        if len(steps) == 5:
            raise FatalError("a fork")
        return False

    worker = Worker("test", step, poll_s=0.01)
    assert worker.failure == "it does not run"
    worker.start()
    eventually(lambda: len(steps) >= 5)
    worker._thread.join()
    assert worker.failure == "a fork"
    worker.stop()

    def ended() -> bool:
        raise SystemExit

    other = Worker("other", ended, poll_s=0.01)
    other.start()
    other._thread.join()
    assert other.failure == "it broke: SystemExit"


def test_a_worker_says_when_a_step_does_not_end() -> None:
    begun, over = threading.Event(), threading.Event()

    def hang() -> bool:
        begun.set()
        over.wait(90)
        return False

    worker = Worker("hanging", hang, poll_s=0.01, longest_step_s=0.01)
    worker.start()
    assert begun.wait(90)
    eventually(lambda: worker.failure is not None)
    assert "does not come to an end" in str(worker.failure)
    over.set()
    eventually(lambda: worker.failure is None)
    worker.stop()
    assert worker.failure is None


def test_a_worker_goes_on_after_what_nobody_thought_of(caplog: pytest.LogCaptureFixture) -> None:
    steps: list[int] = []
    told: list[str | None] = []

    def step() -> bool:
        steps.append(1)
        told.append(worker.failure)
        if len(steps) < 3:
            raise KeyError("odd")
        return False

    worker = Worker("odd", step, poll_s=0.01)
    worker.start()
    eventually(lambda: len(steps) >= 4)
    worker.stop()
    assert worker.failure is None
    told_of = "it broke (KeyError), and tries again: the gateway's log tells where"
    assert told[:4] == [None, told_of, told_of, None]
    assert [each.message for each in caplog.records if each.exc_info] == ["worker odd broke, and tries again"]


@pytest.mark.parametrize(
    ("failure", "reason"), [(FatalError("the tree went back"), "the tree went back"), (KeyError("x"), "broke")]
)
def test_a_log_that_stopped_refuses_at_once(
    still: Consortium, monkeypatch: pytest.MonkeyPatch, failure: Exception, reason: str
) -> None:
    gateway = still.gateway

    def fail(_entries: Sequence[bytes]) -> Any:
        raise failure

    monkeypatch.setattr(gateway.parts.sequencer, "append", fail)
    started = time.monotonic()
    for name in ("first", "second"):
        with pytest.raises(FatalError, match=reason):
            gateway.statements.sign_and_submit(still.asker("utility"), registration(name, {"a": b"1"}))
    assert time.monotonic() - started < 20
    assert gateway._writing.failure is not None


def test_a_log_that_stops_tells_who_waits(still: Consortium) -> None:
    gateway = still.gateway
    gateway._writing.stop()
    statement = gateway.statements.prepare(still.asker("utility"), registration("waits", {"a": b"1"})).statement
    row = _new(still, statement, Bytes32(bytes(32)))
    told: list[Exception] = []

    def wait() -> None:
        try:
            gateway._writer.append(row)
        except FatalError as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: gateway._writer.depth > 0)
    gateway._writer._stop("the tree went back")
    waiting.join(10)
    assert [str(error) for error in told] == ["the tree went back"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the publisher takes for the time since the machine started."""
    clock = SimpleNamespace(now_s=1000.0)
    monkeypatch.setattr("ledger.exchange.publisher.time", SimpleNamespace(monotonic=lambda: clock.now_s))
    return clock


def test_many_entries_are_published_at_once_and_then_no_more_often_than_is_set(
    still: Consortium, clock: SimpleNamespace
) -> None:
    gateway, parts = still.gateway, still.gateway.parts
    settle(gateway)
    parts.settings = replace(parts.settings, publish_after_s=3600.0, publish_after_entries=2, publish_every_s=30.0)

    def state_and_publish(number: int) -> bool | float:
        state(still, number)
        due = gateway._publisher.step()
        while gateway._submitter.step() | gateway._indexer.step():
            pass
        return due

    assert 3500 < state_and_publish(1) <= 3600  # one entry waits for company
    assert state_and_publish(2) is True
    assert 3500 < state_and_publish(3) <= 3600
    clock.now_s += 10
    assert state_and_publish(4) == 20.0
    clock.now_s += 20
    assert state_and_publish(5) is True
    last = parts.store.chain.last_checkpoint(parts.log)
    assert last is not None
    assert last.size == parts.sequencer.checkpoint.size
    parts.settings = replace(parts.settings, publish_after_s=0.0)
    assert state_and_publish(6) is True  # what waits for its time alone does not wait for the spacing


def test_a_commit_whose_answer_was_lost_is_found_out_though_nothing_follows(
    still: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, sequencer = still.gateway.parts.store.checkpoints, still.gateway.parts.sequencer
    swap, before = checkpoints.compare_and_swap, sequencer.size
    asker, intent = still.asker("utility"), registration("lost-answer", {"a.csv": b"1"})
    with monkeypatch.context() as patch:

        def commit_and_say_nothing(*given: Any) -> bool:
            assert swap(*given)
            raise UnavailableError("the database does not answer", retry_after_s=1)

        patch.setattr(checkpoints, "compare_and_swap", commit_and_say_nothing)
        with pytest.raises(UnavailableError, match="does not answer"):
            still.gateway.statements.sign_and_submit(asker, intent)
    published = TileReader(still.gateway.parts.settings.home / "log")
    eventually(lambda: published.size > before)
    assert sequencer.size == published.size == before + 1
    row = still.gateway.parts.store.statements.list(limit=1).items[0]
    assert (row.type, row.log_index) == ("DatasetRegistration", before)


def test_an_awaiting_step_is_cut_short_for_good() -> None:
    begun, ended, answers = threading.Event(), threading.Event(), list[bool | float]()

    async def hang() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return True

    step = AwaitingStep(hang)
    runs = threading.Thread(target=lambda: answers.append(step()))
    runs.start()
    assert begun.wait(90)
    step.interrupt()
    runs.join(90)
    assert answers == [False]
    assert ended.is_set()
    begun.clear()
    assert step() is False  # and what follows does not even begin
    assert not begun.is_set()
