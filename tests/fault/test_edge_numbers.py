"""What an operator is told while the node is away: what is known, and nothing that is not."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

import pytest

from api.operations.metrics import Metrics
from ledger.exchange import Gateway
from tests.support.edge_world import EdgeWorld
from tests.support.served import ROOT
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("resend_soon")

ALERTS: Final = Path(ROOT / "deploy/prometheus/alerts.yml")
OF_THE_CHAIN: Final = {"concord_chain_head_block", "concord_chain_final_block", "concord_index_lag_blocks"}


def numbers(gateway: Gateway) -> dict[str, float]:
    """What /metrics says, without what has labels."""
    page = Metrics(gateway).render().decode()
    return {name: float(value) for name, value in re.findall(r"^(concord_\w+) (\S+)$", page, re.MULTILINE)}


def alerting_on(alert: str) -> set[str]:
    """The metrics that an example alert is made of."""
    [expression] = re.findall(rf"alert: {alert}\n +expr: (.+)", ALERTS.read_text())
    return set(re.findall(r"concord_\w+", expression))


def test_what_somebody_else_relayed_is_told_to_be_in_force(world: EdgeWorld, caplog: pytest.LogCaptureFixture) -> None:
    signed = world.signatory.register()
    with world.gateway() as gateway, caplog.at_level(logging.INFO, logger="concord.statements"):
        world.relay_elsewhere(signed)
        digests = world.accept(gateway, [signed])
        told = world.settle(gateway, digests)
    lines = [each for each in caplog.records if getattr(each, "digest", None) == str(digests[0])]
    assert sorted(each.message for each in lines) == ["accepted", "anchored", "in force"]  # in whatever order
    [facts] = [getattr(each, "facts", {}) for each in lines if each.message == "in force"]
    outcome = told[digests[0]]
    assert facts == {"block": outcome.block, "transaction": str(outcome.transaction)}


def test_numbers_while_the_node_is_away(world: EdgeWorld) -> None:
    with world.gateway() as gateway:
        world.anvil.ask("evm_setAutomine", False)
        digests = world.register(gateway, 2)
        eventually(lambda: gateway.parts.store.outbox.depth("0x") == 2)
        there = numbers(gateway)
        assert there.keys() >= OF_THE_CHAIN
        world.anvil.kill()
        eventually(lambda: "submitter" in gateway.health().reasons)
        away, health = numbers(gateway), gateway.health()
        assert (health.ready, health.head, health.final) == (False, None, None)
        assert {"chain", "database"} & health.reasons.keys() == {"chain"}
        assert there.keys() - away.keys() == OF_THE_CHAIN
        assert away["concord_ready"] == 0
        assert away["concord_outbox_depth"] == gateway.parts.store.outbox.depth() >= 2
        assert away["concord_indexed_block"] == health.indexed == there["concord_indexed_block"] > 0
        assert away["concord_anchored_entries"] == health.anchored_size == there["concord_anchored_entries"] > 0
        assert away["concord_oldest_in_flight_seconds"] > 0
        assert away["concord_log_entries"] == health.log_size == there["concord_log_entries"]
        for alert in ("ConcordOutboxStuck", "ConcordCheckpointOld", "ConcordOldestUnanchored", "ConcordNotReady"):
            assert alerting_on(alert) <= away.keys(), alert
        world.anvil.start()  # it mines by itself again
        world.settle(gateway, digests)
