"""What a node answers to a transaction that it does not take, and what the statement's sender is told of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain import Refusal, RefusalKind, classify_refusal
from ledger.errors import UnavailableError
from ledger.exchange import Gateway
from ledger.store.rows import OutboxRow, SignedTransaction
from tests.support.edge_world import settings_for
from tests.support.exchange import found_in

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
