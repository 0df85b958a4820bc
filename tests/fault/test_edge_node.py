"""A node that loses answers, pools, blocks and time, and a key that somebody else uses: nothing is lost, nothing twice.

The node is a real one behind a wire that breaks as it is told. After each fault `tests.support.settled` compares what
the gateway says with what the chain holds; nobody helps in between.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ledger.chain.node import connect_http
from ledger.errors import ConflictError, UnavailableError
from ledger.exchange import Gateway, InForce
from ledger.exchange.keystore import KeyStore
from ledger.exchange.settings import Home
from ledger.store.rows import OutboxState
from tests.support.anvil import Anvil
from tests.support.bad_wire import (
    SEND,
    Fault,
    cut,
    lose_answer,
    pass_some,
    pretend_sent,
    refuse,
    send_twice,
    shift_nonce,
    wait,
)
from tests.support.edge_world import EdgeWorld, settings_for
from tests.support.exchange import PASSPHRASE
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("resend_soon")

BATCHED = 0.05  # what comes at once goes in one batch


def await_sent(gateway: Gateway, count: int) -> None:
    """Wait until so many are handed to the node."""
    outbox = gateway.parts.store.outbox
    eventually(lambda: sum(row.state is OutboxState.SENT for row in outbox.in_flight()) >= count)


FAULTS: dict[str, tuple[Fault, int]] = {
    "response lost": (lose_answer, 3),
    "sent twice": (send_twice, 1 << 30),
    "half a batch, then cut": (pass_some(2), 2),
    "cut": (cut, 3),
    "taken and forgotten": (pretend_sent({0}), 1),
    "all but the first taken and forgotten": (pretend_sent({1, 2}), 1),
    "pool full": (refuse(-32000, "txpool is full"), 2),
    "nonce too high": (refuse(-32000, "nonce too high"), 2),
    "an unknown refusal": (refuse(-32603, "something new"), 2),
    "the allow list is late": (refuse(-32007, "Sender account not authorized to send transactions"), 2),
    "wrong chain id": (refuse(-32000, "Wrong chainId"), 2),
    "slow": (wait(1.0), 2),
}
SLOW = ("sent twice", "cut", "all but the first taken and forgotten", "nonce too high", "wrong chain id", "slow")


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.slow] if each in SLOW else []) for each in FAULTS]
)
def test_sending_fails(world: EdgeWorld, name: str) -> None:
    fault, times = FAULTS[name]
    with world.gateway(batch_delay_s=BATCHED) as gateway:
        world.wire.break_with(fault, SEND, times=times)
        digests = world.register(gateway, 4)
        world.wire.await_hits(1)
        told = world.settle(gateway, digests, heal=False)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


def test_a_refusal_of_what_the_node_has_refuses_nothing(world: EdgeWorld) -> None:
    with world.gateway() as gateway:
        world.anvil.ask("evm_setAutomine", False)
        world.wire.break_with(lose_answer, SEND, times=1)
        digests = world.register(gateway, 1)
        world.wire.await_hits()
        world.wire.break_with(refuse(-32000, "intrinsic gas too low"), SEND, times=1)
        world.wire.await_hits()
        await_sent(gateway, 1)
        assert {gateway.statements.outcome(each).in_force for each in digests} == {InForce.PENDING}
        world.anvil.ask("evm_setAutomine", True)
        world.anvil.mine(1)
        told = world.settle(gateway, digests)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


def test_an_effect_outranks_a_refusal(world: EdgeWorld) -> None:
    with world.gateway() as gateway:
        signed = world.signatory.register()
        world.wire.break_with(refuse(-32000, "intrinsic gas too low"), SEND, times=1)
        (digest,) = world.accept(gateway, [signed])
        eventually(lambda: gateway.statements.outcome(digest).in_force is InForce.REFUSED)
        refusal = gateway.statements.outcome(digest).refusal
        assert refusal is not None
        assert (refusal.code, refusal.facts["relayable_until"]) == ("transaction-invalid", signed.statement.deadline)
        world.relay_elsewhere(signed)
        eventually(lambda: gateway.statements.outcome(digest).in_force is InForce.YES)
        assert gateway.statements.outcome(digest).refusal is None


def test_nothing_is_answered_in_time(world: EdgeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.chain.edge.connect_http", lambda url, _s, session: connect_http(url, 1.0, session))
    with world.gateway() as gateway:
        world.wire.break_with(wait(2.0), SEND, "eth_getTransactionReceipt", times=3)
        digests = world.register(gateway, 3)
        world.wire.await_hits(3)
        world.settle(gateway, digests)


def test_a_checkpoint_that_the_node_refuses_is_published_again(world: EdgeWorld) -> None:
    with world.gateway(publish_every_s=0.3, publish_after_s=0.5) as gateway:
        digests = world.register(gateway, 2)
        eventually(lambda: gateway.parts.store.outbox.depth() == 0)
        world.wire.break_with(refuse(-32000, "intrinsic gas too low"), SEND, times=1)
        world.wire.await_hits()
        world.settle(gateway, digests)


def test_the_node_starts_again_with_an_empty_pool(world: EdgeWorld) -> None:
    with world.gateway() as gateway:
        world.anvil.ask("evm_setAutomine", False)
        digests = world.register(gateway, 3)
        await_sent(gateway, 3)
        world.anvil.kill()
        world.anvil.start()  # it mines by itself again
        world.settle(gateway, digests)


@pytest.mark.slow
def test_the_pool_is_dropped_under_way(world: EdgeWorld) -> None:
    with world.gateway() as gateway:
        world.anvil.ask("evm_setAutomine", False)
        digests = world.register(gateway, 3)
        await_sent(gateway, 3)
        world.anvil.ask("anvil_dropAllTransactions")
        world.anvil.ask("evm_setAutomine", True)
        world.settle(gateway, digests)


def test_the_node_loses_fifty_blocks(world: EdgeWorld) -> None:
    with world.gateway(finality_depth=64) as gateway:
        digests = world.register(gateway, 3)
        world.await_included(gateway, digests)
        world.anvil.mine(50)
        digests += world.register(gateway, 2)
        world.await_included(gateway, digests)
        world.anvil.kill()
        world.anvil.start()
        told = world.settle(gateway, digests, mines=True)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


@pytest.mark.parametrize("depth", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_the_chain_is_reorganised(world: EdgeWorld, depth: int) -> None:
    world.anvil.mine(8)  # it reorganises what it mined since it started
    with world.gateway(finality_depth=8) as gateway:
        digests = world.register(gateway, 3)
        world.await_included(gateway, digests)
        world.anvil.ask("anvil_reorg", depth, [])
        told = world.settle(gateway, digests, mines=True)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


def test_a_reorganisation_lets_a_rival_in(world: EdgeWorld) -> None:
    with world.gateway(finality_depth=8) as gateway:
        first = world.signatory.register()
        (digest,) = world.accept(gateway, [first])
        world.await_included(gateway, [digest])
        row = gateway.parts.store.outbox.find(str(digest))
        assert row is not None
        assert row.block is not None
        world.wire.break_with(cut, SEND)
        while (depth := world.anvil.head() - row.block + 1) > 0:  # what was on the wire may still add a block
            world.anvil.ask("anvil_rollback", depth)
        world.relay_elsewhere(world.signatory.register(first))
        told = world.settle(gateway, [digest], mines=True)
    refusal = told[digest].refusal
    assert refusal is not None
    assert refusal.code == "dataset-registry-version-taken"


@pytest.mark.slow
def test_the_node_counts_nonces_wrongly_and_leaves_a_gap(world: EdgeWorld) -> None:
    with world.gateway() as gateway:
        world.wire.break_with(shift_nonce(2), "eth_getTransactionCount", times=2)
        digests = world.register(gateway, 3)
        told = world.settle(gateway, digests, heal=False)
        assert gateway.parts.store.outbox.find(f"gap:{gateway.parts.relay.address}:2") is not None
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_somebody_else_spends_our_nonces(world: EdgeWorld, count: int) -> None:
    relay = KeyStore.open(Home(world.home).keys_folder, PASSPHRASE).load_relay()
    with world.gateway() as gateway:
        world.wire.break_with(cut, SEND)
        digests = world.register(gateway, 3)
        eventually(lambda: len(gateway.parts.store.outbox.in_flight()) >= 3)
        with world.chain() as edge:
            for _ in range(count):
                world.send(edge, relay)
        world.wire.heal()
        eventually(lambda: "not ours" in (gateway.health().reasons.get("submitter") or ""))
    told = world.settle_anew(digests)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


def test_one_reverts_in_front_of_ninety(world: EdgeWorld) -> None:
    with world.gateway(batch_delay_s=BATCHED) as gateway:
        world.wire.break_with(cut, SEND)
        first = world.signatory.register()
        (digest,) = world.accept(gateway, [first])
        digests = [digest, *world.register(gateway, 90)]
        world.relay_elsewhere(world.signatory.register(first))
        told = world.settle(gateway, digests)
    refused = [each for each, outcome in told.items() if outcome.in_force is InForce.REFUSED]
    assert refused == [digest]
    refusal = told[digest].refusal
    assert refusal is not None
    assert refusal.code == "dataset-registry-version-taken"


@pytest.mark.slow
def test_another_chain_answers_for_a_while(world: EdgeWorld, tmp_path: Path) -> None:
    other = Anvil(tmp_path, chain_id=5)
    other.start()
    try:
        with world.gateway() as gateway:
            before = world.register(gateway, 2)
            world.settle(gateway, before)
            world.wire.break_with(cut, SEND)
            digests = world.register(gateway, 2)
            other.mine(world.anvil.head() + 3)
            facts = gateway.parts.store.projections.count_rows()
            world.wire.port = other.port
            world.wire.heal()
            eventually(lambda: "chain" in (gateway.health().reasons.get("indexer") or ""))
            digests += world.register(gateway, 1)
            assert gateway.parts.store.projections.count_rows() == facts
            world.wire.port = world.anvil.port
            told = world.settle(gateway, before + digests)
        assert {outcome.in_force for outcome in told.values()} == {InForce.YES}
        world.wire.port = other.port
        with pytest.raises(ConflictError) as wrong:
            Gateway.open(settings_for(world.home))
        assert wrong.value.code == "wrong-chain"
    finally:
        other.kill()


@pytest.mark.slow
def test_the_node_is_down_for_a_minute(world: EdgeWorld) -> None:
    down_s = 60.0
    with world.gateway() as gateway:
        digests = world.register(gateway, 2)
        world.wire.break_with(cut, SEND)
        digests += world.register(gateway, 2)
        world.anvil.stop()
        world.wire.heal()
        end = time.monotonic() + down_s
        with pytest.raises(UnavailableError) as told:
            world.register(gateway, 1)
        assert told.value.retry_after_s
        eventually(lambda: gateway.health().reasons.get("indexer") is not None)
        time.sleep(max(0.0, end - time.monotonic()))
        world.anvil.start()
        world.settle(gateway, digests)


@pytest.mark.slow
def test_a_node_that_is_behind_catches_up(world: EdgeWorld, tmp_path: Path) -> None:
    with world.gateway() as gateway:
        digests = world.register(gateway, 3)
        world.settle(gateway, digests)
        world.anvil.stop()
        world.anvil.keep(tmp_path / "ahead.json")
        world.go_back()
        eventually(lambda: "behind" in (gateway.health().reasons.get("indexer") or ""))
        world.anvil.kill()
        world.anvil.bring_back(tmp_path / "ahead.json")
        world.anvil.start()
        digests += world.register(gateway, 1)
        world.settle(gateway, digests)
