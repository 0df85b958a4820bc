"""What a node answers to a transaction that it does not take, and what the statement's sender is told of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain import Refusal, RefusalKind, classify_refusal
from ledger.chain import SignedTransaction as SentTransaction
from ledger.errors import FatalError, UnavailableError
from ledger.exchange import Gateway
from ledger.store.rows import OutboxRow, OutboxState, SignedTransaction
from tests.support.edge_world import settings_for
from tests.support.exchange import found_in

TOO_LOW = Refusal(RefusalKind.NONCE_TOO_LOW, -32000, "nonce too low")
INVALID = Refusal(RefusalKind.INVALID, -32000, "intrinsic gas too low")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers") / "home"
    found_in(folder)
    return folder


@pytest.fixture
def gateway(home: Path, tmp_path: Path) -> Iterator[Gateway]:
    """One whose workers do not run."""
    shutil.copytree(home, tmp_path / "home")
    opened = Gateway.open(settings_for(tmp_path / "home"))
    opened._indexer.catch_up()
    yield opened
    opened.parts.close()


def enqueue(gateway: Gateway, subject: str) -> OutboxRow:
    parts = gateway.parts

    def sign(nonce: int) -> SignedTransaction:
        signed = parts.edge._sign(parts.relay, parts.relay.address, subject.encode(), nonce, 50_000)
        return SignedTransaction(signed.raw, signed.hash)

    address = parts.relay.address
    (row,) = parts.store.outbox.enqueue(address, parts.edge.nonce(address), [(subject, sign)], parts.now())
    return row


def found_again(gateway: Gateway, subject: str) -> OutboxRow:
    row = gateway.parts.store.outbox.find(subject)
    assert row is not None
    return row


def test_a_refused_transaction_without_effect_is_sent_again_after_a_pause(gateway: Gateway) -> None:
    answers = gateway._submitter._answers
    answers.judge([(enqueue(gateway, "lift:a:0"), INVALID)])
    filled = found_again(gateway, "lift:a:0")
    assert filled.noop
    with pytest.raises(UnavailableError, match="intrinsic gas") as caught:
        answers.judge([(filled, INVALID)])
    assert caught.value.retry_after_s == 1.0
    assert found_again(gateway, "lift:a:0") == filled


def test_an_answer_about_a_request_spends_nothing(gateway: Gateway) -> None:
    row = enqueue(gateway, "lift:a:0")
    with pytest.raises(UnavailableError, match="Invalid params"):
        gateway._submitter._answers.judge([(row, classify_refusal(-32602, "Invalid params"))])
    assert found_again(gateway, "lift:a:0") == row


def test_one_that_has_to_wait_holds_up_no_judgement(gateway: Gateway) -> None:
    first, second = enqueue(gateway, "lift:a:0"), enqueue(gateway, "lift:b:0")
    with pytest.raises(UnavailableError, match="pool is full"):
        gateway._submitter._answers.judge([(first, classify_refusal(-32000, "txpool is full")), (second, INVALID)])
    assert found_again(gateway, "lift:b:0").noop


def bring(gateway: Gateway, row: OutboxRow) -> None:
    """The node executes it: embedded, at once and for good."""
    assert gateway.parts.edge.send([SentTransaction(row.relay, row.nonce, row.raw, row.hash)]) == [None]
    gateway._indexer.catch_up()


def test_a_transaction_that_was_given_up_and_comes_all_the_same_has_its_effect(gateway: Gateway) -> None:
    row = enqueue(gateway, "lift:a:0")
    gateway._submitter._answers.judge([(row, INVALID)])
    bring(gateway, row)  # another node behind the same name had it
    gateway._submitter._not_sent.add(row.subject)
    assert gateway._submitter._follow() == (True, True)
    assert gateway._submitter._follow() == (True, True)
    done = found_again(gateway, row.subject)
    assert (done.state, done.hash, done.outcome) == (OutboxState.DONE, row.hash, None)


def test_a_nonce_that_a_given_up_transaction_spent_is_ours(gateway: Gateway) -> None:
    row, submitter = enqueue(gateway, "lift:a:0"), gateway._submitter
    submitter._answers.judge([(row, INVALID)])
    bring(gateway, row)
    filled = found_again(gateway, row.subject)
    submitter._note_answers([filled], [TOO_LOW])
    assert found_again(gateway, row.subject).hash == row.hash
    submitter._follow()
    assert found_again(gateway, row.subject).state is OutboxState.DONE


def test_a_nonce_that_the_former_transaction_of_another_subject_spent_is_ours(gateway: Gateway) -> None:
    parts, submitter = gateway.parts, gateway._submitter
    first = enqueue(gateway, "lift:a:0")
    submitter._nonces.renew_row(parts.relay, first, "it was thought lost")
    noop = parts.edge.sign_noop(parts.relay, first.nonce)
    assert parts.store.outbox.fill(first.relay, first.nonce, SignedTransaction(noop.raw, noop.hash), parts.now())
    bring(gateway, first)
    (gap,) = [row for row in parts.store.outbox.in_flight() if row.nonce == first.nonce]
    submitter._note_answers([gap], [TOO_LOW])
    assert submitter.step()


def test_a_nonce_that_something_unknown_has_in_a_pool_is_waited_for(gateway: Gateway) -> None:
    parts, answers, row = gateway.parts, gateway._submitter._answers, enqueue(gateway, "lift:a:0")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="gets another one once it is in a block"):
            answers.judge([(row, classify_refusal(-32000, "replacement transaction underpriced"))])
    with pytest.raises(UnavailableError, match="counts fewer"):
        answers.judge([(row, TOO_LOW)])
    assert found_again(gateway, row.subject) == row
    foreign = parts.edge._sign(
        parts.relay, row.relay, b"of a time that a restored copy knows nothing of", row.nonce, 50_000
    )
    assert parts.edge.send([foreign]) == [None]
    gateway._indexer.catch_up()
    answers.judge([(row, TOO_LOW)])
    renewed = found_again(gateway, row.subject)
    assert (renewed.nonce, renewed.state) == (row.nonce + 1, OutboxState.PENDING)


def test_a_nonce_that_somebody_else_spent_stops_it(gateway: Gateway) -> None:
    parts, row = gateway.parts, enqueue(gateway, "lift:a:0")
    assert parts.edge.send([parts.edge._sign(parts.relay, row.relay, b"foreign", row.nonce, 50_000)]) == [None]
    gateway._indexer.catch_up()
    with pytest.raises(FatalError, match="not ours"):
        gateway._submitter._answers.judge([(row, TOO_LOW)])
