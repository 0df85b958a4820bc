"""The submitter and the node at work at the same time: what is sent in parts, and what fails meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.chain import Call, Refusal, SignedTransaction
from ledger.errors import RefusedError, UnavailableError
from ledger.exchange import ExistingChain, Gateway, found
from ledger.exchange import submitter as submitter_module
from ledger.exchange.submittable import Submittable
from ledger.exchange.submitter import Submitter
from ledger.store.rows import OutboxRow, OutboxState
from ledger.types import Address
from tests.support.chain import running_anvil
from tests.support.edge_world import Signatory, settings_for
from tests.support.exchange import plan_of
from tests.support.waiting import eventually

PART = 22  # of the 64 that one account may have on their way


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Signatory]]:
    home = tmp_path_factory.mktemp("overlap") / "home"
    with running_anvil() as chain:
        made = found(home, replace(plan_of(), chain=ExistingChain(str(chain.rpc_url))))
        yield home, Signatory.of(made)


@pytest.fixture
def gateway(founded: tuple[Path, Signatory]) -> Iterator[Gateway]:
    opened = Gateway.open(settings_for(founded[0]))
    try:
        opened._indexer.catch_up()
        opened._writing.start()
        yield opened
    finally:
        opened._writing.stop()
        opened.close()


@pytest.fixture
def subjects(gateway: Gateway, founded: tuple[Path, Signatory]) -> list[str]:
    """Registrations that were accepted: more than one part of them."""
    return [str(gateway.take(founded[1].register()).digest) for _ in range(PART + 10)]


def rows_of(gateway: Gateway, subjects: Sequence[str]) -> list[OutboxRow]:
    found_rows = [gateway.parts.store.outbox.find(each) for each in subjects]
    return [row for row in found_rows if row is not None]


def states_of(gateway: Gateway, subjects: Sequence[str]) -> set[OutboxState]:
    return {row.state for row in rows_of(gateway, subjects)}


def settle(gateway: Gateway) -> None:
    while gateway._submitter.step() or gateway._indexer.step() or gateway.parts.store.outbox.depth():
        pass


def test_the_next_part_is_stored_while_one_is_sent(
    gateway: Gateway, subjects: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, send = gateway.parts.store.outbox, gateway.parts.edge.send
    sizes: list[int] = []

    def send_late(transactions: Sequence[SignedTransaction]) -> list[Refusal | None]:
        sizes.append(len(transactions))
        if len(sizes) == 1:
            eventually(lambda: outbox.depth() == len(subjects))
        return send(transactions)

    monkeypatch.setattr(gateway.parts.edge, "send", send_late)
    assert gateway._submitter.step()
    assert states_of(gateway, subjects[:PART]) == {OutboxState.SENT}
    assert states_of(gateway, subjects[PART:]) == {OutboxState.PENDING}
    settle(gateway)
    assert sizes == [PART, 10]
    rows = rows_of(gateway, subjects)
    assert [row.state for row in rows] == [OutboxState.DONE] * len(subjects)
    assert [row.nonce for row in rows] == list(range(rows[0].nonce, rows[0].nonce + len(rows)))


@pytest.mark.parametrize("is_answer_lost", [False, True])
def test_what_the_node_took_counts_though_the_rest_failed(
    gateway: Gateway, subjects: list[str], monkeypatch: pytest.MonkeyPatch, is_answer_lost: bool
) -> None:
    submitter, send = gateway._submitter, gateway.parts.edge.send
    assert submitter._enqueue_new()

    def fail() -> Any:
        raise UnavailableError("the database does not answer")

    def send_and_lose(transactions: Sequence[SignedTransaction]) -> list[Refusal | None]:
        answers = send(transactions)
        if is_answer_lost:
            raise UnavailableError("the response was lost")
        return answers

    with monkeypatch.context() as patch:
        patch.setattr(submitter, "_follow", fail)
        patch.setattr(gateway.parts.edge, "send", send_and_lose)
        with pytest.raises(UnavailableError, match="lost" if is_answer_lost else "database"):
            submitter._send()
    assert states_of(gateway, subjects) == {OutboxState.PENDING if is_answer_lost else OutboxState.SENT}
    settle(gateway)
    assert [row.state for row in rows_of(gateway, subjects)] == [OutboxState.DONE] * len(subjects)
    assert {row.attempts for row in rows_of(gateway, subjects)} == {1}


def test_what_is_no_longer_to_be_sent_is_followed(gateway: Gateway, subjects: list[str]) -> None:
    other = Submitter(gateway.parts, lambda: None)
    assert other._enqueue_new()
    while gateway._submitter.step() or gateway.parts.store.outbox.depth():  # it brings all to their end
        pass
    other._looked_at_all_s = 1e12
    assert other._is_prepared()
    assert other.step()
    assert not other._not_sent
    assert states_of(gateway, subjects) == {OutboxState.DONE}


def test_what_waits_is_read_many_at_a_time_unless_one_has_to_wait() -> None:
    asked: list[int] = []

    def list_submittable(limit: int) -> tuple[int, ...]:
        asked.append(limit)
        return tuple(range(10))

    store: Any = SimpleNamespace(statements=SimpleNamespace(list_submittable=list_submittable))
    waiting: Any = Submittable(store)
    assert waiting.take(0) == ()
    waiting.clear(0)
    assert (waiting.take(4), asked) == ((0, 1, 2, 3), [512])
    waiting.clear(4)
    assert (waiting.take(4), asked) == ((4, 5, 6, 7), [512])
    waiting.clear(3)
    assert (waiting.take(600), asked) == (tuple(range(10)), [512, 600])
    waiting.clear(10)
    assert (waiting.take(4), waiting.take(4), asked) == ((0, 1, 2, 3), (0, 1, 2, 3), [512, 600, 512, 512])


def test_what_was_refused_before_a_failure_is_not_looked_at_again(
    gateway: Gateway, subjects: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitter, simulated = gateway._submitter, gateway.parts.edge.simulate_each
    refusal = RefusedError("no", code="made-up")

    def refuse_first(calls: Sequence[Call], sender: Address) -> list[Any]:
        return [refusal, *simulated(calls, sender)[1:]]

    def fail(*_: object) -> Any:
        raise UnavailableError("the node does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(gateway.parts.edge, "simulate_each", refuse_first)
        patch.setattr(submitter, "_store_signed", fail)
        with pytest.raises(UnavailableError):
            submitter._enqueue_new()
    settle(gateway)
    assert gateway.parts.store.outbox.find(subjects[0]) is None
    assert states_of(gateway, subjects[1:]) == {OutboxState.DONE}


def test_what_is_being_sent_again_gets_no_outcome_meanwhile(
    gateway: Gateway, subjects: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitter = gateway._submitter
    monkeypatch.setattr(submitter_module, "_RESEND_AFTER", timedelta(0))
    assert submitter._enqueue_new()
    assert submitter._send()
    followed = submitter._follow
    seen: list[set[OutboxState]] = []

    def follow() -> tuple[bool, bool]:
        submitter._looked_at = None
        found = followed()
        seen.append(states_of(gateway, subjects[:PART]))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(submitter, "_follow", follow)
        assert submitter._send()
    assert seen == [{OutboxState.SENT}], "though the node has executed them"
    settle(gateway)
    assert states_of(gateway, subjects) == {OutboxState.DONE}
