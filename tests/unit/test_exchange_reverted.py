"""What reverted because others moved goes again, as often as is sensible; what a contract refuses is refused."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import LocalSigner, SignedTransaction, Signer, encode_statement
from ledger.chain import SignedStatement as ExecutableStatement
from ledger.errors import UnavailableError
from ledger.exchange import Founded, Gateway
from ledger.exchange.effects import Effects
from ledger.exchange.reverted import MOST_RENEWALS
from ledger.exchange.submitter import Submitter
from ledger.statements import generate_private_key
from ledger.store.rows import InForce, NewStatement, OutboxRow, OutboxState, StatementRow
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address
from tests.support.edge_world import Signatory, settings_for
from tests.support.exchange import found_in


class World:
    """A gateway whose workers do not run, on the embedded chain: what is sent is executed at once and final."""

    def __init__(self, gateway: Gateway, signatory: Signatory) -> None:
        self.gateway = gateway
        self.signatory = signatory
        self._indices = itertools.count(1 << 30)

    def register(self, derived_from: ExecutableStatement | None = None) -> ExecutableStatement:
        """A registration that is accepted and has no transaction yet."""
        parent = None if derived_from is None else SignedStatement(derived_from.statement, b"", derived_from.signer)
        given = self.signatory.register(parent=parent)
        statement, digest = given.statement, self.signatory.digest(given.statement)
        signed = ExecutableStatement(statement, given.signer, given.signature)
        store, parts = self.gateway.parts.store, self.gateway.parts
        new = NewStatement(digest, statement, signed.signature, signed.signer, parts.now(), executable=True)
        with store.transaction():
            store.statements.stage([new])
            store.statements.accept_staged(parts.log, {digest: next(self._indices)}, 1 << 30)
        return signed

    def store(self, signed: ExecutableStatement, relay: Signer | None = None) -> None:
        """Give it a transaction whatever its simulation says, as if what it needs had been there for a moment."""
        call = encode_statement(self.gateway.parts.deployment.contracts, signed)
        self.gateway._submitter._store_signed([(relay or self.gateway.parts.relay, [(self.subject(signed), call)])])

    def send(self, *all_signed: ExecutableStatement) -> None:
        """Bring their transactions to the chain; nobody looks yet what became of them."""
        parts = self.gateway.parts
        for signed in all_signed:
            row = self.row(signed)
            assert parts.edge.send([SignedTransaction(row.relay, row.nonce, row.raw, row.hash)]) == [None]
            parts.store.outbox.mark_sent([row.subject], parts.now())
            self.gateway._submitter._not_sent.discard(row.subject)
        self.gateway._indexer.catch_up()

    def settle(self) -> None:
        while self.gateway._submitter.step() or self.gateway._indexer.step():
            pass

    def subject(self, signed: ExecutableStatement) -> str:
        return str(self.signatory.digest(signed.statement))

    def row(self, signed: ExecutableStatement) -> OutboxRow:
        row = self.gateway.parts.store.outbox.find(self.subject(signed))
        assert row is not None
        return row

    def statement(self, signed: ExecutableStatement) -> StatementRow:
        row = self.gateway.parts.store.statements.find(self.signatory.digest(signed.statement))
        assert row is not None
        return row


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Founded]:
    home = tmp_path_factory.mktemp("reverted") / "home"
    return home, found_in(home)


@pytest.fixture
def world(original: tuple[Path, Founded], tmp_path: Path) -> Iterator[World]:
    home, founded = original
    shutil.copytree(home, tmp_path / "home")
    gateway = Gateway.open(settings_for(tmp_path / "home"))
    gateway._indexer.catch_up()
    yield World(gateway, Signatory.of(founded))
    gateway.parts.close()


def test_what_reverted_before_its_parent_was_there_goes_again(world: World) -> None:
    parent = world.register()
    child = world.register(parent)
    for each in (child, parent):  # as a reorganisation may order them that went by two accounts
        world.store(each)
    first = world.row(child)
    world.send(child, parent)
    world.settle()
    again = world.row(child)
    assert (again.state, again.outcome) == (OutboxState.DONE, None)
    assert (again.relay, again.created_at) == (first.relay, first.created_at)
    assert again.nonce > world.row(parent).nonce
    assert world.statement(child).in_force is InForce.YES


def test_what_reverted_waits_for_those_before_it(world: World) -> None:
    parent, submitter = world.register(), world.gateway._submitter
    child = world.register(parent)
    world.store(parent, LocalSigner(generate_private_key()))  # which nobody follows
    world.store(child)
    world.send(child)
    assert not submitter.step()
    submitter._looked_at = None
    assert not submitter.step()
    assert world.row(child).state is OutboxState.SENT
    assert world.statement(child).refusal is None
    world.send(parent)
    world.settle()
    assert {world.statement(each).in_force for each in (parent, child)} == {InForce.YES}


def test_what_reverts_with_nothing_before_it_is_refused(world: World) -> None:
    child, other = world.register(world.register()), world.register()
    world.store(child)
    world.store(other)
    world.send(child, other)
    world.gateway._submitter._follow()
    refusal = world.statement(child).refusal
    assert refusal is not None
    assert refusal["code"] == "dataset-registry-parent-unknown"
    assert (world.row(child).state, world.row(other).state) == (OutboxState.FAILED, OutboxState.DONE)


def make_final_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = world.gateway.parts.edge
    monkeypatch.setattr(edge, "settings", replace(edge.settings, finality_blocks=2))


def mine(world: World, count: int = 2) -> None:
    edge, somebody = world.gateway.parts.edge, LocalSigner(generate_private_key())
    for nonce in range(count):
        assert edge.send([edge.sign_noop(somebody, nonce)]) == [None]
    world.gateway._indexer.catch_up()


def test_what_reverted_is_judged_once_its_block_is_final(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    child, submitter = world.register(world.register()), world.gateway._submitter
    monkeypatch.setattr(submitter, "_enqueue_new", lambda: False)
    make_final_late(world, monkeypatch)
    world.store(child)
    world.send(child)
    asked: list[str] = []
    judge = submitter._reverted.judge

    def judge_and_note(row: OutboxRow, final: int) -> Any:
        asked.append(row.subject)
        return judge(row, final)

    monkeypatch.setattr(submitter._reverted, "judge", judge_and_note)
    submitter._follow()
    assert (world.row(child).state, asked) == (OutboxState.INCLUDED, [])
    mine(world)
    submitter._follow()
    assert (world.row(child).state, asked) == (OutboxState.INCLUDED, [world.subject(child)])
    mine(world)  # now the block is final that it is still refused by
    submitter._follow()
    assert world.row(child).state is OutboxState.FAILED


def test_a_refusal_stands_once_its_block_is_final(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make_final_late(world, monkeypatch)
    child, other, submitter = world.register(world.register()), world.register(), world.gateway._submitter
    refused = world.statement(child)
    monkeypatch.setattr(submitter._waiting, "take", lambda count: [refused, world.statement(other)][:count])
    assert submitter._enqueue_new()
    assert world.row(other).state is OutboxState.PENDING, "what does not depend on it goes"
    monkeypatch.setattr(submitter._waiting, "take", lambda count: [refused][:count])
    mine(world, 1)
    assert not submitter._enqueue_new()
    header = world.gateway.parts.edge.header
    mine(world, 1)
    with monkeypatch.context() as patch:
        patch.setattr(submitter._nonces, "check_node", lambda: None)
        patch.setattr(world.gateway.parts.edge, "header", lambda number: header(number - 1))
        assert not submitter._enqueue_new(), "that block went away"
    world.send(other)
    mine(world)
    submitter._follow()
    assert not submitter._enqueue_new()  # noted anew
    mine(world)
    assert world.statement(child).refusal is None
    assert submitter._enqueue_new()
    assert world.statement(child).in_force is InForce.REFUSED


def test_what_is_said_to_be_done_and_has_no_effect_is_judged_again(world: World) -> None:
    parts, submitter, signed = world.gateway.parts, world.gateway._submitter, world.register()
    cursor = parts.store.projections.cursor()
    assert cursor is not None
    world.store(signed)
    row = world.row(signed)
    parts.store.outbox.mark_done(row.subject, parts.now(), block=cursor.block)  # by another one's receipt
    effects = Effects(parts, submitter._relays)
    effects.expect([(row.subject, cursor.block + 1), ("lift:a:0", cursor.block)])
    assert not effects.check(), "that block is not indexed yet"
    assert Effects(parts, submitter._relays).check(), "also after a start"
    assert world.row(signed).state is OutboxState.PENDING
    world.settle()
    assert (world.row(signed).state, world.statement(signed).in_force) == (OutboxState.DONE, InForce.YES)
    assert not effects.check()


def test_nothing_is_refused_while_something_is_in_flight(world: World) -> None:
    parent, submitter = world.register(), world.gateway._submitter
    child = world.register(parent)
    world.store(parent)
    assert not submitter._enqueue_new()
    assert world.statement(child).refusal is None
    world.settle()
    assert {world.statement(each).in_force for each in (parent, child)} == {InForce.YES}


def test_the_shares_of_several_accounts_are_stored_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, accounts = world.gateway.parts, [LocalSigner(generate_private_key()) for _ in range(2)]
    call = encode_statement(parts.deployment.contracts, world.register())
    enqueue = parts.store.outbox.enqueue

    def fail_later(relay: Address, *args: Any) -> Any:
        if relay == accounts[1].address:
            raise UnavailableError("the database is gone")
        return enqueue(relay, *args)

    monkeypatch.setattr(parts.store.outbox, "enqueue", fail_later)
    with pytest.raises(UnavailableError):
        world.gateway._submitter._store_signed([(each, [(f"lift:{each.address}:0", call)]) for each in accounts])
    assert parts.store.outbox.depth() == 0


def test_what_somebody_else_relayed_after_it_reverted_is_in_force(world: World) -> None:
    parts, submitter, parent = world.gateway.parts, world.gateway._submitter, world.register()
    child = world.register(parent)
    world.store(child)
    world.send(child)
    somebody = LocalSigner(generate_private_key())
    for nonce, each in enumerate((parent, child)):
        call = encode_statement(parts.deployment.contracts, each)
        assert parts.edge.send([parts.edge.sign_transaction(somebody, call, nonce)]) == [None]
    assert submitter._follow() == (False, True)  # it is not indexed yet
    assert world.row(child).state is OutboxState.SENT
    world.gateway._indexer.catch_up()
    submitter._looked_at = None
    world.settle()
    assert world.row(child).state is OutboxState.DONE
    assert (world.statement(child).in_force, world.statement(child).refusal) == (InForce.YES, None)


def test_it_does_not_go_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    child, parts = world.register(world.register()), world.gateway.parts
    monkeypatch.setattr(parts.edge, "simulate_each", lambda calls, _sender: [bytes([1])] * len(calls))
    monkeypatch.setattr(Submitter, "_enqueue_new", lambda _self: False)
    world.store(child)
    nonces = []
    while world.row(child).state is not OutboxState.FAILED:
        nonces.append(world.row(child).nonce)
        world.send(child)
        Submitter(parts, lambda: None)._follow()  # what was counted is not one process's alone
    assert len(nonces) == len(set(nonces)) == MOST_RENEWALS + 1
    refusal = world.statement(child).refusal
    assert refusal is not None
    assert refusal["code"] == "transaction-reverted"


def test_a_node_that_is_behind_refuses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    child = world.register(world.register())
    world.store(child)
    world.send(child)
    monkeypatch.setattr(world.gateway._submitter._nonces, "is_node_current", lambda: False)
    with pytest.raises(UnavailableError):
        world.gateway._submitter._follow()
    assert world.row(child).state is OutboxState.SENT


def test_a_call_that_is_no_statement_is_its_askers_to_repeat(world: World) -> None:
    parts, submitter = world.gateway.parts, world.gateway._submitter
    call = encode_statement(parts.deployment.contracts, world.register(world.register()))
    row = submitter.enqueue("lift:x:0", call)
    assert row is not None
    parts.edge.send([SignedTransaction(row.relay, row.nonce, row.raw, row.hash)])
    submitter._not_sent.clear()
    submitter._follow()
    failed = parts.store.outbox.find("lift:x:0")
    assert failed is not None
    assert (failed.state, failed.outcome and failed.outcome["code"]) == (OutboxState.FAILED, "transaction-reverted")
