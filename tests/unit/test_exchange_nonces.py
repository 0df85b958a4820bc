"""Nonces that somebody else spent or that nothing has: put right once, and only by a node that is current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain import Refusal, RefusalKind
from ledger.errors import UnavailableError
from ledger.exchange import Gateway
from ledger.exchange.nonces import MOST_AHEAD, Nonces
from ledger.store.rows import OutboxRow, OutboxState, SignedTransaction
from tests.support.edge_world import settings_for
from tests.support.exchange import found_in


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """One whose workers do not run."""
    found_in(tmp_path / "home")
    opened = Gateway.open(settings_for(tmp_path / "home"))
    opened._indexer.catch_up()
    yield opened
    opened.parts.close()


def enqueue(gateway: Gateway, subject: str, *, skip: int = 0) -> OutboxRow:
    """A transaction in the outbox, ``skip`` nonces further than the chain's next."""
    parts = gateway.parts
    relay = parts.relay.address

    def sign(nonce: int) -> SignedTransaction:
        signed = parts.edge._sign(parts.relay, relay, subject.encode(), nonce, 50_000)
        return SignedTransaction(signed.raw, signed.hash)

    (row,) = parts.store.outbox.enqueue(relay, parts.edge.nonce(relay) + skip, [(subject, sign)], parts.now())
    return row


def spend(gateway: Gateway, nonce: int) -> None:
    """Somebody else sends with our key."""
    parts = gateway.parts
    foreign = parts.edge._sign(parts.relay, parts.relay.address, b"foreign", nonce, 50_000)
    assert parts.edge.send([foreign]) == [None]
    gateway._indexer.catch_up()


def found_again(gateway: Gateway, subject: str) -> OutboxRow:
    row = gateway.parts.store.outbox.find(subject)
    assert row is not None
    return row


def test_what_lost_its_nonce_gets_the_next_and_does_the_same(gateway: Gateway) -> None:
    first, second = enqueue(gateway, "lift:a:0"), enqueue(gateway, "lift:b:0")
    spend(gateway, first.nonce)
    gateway._submitter.step()  # the first after a start
    renewed = found_again(gateway, "lift:a:0")
    assert (renewed.nonce, renewed.state is OutboxState.PENDING) == (second.nonce + 1, False)
    gateway._submitter.step()
    assert {found_again(gateway, each).state for each in ("lift:a:0", "lift:b:0")} == {OutboxState.DONE}


def test_a_transaction_without_effect_that_lost_its_nonce_is_settled(gateway: Gateway) -> None:
    parts, row = gateway.parts, enqueue(gateway, "lift:a:0")
    noop = parts.edge.sign_noop(parts.relay, row.nonce)
    parts.store.outbox.refuse_and_fill(row.subject, {"code": "no"}, SignedTransaction(noop.raw, noop.hash), parts.now())
    spend(gateway, row.nonce)
    Nonces(parts).renew(parts.relay)
    assert found_again(gateway, row.subject).state is OutboxState.FAILED


def test_a_gap_is_filled_once_and_nothing_else_is(gateway: Gateway) -> None:
    parts, row = gateway.parts, enqueue(gateway, "lift:a:0", skip=2)
    nonces = Nonces(parts)
    nonces.fill_gap(parts.relay)
    nonces.fill_gap(parts.relay)
    rows = parts.store.outbox.in_flight(parts.relay.address)
    assert [each.nonce for each in rows] == [row.nonce - 2, row.nonce - 1, row.nonce]
    assert [each.noop for each in rows] == [True, True, False]
    assert not parts.store.outbox.fill(
        parts.relay.address, row.nonce, SignedTransaction(row.raw, row.hash), parts.now()
    )


