"""What happens while data travel from one gateway process to another: a permission ends, a key is rotated.

The proxy takes nothing of a running answer until that has happened, so that the provider learns of it in the middle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from ledger.client import Client, Identity, LocalKey, datasets, deliveries, operations, participants
from ledger.errors import RefusedError
from ledger.keyfiles import read_key_file
from ledger.surface.deliveries import DeliveryState, DeliveryView
from ledger.surface.transfers import TransferState
from ledger.types import Bytes32
from tests.support.fault_proxy import Asked, Fault, Hold
from tests.support.fetching import CHUNK, Sale
from tests.support.two_gateways import TwoGateways, gateways
from tests.support.waiting import eventually
from tests.support.world import PASSPHRASE, WAIT_S

__all__ = ["gateways"]

# Two services start, and a loaded machine is slow; a revocation is in tests/integration/test_two_gateways.py, too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SIZE = 16 << 20
"""More than the buffers between both processes take."""


@pytest.fixture(scope="module")
def sold(gateways: TwoGateways) -> Sale:
    """A version that A has sealed already; the analyst has it, and no grant of it any more."""
    sale = Sale(gateways, "power", SIZE)
    grant = sale.grant()
    sale.forget(sale.wait(sale.start()))
    gateways.revoke(grant)
    return sale


@pytest.fixture(autouse=True)
def healed(gateways: TwoGateways) -> Iterator[None]:
    """The way between both is whole again, and B has forgotten what it fetched."""
    yield
    gateways.proxy.rule = None
    for each in gateways.analyst.run(deliveries.list_all()):
        gateways.analyst.run(deliveries.cancel(each.id))


def holding(sale: Sale, act: Callable[[], object]) -> Hold:
    """Let ``act`` happen in the middle of the first answer with data."""
    hold = Hold(CHUNK + 4096, act)
    faults = iter([Fault(hold=hold)])

    def rule(asked: Asked) -> Fault | None:
        return next(faults, None) if asked.target.endswith("/data") else None

    sale.gateways.proxy.rule = rule
    return hold


def check_broken_off(
    sale: Sale, hold: Hold, failed: tuple[RefusedError, DeliveryView], code: str, told: str | None = None
) -> None:
    """The answer under way was broken off for ``code``, and B says ``told`` of it; A gave no key."""
    error, view = failed
    assert error.code == (told or code)
    assert hold.is_over
    assert CHUNK < hold.passed < SIZE, "it ended in the middle of one answer"
    assert 0 < view.received_bytes < SIZE
    assert (206, code) in [(each["status"], each.get("problem")) for each in sale.gateways.a.requests("/data")]
    assert (sale.told(view).state, "key" in sale.given(view)) == (TransferState.OPEN, False)


def test_a_revocation_ends_an_answer_under_way(sold: Sale) -> None:
    grant = sold.grant()
    hold = holding(sold, lambda: sold.gateways.revoke(grant))
    check_broken_off(sold, hold, sold.fail(), "grant-revoked")
    eventually(lambda: not find_sealings(sold))  # nobody is permitted any more: key and objects go


def test_a_revocation_before_the_receipt_keeps_the_key(sold: Sale) -> None:
    grant = sold.grant()

    def rule(asked: Asked) -> Fault | None:
        if asked.target.endswith("/receipt"):
            sold.gateways.revoke(grant)
        return None

    sold.gateways.proxy.rule = rule
    error, view = sold.fail()
    told = sold.told(view)
    assert (error.code, sold.problems()[-1]) == ("grant-revoked", "grant-revoked")
    assert (told.state, told.receipt, sold.given(view)[-1]) == (TransferState.OPEN, None, "data")
    assert view.received_bytes == view.total_bytes, "all of it, and none of it opens"


def find_sealings(sale: Sale) -> list[Path]:
    return [*(sale.gateways.a.home / "content" / "sealings").rglob("data")]


def test_an_expiry_ends_an_answer_under_way(sold: Sale) -> None:
    for lasting_s in (8, 30, 120):  # as long as this machine takes to begin the answer, and a bit more
        until = int(time.time()) + lasting_s
        sold.grant(valid_until=datetime.fromtimestamp(until, UTC))
        hold = holding(sold, partial(wait_until, until))
        failed = sold.fail()
        if hold.is_over:
            break
    check_broken_off(sold, hold, failed, "grant-expired")
    again, _ = sold.fail()
    assert again.code == "grant-expired", "what is stale permits nothing"


def wait_until(moment_s: int) -> None:
    eventually(lambda: time.time() > moment_s, 150)


def test_a_suspension_ends_an_answer_under_way_until_it_is_over(sold: Sale, tmp_path: Path) -> None:
    sold.grant()
    hold = holding(sold, lambda: decide(sold.gateways, "suspend"))
    check_broken_off(sold, hold, sold.fail(), "participant-suspended", told="key-not-active")
    decide(sold.gateways, "reinstate")
    sold.deliver(tmp_path)  # under another sealing: that of before went with the permission


def decide(gateways: TwoGateways, decision: str) -> None:
    """Let both governors decide over the analyst, final on chain."""
    proposal: Bytes32 | None = None
    for handle in ("chamber", "regulator"):
        path = gateways.founded.key_files[f"{handle}/control"]
        identity = Identity(LocalKey(read_key_file(path, PASSPHRASE)), gateways.domains)
        with Client(gateways.a.url, gateways.founded.api_keys[handle]) as voter:
            if proposal is None:
                voter.run(participants.propose(decision, "analyst", identity, wait_s=WAIT_S))
                [opened] = voter.run(participants.proposals(status="open"))
                proposal = opened.id
            else:
                voter.run(participants.vote(proposal, identity, wait_s=WAIT_S))
    gateways.catch_up()


def test_the_key_encryption_key_is_rotated_while_data_travel(sold: Sale, tmp_path: Path) -> None:
    """And once more as the receipt comes; no data are sealed again, and the key opens them."""
    sold.grant()
    chamber, keys = sold.gateways.chamber, sold.gateways.a.home / "keys"
    rotated = list[str]()

    def rotate() -> None:
        rotated.append(str(chamber.run(operations.rotate_kek())["kek"]))

    hold = Hold(CHUNK + 4096, rotate)
    faults = iter([Fault(hold=hold)])

    def rule(asked: Asked) -> Fault | None:
        if asked.target.endswith("/receipt"):
            rotate()
        return next(faults, None) if asked.target.endswith("/data") else None

    before = (keys / "kek.json").read_bytes()
    sold.gateways.proxy.rule = rule
    asked_before = len(sold.gateways.proxy.asked)
    view = sold.deliver(tmp_path)
    assert (hold.is_over, hold.passed > SIZE, len(set(rotated))) == (True, True, 2)
    data = [each for each in sold.gateways.proxy.asked[asked_before:] if each.target.endswith("/data")]
    assert len(data) == 1, "one answer brought it all"
    assert sold.told(view).state is TransferState.RELEASED
    assert [path.name for path in keys.glob("kek*")] == ["kek.json"]
    assert (keys / "kek.json").read_bytes() != before


def test_a_retirement_ends_an_answer_under_way(sold: Sale) -> None:
    sold.grant()
    name = f"chamber/{sold.slug}"
    hold = holding(sold, lambda: sold.gateways.chamber.run(datasets.retire(name, None, wait_s=WAIT_S)))
    check_broken_off(sold, hold, sold.fail(), "dataset-retired")
    assert sold.gateways.analyst.run(deliveries.list_all())[0].state is DeliveryState.FAILED
