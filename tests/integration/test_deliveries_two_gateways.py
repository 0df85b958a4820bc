"""A delivery from one gateway process to another: cut, killed with SIGKILL on both sides, and gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.client import deliveries, operations, transfers
from ledger.errors import UnavailableError
from ledger.surface.deliveries import DeliveryState, DeliveryView
from ledger.types import Bytes32
from tests.support.content import make_bytes
from tests.support.fault_proxy import Asked, Fault
from tests.support.two_gateways import TwoGateways, running_two_gateways
from tests.support.waiting import eventually

FILES = {"a.csv": b"hour,mwh\n0,12.5\n", "large.bin": make_bytes("large", (3 << 20) + 5)}
CHUNK = (1 << 20) + 16

pytestmark = pytest.mark.slow  # two services are started three times; the rest is tests/integration/test_deliveries.py


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoGateways]:
    with running_two_gateways(tmp_path_factory.mktemp("two")) as opened:
        yield opened


class Cut:
    """Breaks the first download after a chunk, and leaves the second without an answer."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, asked: Asked) -> Fault | None:
        if not asked.target.endswith("/data"):
            return None
        self.count += 1
        return {1: Fault(response_bytes=CHUNK + 5000), 2: Fault(stall=True)}.get(self.count)


def show(gateways: TwoGateways, delivery: Bytes32) -> DeliveryView | None:
    try:
        return gateways.analyst.run(deliveries.show(delivery))
    except UnavailableError:
        return None


def test_it_survives_a_cut_and_both_gateways_killed(gateways: TwoGateways, tmp_path: Path) -> None:
    made = gateways.register("power", FILES)
    gateways.grant("power")
    gateways.catch_up()
    cut = gateways.proxy.rule = Cut()
    view = gateways.analyst.run(deliveries.start(str(made.dataset), source=gateways.endpoint))
    eventually(lambda: cut.count == 2)
    received = gateways.analyst.run(deliveries.show(view.id))
    assert received.received_bytes == len(FILES["a.csv"]) + 16 + CHUNK
    gateways.b.kill()
    gateways.a.kill()
    gateways.b.start()
    eventually(lambda: (told := show(gateways, view.id)) is not None and told.state is DeliveryState.WAITING)
    gateways.a.start()
    done = gateways.analyst.run(deliveries.wait(view.id))
    assert done.transfer is not None
    gateways.analyst.run(deliveries.download(view.id, tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES

    asked = [each.first_byte for each in gateways.proxy.asked if each.target.endswith(f"{done.transfer}/data")]
    assert asked[0] == 0
    assert set(asked[1:]) == {received.received_bytes}, "from the last good chunk on"
    assert "data" in {each.what for each in gateways.chamber.run(transfers.accesses(done.transfer))}
    kept = json.loads(gateways.analyst.run(deliveries.statements(view.id)))
    there = gateways.chamber.run(transfers.show(done.transfer))
    assert (there.receipt, there.state.value) == (Bytes32.parse(kept["receipt"]["digest"]), "released")
    assert kept["receipt"]["signer"] == str(gateways.signing.address)


def test_a_stop_in_the_middle_is_clean(gateways: TwoGateways) -> None:
    made = gateways.register("stopped", FILES)
    gateways.grant("stopped")
    gateways.catch_up()
    cut = gateways.proxy.rule = Cut()
    view = gateways.analyst.run(deliveries.start(str(made.dataset)))
    eventually(lambda: cut.count == 2)
    gateways.b.restart()
    assert gateways.analyst.run(operations.readiness())["ready"] is True
    assert gateways.analyst.run(deliveries.wait(view.id)).state is DeliveryState.DELIVERED
