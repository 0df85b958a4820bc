"""A reorganisation that executes what two accounts sent the other way round: what depends on the other goes again."""

from __future__ import annotations

import pytest

from ledger.chain import SignedTransaction
from ledger.exchange import InForce
from ledger.store.rows import OutboxRow
from tests.support.bad_wire import SEND, cut
from tests.support.chain import await_receipt
from tests.support.edge_world import EdgeWorld

pytestmark = pytest.mark.usefixtures("resend_soon")


def test_the_derived_data_set_is_executed_before_its_parent(world: EdgeWorld) -> None:
    with world.gateway(finality_depth=8, relay_signers=2) as gateway:
        parent = world.signatory.register()
        digests = world.accept(gateway, [parent])
        world.await_included(gateway, digests)
        digests += world.accept(gateway, [world.signatory.register(parent=parent)])
        world.await_included(gateway, digests)
        rows = [row for each in digests if (row := gateway.parts.store.outbox.find(str(each))) is not None]
        parent_row, child_row = rows
        assert parent_row.relay != child_row.relay
        world.wire.break_with(cut, SEND)
        go_back_before(world, parent_row)
        with world.chain() as edge:
            in_flight = gateway.parts.store.outbox.in_flight(child_row.relay)
            lost = [row for row in in_flight if edge.nonce(row.relay) <= row.nonce <= child_row.nonce]
            again = [SignedTransaction(row.relay, row.nonce, row.raw, row.hash) for row in lost]
            assert set(edge.send(again)) == {None}
            world.anvil.mine()  # by itself it might wait for company
            assert not await_receipt(edge, child_row.hash).is_successful
        told = world.settle(gateway, digests, mines=True)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


def go_back_before(world: EdgeWorld, row: OutboxRow) -> None:
    """Have the node lose the row's block and all above."""
    assert row.block is not None
    while (depth := world.anvil.head() - row.block + 1) > 0:  # what was on the wire may still add a block
        world.anvil.ask("anvil_rollback", depth)
