"""The outbox: nonces, states, outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.canonical import JsonValue
from ledger.errors import NotFoundError
from ledger.store.rows import InForce, OutboxRow, OutboxState, SignedTransaction
from ledger.types import Address, Bytes32
from tests.support.store_world import NOW, World, account, open_world, word

RELAY, OTHER = account("relay"), account("other relay")
LATER = NOW + timedelta(seconds=30)
REFUSAL: dict[str, JsonValue] = {"code": "no", "detail": "No.", "facts": {}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def sign(nonce: int) -> SignedTransaction:
    return SignedTransaction(f"raw {nonce}".encode(), word(f"hash {nonce}"))


def enqueue(world: World, *subjects: str, chain_nonce: int = 0, relay: Address = RELAY) -> tuple[OutboxRow, ...]:
    return world.store.outbox.enqueue(relay, chain_nonce, [(subject, sign) for subject in subjects], NOW)


def in_force(world: World, digest: Bytes32) -> InForce:
    statement = world.store.statements.find(digest)
    assert statement is not None
    return statement.in_force


def state(world: World, subject: str) -> OutboxState:
    row = world.store.outbox.find(subject)
    assert row is not None
    return row.state


def test_nonces_are_given_in_order_one_a_subject(world: World) -> None:
    assert [row.nonce for row in enqueue(world, "a", "b", "b", chain_nonce=5)] == [5, 6]
    assert enqueue(world, "a") == ()
    assert [row.nonce for row in enqueue(world, "a", "c")] == [7]
    assert [row.nonce for row in enqueue(world, "d", chain_nonce=20)] == [20]
    assert [row.nonce for row in enqueue(world, "e", relay=OTHER)] == [0]
    assert world.store.outbox.next_nonce(RELAY, 0) == 21
    assert world.store.outbox.next_nonce(RELAY, 30) == 30
    assert world.store.outbox.next_nonce(account("fresh"), 3) == 3


def test_depth_is_told_by_the_beginning_of_subjects(world: World) -> None:
    enqueue(world, "b_1", "b_2", "bx3", "c")
    assert [world.store.outbox.depth(prefix) for prefix in ("", "b", "b_", "c", "d")] == [4, 3, 2, 1, 0]


def test_the_oldest_without_an_outcome_is_known(world: World) -> None:
    outbox = world.store.outbox
    assert outbox.oldest_at() is None
    enqueue(world, "a")
    outbox.enqueue(OTHER, 0, [("b", sign)], LATER)
    outbox.mark_sent(["a"], LATER)
    assert outbox.oldest_at() == NOW
    outbox.mark_done("a", LATER, block=1)
    assert outbox.oldest_at() == LATER
    outbox.mark_done("b", LATER, block=2)
    assert outbox.oldest_at() is None


def test_a_signer_that_fails_takes_no_nonce(world: World) -> None:
    def fail(_nonce: int) -> SignedTransaction:
        raise RuntimeError("the signer is gone")

    with pytest.raises(RuntimeError):
        world.store.outbox.enqueue(RELAY, 0, [("a", sign), ("b", fail)], NOW)
    assert world.store.outbox.depth() == 0
    assert [row.nonce for row in enqueue(world, "a")] == [0]


def test_a_transaction_goes_its_way(world: World) -> None:
    outbox = world.store.outbox
    (row,) = enqueue(world, "checkpoint:log:7")
    assert outbox.take(RELAY, limit=9, resend_before=NOW) == (row,)
    outbox.mark_sent([row.subject], NOW)
    assert outbox.take(RELAY, limit=9, resend_before=NOW) == ()
    (again,) = outbox.take(RELAY, limit=9, resend_before=LATER)
    assert (again.state, again.attempts, again.raw) == (OutboxState.SENT, 1, b"raw 0")
    outbox.mark_sent([row.subject], LATER)
    outbox.mark_included(row.subject, 4, LATER)
    assert outbox.take(RELAY, limit=9, resend_before=LATER + timedelta(days=1)) == ()
    assert [each.state for each in outbox.in_flight()] == [OutboxState.INCLUDED]
    outbox.mark_done(row.subject, LATER)
    done = outbox.find(row.subject)
    assert done is not None
    assert (done.state, done.attempts, done.block, done.updated_at) == (OutboxState.DONE, 2, 4, LATER)
    assert outbox.depth() == 0
    assert outbox.find_by_hash(word("hash 0")) == done
    assert outbox.find_by_hash(word("unknown")) is None


def test_an_outcome_is_for_ever(world: World) -> None:
    enqueue(world, "a", "b")
    outbox = world.store.outbox
    outbox.mark_done("a", NOW, block=3)
    outbox.mark_failed("b", REFUSAL, NOW)
    for subject, settled in (("a", OutboxState.DONE), ("b", OutboxState.FAILED)):
        outbox.mark_sent([subject], LATER)
        outbox.mark_included(subject, 9, LATER)
        outbox.put_back([subject], LATER)
        assert state(world, subject) is settled
    for subject in ("a", "b"):
        row = outbox.find(subject)
        assert row is not None
        assert row.updated_at == NOW


def test_what_was_lost_is_pending_again(world: World) -> None:
    enqueue(world, "a", "b", "c")
    outbox = world.store.outbox
    outbox.mark_sent(["a", "b"], NOW)
    outbox.mark_included("a", 4, NOW)
    outbox.put_back(["a", "b"], LATER)
    assert [(row.subject, row.block) for row in outbox.take(RELAY, limit=2, resend_before=NOW)] == [
        ("a", None),
        ("b", None),
    ]
    assert outbox.take(OTHER, limit=2, resend_before=NOW) == ()
    assert [row.subject for row in outbox.in_flight(RELAY)] == ["a", "b", "c"]
    assert outbox.in_flight(OTHER) == ()


def test_several_accounts_are_looked_at_together(world: World) -> None:
    enqueue(world, "a", "b")
    enqueue(world, "c", "d", relay=OTHER)
    outbox = world.store.outbox
    outbox.mark_sent(["a"], NOW)
    by_account = sorted([(RELAY, "b"), (OTHER, "c"), (OTHER, "d")], key=lambda each: (each[0], each[1]))
    assert [(row.relay, row.subject) for row in outbox.find_pending(["d", "c", "b", "a", "none"])] == by_account
    outbox.mark_done("b", NOW)
    assert {row.subject for row in outbox.oldest_in_flight([RELAY, OTHER], 9)} == {"a", "c", "d"}
    assert len(outbox.oldest_in_flight([RELAY, OTHER], 2)) == 2
    assert [row.subject for row in outbox.oldest_in_flight([OTHER], 1)] == ["c"]


def test_a_failure_is_the_statement_s_refusal_in_one_transaction(world: World) -> None:
    new = world.say("ParticipantRetirement", participant=word("a"))
    (row,) = enqueue(world, str(new.digest))
    assert world.store.statements.list_submittable() == ()

    def fail() -> None:
        with world.store.transaction():
            world.store.outbox.mark_failed(row.subject, REFUSAL, NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert state(world, row.subject) is OutboxState.PENDING
    world.store.outbox.mark_failed(row.subject, REFUSAL, NOW)
    statement = world.store.statements.find(new.digest)
    assert statement is not None
    assert (statement.in_force, statement.refusal) == (InForce.REFUSED, REFUSAL)
    assert state(world, row.subject) is OutboxState.FAILED


def test_a_certain_refusal_fills_its_nonce(world: World) -> None:
    new = world.say("ParticipantRetirement", participant=word("a"))
    subject = str(new.digest)
    enqueue(world, subject)
    outbox = world.store.outbox
    outbox.refuse_and_fill(subject, REFUSAL, SignedTransaction(b"noop", word("noop")), NOW)
    (row,) = outbox.take(RELAY, limit=1, resend_before=NOW)
    assert (row.raw, row.hash, row.noop, row.nonce, row.outcome) == (b"noop", word("noop"), True, 0, REFUSAL)
    assert in_force(world, new.digest) is InForce.PENDING, "the former transaction may be in a pool"
    outbox.mark_failed(subject, REFUSAL, NOW)
    assert (state(world, subject), in_force(world, new.digest)) == (OutboxState.FAILED, InForce.REFUSED)
    outbox.mark_done(subject, NOW, block=2)  # whoever says so
    settled = outbox.find(subject)
    assert settled is not None
    assert (settled.state, settled.outcome, settled.block) == (OutboxState.FAILED, REFUSAL, 2)


def test_a_former_transaction_is_taken_back_as_often_as_it_is_replaced(world: World) -> None:
    (row,) = enqueue(world, "a")
    outbox, noop = world.store.outbox, SignedTransaction(b"noop", word("noop"))
    for _ in range(2):
        outbox.refuse_and_fill("a", REFUSAL, noop, NOW)
        assert [each.hash for each in outbox.formers_in_flight()] == [row.hash]
        outbox.take_back("a", row.hash, LATER)
        assert [each.hash for each in outbox.formers_in_flight()] == [noop.hash]
        assert outbox.formers_at(RELAY, row.nonce) == outbox.formers_in_flight()
        (back,) = outbox.in_flight()
        assert (back.raw, back.hash, back.noop, back.nonce) == (row.raw, row.hash, False, row.nonce)
        assert (back.state, back.updated_at) == (OutboxState.SENT, LATER)
    outbox.mark_done("a", LATER, block=1)
    assert outbox.formers_in_flight() == ()
    assert state(world, "a") is OutboxState.DONE


def test_what_has_another_nonce_now_is_remembered_under_its_own(world: World) -> None:
    (row,) = enqueue(world, "a")
    outbox = world.store.outbox
    outbox.renew("a", 3, sign, NOW)
    assert [each.hash for each in outbox.formers_at(RELAY, row.nonce)] == [row.hash]
    assert (outbox.formers_at(RELAY, 3), outbox.formers_at(OTHER, 0), outbox.formers_in_flight()) == ((), (), ())


def test_what_was_done_by_mistake_is_pending_again(world: World) -> None:
    new = world.say("ParticipantRetirement", participant=word("a"))
    subject, outbox = str(new.digest), world.store.outbox
    enqueue(world, "a", subject)
    assert outbox.last_done(RELAY, 9) == ()
    for each in ("a", subject):
        outbox.mark_done(each, NOW, block=4)
    assert [row.subject for row in outbox.last_done(RELAY, 9)] == [subject]
    outbox.reopen([subject, "a"], LATER)
    assert {state(world, each) for each in ("a", subject)} == {OutboxState.PENDING}
    assert [row.block for row in outbox.in_flight()] == [None, None]


def test_what_is_not_there_is_not_found(world: World) -> None:
    outbox = world.store.outbox
    assert outbox.find("a") is None
    with pytest.raises(NotFoundError):
        outbox.mark_done("a", NOW)
    with pytest.raises(NotFoundError):
        outbox.mark_failed("a", REFUSAL, NOW)
    with pytest.raises(NotFoundError):
        outbox.refuse_and_fill("a", REFUSAL, sign(0), NOW)
    with pytest.raises(NotFoundError):
        outbox.take_back("a", word("a"), NOW)