def count_as(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """The node is one that may err, and counts so many of our transactions."""
    edge = gateway.parts.edge
    monkeypatch.setattr(edge, "rpc", None)
    monkeypatch.setattr(edge, "nonce", lambda _account, **_: count)


def test_a_count_that_is_too_high_once_leaves_no_gap(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    row, relay = enqueue(gateway, "lift:a:0"), gateway.parts.relay.address
    count_as(gateway, monkeypatch, row.nonce + 1)
    nonces = gateway._submitter._nonces
    with pytest.raises(UnavailableError, match="asked again"):
        nonces.confirm(relay, 10**7)
    assert nonces.next_on_chain(relay) == row.nonce + 1
    count_as(gateway, monkeypatch, row.nonce)
    with pytest.raises(UnavailableError, match="asked again"):
        gateway._submitter._sign_ahead(gateway.parts.relay, [], 10**7)


def test_a_count_that_is_repeated_is_believed_and_a_far_one_after_a_while(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, relay = enqueue(gateway, "lift:a:0"), gateway.parts.relay.address
    nonces = gateway._submitter._nonces
    count_as(gateway, monkeypatch, row.nonce + MOST_AHEAD)
    assert nonces.next_on_chain(relay) == row.nonce + MOST_AHEAD
    count_as(gateway, monkeypatch, 10**7)
    for _ in range(4):
        with pytest.raises(UnavailableError, match="Compare the node with others"):
            nonces.next_on_chain(relay)
    assert nonces.next_on_chain(relay) == 10**7
    monkeypatch.setattr(nonces, "is_node_current", lambda: False)
    with pytest.raises(UnavailableError, match="indexed"):
        nonces.next_on_chain(relay)


def test_a_gap_is_filled_a_few_nonces_at_a_time(gateway: Gateway) -> None:
    parts, row = gateway.parts, enqueue(gateway, "lift:a:0", skip=40)
    Nonces(parts).fill_gap(parts.relay)
    rows = parts.store.outbox.in_flight()
    assert [each.nonce for each in rows] == [*range(row.nonce - 40, row.nonce - 24), row.nonce]


def test_what_waits_behind_a_gap_that_is_too_wide_goes_by_the_next_nonces(gateway: Gateway) -> None:
    parts, far = gateway.parts, enqueue(gateway, "lift:a:0", skip=10**7)
    enqueue(gateway, "lift:b:0")
    Nonces(parts).fill_gap(parts.relay)
    first = far.nonce - 10**7
    assert [each.nonce for each in parts.store.outbox.in_flight()] == [first, first + 1]
    gateway._submitter.step()
    gateway._submitter.step()
    assert {found_again(gateway, each).state for each in ("lift:a:0", "lift:b:0")} == {OutboxState.DONE}
    assert [each.hash for each in parts.store.outbox.formers_at(far.relay, far.nonce)] == [far.hash]


def test_a_node_that_refuses_gaps_has_them_filled(gateway: Gateway) -> None:
    row = enqueue(gateway, "lift:a:0", skip=1)
    with pytest.raises(UnavailableError):
        gateway._submitter._answers.judge([(row, Refusal(RefusalKind.NONCE_GAP, -32000, "nonce too high"))])
    assert len(gateway.parts.store.outbox.in_flight()) == 2


def test_a_node_that_is_behind_decides_nothing(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = gateway.parts
    lost, waiting = enqueue(gateway, "lift:a:0"), enqueue(gateway, "lift:b:0", skip=3)
    spend(gateway, lost.nonce)
    monkeypatch.setattr(parts.edge, "header", lambda _number: None)
    nonces = Nonces(parts)
    nonces.renew(parts.relay)
    nonces.fill_gap(parts.relay)
    assert parts.store.outbox.in_flight() == (lost, waiting)
    with pytest.raises(UnavailableError):
        gateway._submitter._answers.judge([(lost, Refusal(RefusalKind.NONCE_TOO_LOW, -32000, "nonce too low"))])


def test_before_anything_is_indexed_the_node_is_believed(gateway: Gateway) -> None:
    gateway.parts.store.projections.reset()
    assert Nonces(gateway.parts).is_node_current()
