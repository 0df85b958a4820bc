"""A gateway killed by SIGKILL before and after every durable step between a statement and its outcome.

The node is a real one. After each death a fresh gateway brings every statement to its end without anybody's help, and
`tests.support.settled` compares log, outbox, index and chain. What was accepted is among them; what nobody answered is
sent again, and stands once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from ledger.exchange import InForce
from tests.support.bad_wire import SEND, cut, pass_some, refuse
from tests.support.dying import Dying, Trap, dying_gateways
from tests.support.edge_world import EdgeWorld

STATEMENTS: Final = 3
BATCHED: Final = 0.05  # what comes at once goes in one batch

APPEND: Final = "ledger.log.sequencer:Sequencer.append"
ACCEPT: Final = "ledger.store.statements:Statements.accept"
STORE_SIGNED: Final = "ledger.exchange.submitter:Submitter._store_signed"
SIGN: Final = "ledger.exchange.submitter:Submitter._sign"
NEW_ROW: Final = "ledger.store.outbox:_new_row"
OUTBOX: Final = "ledger.store.outbox:Outbox"
SEND_ALL: Final = "ledger.chain.edge:ChainEdge.send"
RECEIPTS: Final = "ledger.chain.edge:ChainEdge.receipts"
PROJECTIONS: Final = "ledger.store.projections.projections:Projections"
PUBLISH: Final = "ledger.exchange.submitter:Submitter.enqueue"
NO_ANSWER: Final = "ledger.chain.node:_raise_unavailable"
REFUSE: Final = "ledger.store.statements:Statements.refuse"

ON_THE_WAY: Final = [
    Trap(APPEND, "before"),
    Trap(ACCEPT, "before"),
    Trap(ACCEPT, "after"),
    Trap(APPEND, "after"),
    Trap(STORE_SIGNED, "before"),  # accepted, and nothing else
    Trap(SIGN, "after"),
    Trap(NEW_ROW, "before"),  # it has its nonce
    Trap(NEW_ROW, "after"),  # and is signed
    Trap(NEW_ROW, "after", 2),
    Trap(f"{OUTBOX}.enqueue", "after"),
    Trap(SEND_ALL, "before"),
    Trap(SEND_ALL, "after"),
    Trap(f"{OUTBOX}.mark_sent", "after"),
    Trap(RECEIPTS, "after"),
    Trap(f"{OUTBOX}.mark_all_done", "before"),
    Trap(f"{OUTBOX}.mark_all_done", "after"),
    Trap(f"{PROJECTIONS}.fold_many", "before"),
    Trap(f"{PROJECTIONS}.fold_many", "after"),
    Trap(PUBLISH, "before"),
    Trap(PUBLISH, "after"),
]


@pytest.fixture(scope="module")
def dying() -> Iterator[Dying]:
    with dying_gateways() as process:
        yield process


@pytest.mark.parametrize(
    "trap",
    [each if at % 4 == 0 else pytest.param(each, marks=pytest.mark.slow) for at, each in enumerate(ON_THE_WAY)],
    ids=str,
)
def test_killed_on_the_way(world: EdgeWorld, dying: Dying, trap: Trap) -> None:
    signed = [world.signatory.register() for _ in range(STATEMENTS)]
    accepted = dying.run(world.home, trap, signed, batch_delay_s=BATCHED)
    with world.gateway() as gateway:
        digests = world.accept(gateway, signed)
        assert set(accepted) <= set(digests)
        told = world.settle(gateway, digests)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


@pytest.mark.parametrize("count", [1, *(pytest.param(each, marks=pytest.mark.slow) for each in (0, STATEMENTS))])
def test_killed_in_the_middle_of_a_batch(world: EdgeWorld, dying: Dying, count: int) -> None:
    world.wire.break_with(pass_some(count), SEND)
    signed = [world.signatory.register() for _ in range(STATEMENTS)]
    accepted = dying.run(world.home, Trap(NO_ANSWER, "before"), signed, batch_delay_s=BATCHED)
    assert len(accepted) == STATEMENTS
    world.settle_anew(accepted)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_finality(world: EdgeWorld, dying: Dying, when: str) -> None:
    trap = Trap(f"{OUTBOX}.mark_included", when, 2)
    signed = [world.signatory.register() for _ in range(STATEMENTS)]
    accepted = dying.run(world.home, trap, signed, batch_delay_s=BATCHED, finality_depth=3)
    assert len(accepted) == STATEMENTS
    world.settle_anew(accepted, mines=True, finality_depth=3)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [f"{OUTBOX}.put_back", f"{PROJECTIONS}.rollback"])
def test_killed_while_it_follows_a_chain_that_went_back(world: EdgeWorld, dying: Dying, step: str, when: str) -> None:
    with world.gateway(finality_depth=9) as gateway:
        digests = world.register(gateway, STATEMENTS)
        world.await_included(gateway, digests)
    head = world.anvil.head()  # no block comes any more: until then the log's checkpoint may bring one
    world.anvil.ask("anvil_rollback", 2)
    world.anvil.mine()
    assert world.anvil.head() < head
    dying.run(world.home, Trap(step, when, early=True), [], finality_depth=9)
    world.settle_anew(digests, mines=True, finality_depth=9)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_a_refusal_of_the_node_is_stored(world: EdgeWorld, dying: Dying, when: str) -> None:
    world.wire.break_with(refuse(-32000, "intrinsic gas too low"), SEND, times=1)
    signed = [world.signatory.register() for _ in range(STATEMENTS)]
    trap = Trap(f"{OUTBOX}.refuse_and_fill", when)
    accepted = dying.run(world.home, trap, signed, batch_delay_s=BATCHED, publish_after_s=60.0)
    told = world.settle_anew(accepted)
    refused = [outcome for outcome in told.values() if outcome.in_force is InForce.REFUSED]
    assert len(refused) == (when == "after")
    assert all(outcome.refusal and outcome.refusal.code == "transaction-invalid" for outcome in refused)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [REFUSE, f"{OUTBOX}.mark_failed"])
def test_killed_while_a_refusal_of_the_contract_is_stored(world: EdgeWorld, dying: Dying, step: str, when: str) -> None:
    first = world.signatory.register()
    rival = world.signatory.register(first)
    # Held before its nonce is taken, simulating finds out; held when it is signed, its transaction reverts.
    world.wire.break_with(cut, SEND if "mark_failed" in step else "eth_getTransactionCount")

    def relay_rival(_count: int) -> None:
        world.wire.await_hits(2)
        world.relay_elsewhere(rival)
        world.wire.heal()

    (accepted,) = dying.run(world.home, Trap(step, when), [first], on_accepted=relay_rival)
    told = world.settle_anew([accepted])
    refusal = told[accepted].refusal
    assert refusal is not None
    assert refusal.code == "dataset-registry-version-taken"
