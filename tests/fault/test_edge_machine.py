"""The machine around a gateway fails: its disk is full, its database goes and comes back, its clock is put wrong.

The node is a real one; after each fault `tests.support.settled` compares what the gateway says with what it holds.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger.errors import RefusedError, UnavailableError
from ledger.exchange import ExistingChain, Gateway, InForce, found
from ledger.types import Bytes32
from tests.support.anvil import Anvil
from tests.support.bad_wire import SEND, cut
from tests.support.edge_world import EdgeWorld, Signatory, settings_for
from tests.support.exchange import plan_of
from tests.support.postgres import find_programs, running_postgres
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("resend_soon")

HOUR_S = 3600


@dataclass
class Clock:
    """The machine's clock, which can be put wrong."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """The present, as far as it knows."""
        return time.time() + self.ahead_s


def set_pages(gateway: Gateway, pages: int) -> None:
    """Let the database's disk have room for so many pages."""
    with gateway.parts.store._database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def fill(world: EdgeWorld, gateway: Gateway, digests: list[Bytes32]) -> UnavailableError:
    """Hand statements in until one is refused; what it is told."""
    while len(digests) < 200:
        try:
            digests += world.register(gateway, 1)
        except UnavailableError as error:
            return error
    raise AssertionError("the disk was never full")


def test_the_disk_is_full_and_has_room_again(world: EdgeWorld) -> None:
    with world.gateway() as gateway:
        world.wire.break_with(cut, SEND)
        digests = world.register(gateway, 3)
        set_pages(gateway, 1)  # no fewer than there are: it grows no more
        told_full = fill(world, gateway, digests)
        assert told_full.retry_after_s
        assert "disk is full" in str(told_full)
        world.wire.heal()
        eventually(lambda: any("disk" in reason for reason in gateway.health().reasons.values()))
        set_pages(gateway, 1 << 30)
        told = world.settle(gateway, digests)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


@pytest.mark.slow
@pytest.mark.skipif(find_programs() is None, reason="POSTGRESQL IS MISSING: make system installs it")
def test_the_database_goes_and_comes_back(world: EdgeWorld, tmp_path: Path) -> None:
    home, fresh = tmp_path / "home", Anvil(tmp_path)
    with running_postgres() as server, ExitStack() as stack:
        stack.callback(fresh.kill)
        fresh.start()
        world.wire.port = fresh.port
        url = f"postgresql+psycopg://postgres@/postgres?host={server.folder}"
        plan = replace(plan_of(), chain=ExistingChain(world.wire.url), database_url=url)
        founded = found(home, plan)
        other = replace(world, home=home, founded=founded, signatory=Signatory.of(founded))
        with other.gateway(database_url=url) as gateway:
            world.wire.break_with(cut, SEND)
            digests = other.register(gateway, 3)
            server.kill()
            with pytest.raises(UnavailableError) as down:
                other.register(gateway, 1)
            assert down.value.retry_after_s
            world.wire.heal()
            eventually(lambda: not gateway.health().ready)
            server.start()
            eventually(lambda: gateway.health().ready)
            digests += other.register(gateway, 2)
            told = other.settle(gateway, digests)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


@pytest.mark.parametrize("ahead_s", [-HOUR_S, pytest.param(HOUR_S, marks=pytest.mark.slow)])
def test_the_clock_is_an_hour_off(world: EdgeWorld, ahead_s: float) -> None:
    clock = Clock()
    # Receipts promise to be anchored within ten minutes by the clock of their moment.
    with Gateway.open(settings_for(world.home, publish_after_s=0.2), clock=clock) as gateway:
        world.anvil.ask("evm_setAutomine", False)
        digests = world.register(gateway, 3)
        eventually(lambda: all(row.attempts for row in gateway.parts.store.outbox.in_flight()))
        clock.ahead_s = ahead_s
        world.anvil.ask("anvil_dropAllTransactions")
        world.anvil.ask("evm_setAutomine", True)
        digests += world.accept(gateway, [world.signatory.register(within_s=3 * HOUR_S) for _ in range(2)])
        world.settle(gateway, digests)
        clock.ahead_s = 0.0
        digests += world.register(gateway, 2)
        told = world.settle(gateway, digests)
    assert {outcome.in_force for outcome in told.values()} == {InForce.YES}


def test_a_clock_that_is_behind_lets_no_passed_deadline_in(world: EdgeWorld) -> None:
    world.anvil.mine()  # the chain's present is its newest block's
    with Gateway.open(settings_for(world.home), clock=Clock(-HOUR_S)) as gateway:
        with pytest.raises(RefusedError):
            world.accept(gateway, [world.signatory.register(within_s=-60)])
        world.settle(gateway, world.register(gateway, 1))


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_deadline_passes_during_an_outage(world: EdgeWorld, is_signed: bool) -> None:
    """Before its nonce was taken the simulation finds out, and afterwards its transaction reverts."""
    with world.gateway() as gateway:
        world.wire.break_with(cut, SEND if is_signed else "eth_getTransactionCount")
        short, long = world.signatory.register(within_s=3), world.signatory.register()
        digests = world.accept(gateway, [short, long])
        if is_signed:
            eventually(lambda: len(gateway.parts.store.outbox.in_flight()) >= 2)
        eventually(lambda: time.time() > short.statement.deadline + 1)
        told = world.settle(gateway, digests)
    assert [told[each].in_force for each in digests] == [InForce.REFUSED, InForce.YES]
    refusal = told[digests[0]].refusal
    assert refusal is not None
    assert "deadline" in refusal.code
