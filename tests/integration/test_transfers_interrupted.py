"""Deliveries that break off, or whose version is sealed anew, revoked or erased meanwhile: what is gone on with."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from ledger.client import Client, access, datasets, statements, transfers
from ledger.client.choosing import Choice
from ledger.client.flow import Flow
from ledger.client.sealed_files import load_state
from ledger.client.transfers import Pulled
from ledger.content import scan_folder
from ledger.errors import (
    ConflictError,
    RefusedError,
    UnavailableError,
)
from ledger.types import Bytes32
from tests.support.console import Console
from tests.support.pulling import (
    FILES,
    Stage,
    Wire,
    found_in,
    interrupt,
    left_in,
    load_receipt_deadline,
    load_state_of,
    sell,
    stage,
)
from tests.support.world import METADATA, WAIT_S

__all__ = ["stage"]


def test_an_unfinished_choice_is_gone_on_with_and_another_is_told(stage: Stage, tmp_path: Path) -> None:
    choice = Choice.of(["a.csv", "large.bin"])
    with pytest.raises(UnavailableError):
        stage.pull(tmp_path, choice=choice, client=Client(stage.world.url, transport=Wire(Once())))
    with pytest.raises(ConflictError) as caught:
        stage.pull(tmp_path, choice=Choice.of(["deep"]))
    assert caught.value.code == "other-choice"
    wire = Wire(lambda body: [body])
    stage.pull(tmp_path, choice=choice, client=Client(stage.world.url, transport=wire))
    assert [each.split("-")[0] for each in wire.ranges] == [f"bytes={len(FILES['a.csv']) + 32}"]
    assert found_in(tmp_path) == {name: FILES[name] for name in ("a.csv", "large.bin")}


class Once:
    """Lets the first download pass, and none after it."""

    def __init__(self) -> None:
        self.passed = False

    def __call__(self, body: bytes) -> list[bytes | None]:
        passes, self.passed = not self.passed, True
        return [body] if passes else [None]


def test_a_broken_connection_is_gone_on_from_the_last_good_chunk(stage: Stage, tmp_path: Path) -> None:
    cuts = iter([100, (1 << 20) + 500, 0])

    def spoil(body: bytes) -> list[bytes | None]:
        cut = next(cuts, None)
        return [body] if cut is None else [body[:cut], None]

    wire = Wire(spoil)
    stage.pull(tmp_path, client=Client(stage.world.url, transport=wire))
    assert found_in(tmp_path) == FILES
    first = len(FILES["a.csv"]) + 16 + 16  # and the empty file
    assert wire.ranges[:2] == ["bytes=0-", f"bytes={first}-"]
    assert len(set(wire.ranges)) == 3


def test_a_provider_that_gives_no_answer_leaves_no_plaintext(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=Wire(lambda _: [None])))
    assert left_in(tmp_path) == {"state.json", "sealed"}
    state = next(tmp_path.rglob("state.json"))
    assert state.stat().st_mode & 0o777 == 0o600
    kept = load_state(state)
    assert kept.provider == stage.provider.id
    assert stage.consumer.client.run(transfers.show(kept.transfer)).state.value == "open"


@pytest.mark.parametrize("given_s_ago", [3400, 7200])
def test_a_receipt_that_got_nowhere_is_given_anew(stage: Stage, tmp_path: Path, given_s_ago: int) -> None:
    flow = transfers.pull(stage.version, tmp_path, stage.party, clock=lambda: time.time() - given_s_ago)
    with pytest.raises(UnavailableError, match="cut"):
        stage.consumer.client.run(_cut_before_receipt(flow))
    old = load_receipt_deadline(next(tmp_path.rglob("state.json")))
    assert old < time.time() + 300
    stage.pull(tmp_path, by_signature=False)
    assert found_in(tmp_path) == FILES


def _cut_before_receipt(flow: Flow[Pulled]) -> Flow[Pulled]:
    request = next(flow)
    while not request.path.endswith("/receipt"):
        request = flow.send((yield request))
    flow.close()
    raise UnavailableError("cut")


def test_a_version_that_was_sealed_anew_is_delivered_by_another_transfer(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=Wire(lambda _: [None])))
    before = load_state_of(tmp_path).transfer
    asyncio.run(stage.world.gateway.sealings.replace(stage.version.registration))
    pulled = stage.pull(tmp_path)
    assert found_in(tmp_path) == FILES
    assert pulled.transfer is not None
    assert pulled.transfer.id != before


def test_a_revocation_in_the_middle_ends_it(stage: Stage, tmp_path: Path) -> None:
    sold = sell(stage.world, stage.provider, stage.consumer, "ending")

    def spoil(body: bytes) -> list[bytes | None]:
        sold.provider.client.run(access.revoke(sold.grant, None, wait_s=WAIT_S))
        return [body[:100], None]

    with pytest.raises(RefusedError) as caught:
        sold.pull(tmp_path, client=Client(stage.world.url, transport=Wire(spoil)))
    assert caught.value.code == "grant-revoked"
    assert left_in(tmp_path) == {"state.json", "sealed"}


def test_a_version_that_is_sealed_anew_meanwhile_is_pulled_all_the_same(stage: Stage, tmp_path: Path) -> None:
    sold = sell(stage.world, stage.provider, stage.consumer, "renewed")
    sealings, renewed, told = stage.world.gateway.sealings, list[Bytes32](), list[int]()

    def spoil(body: bytes) -> list[bytes | None]:
        if renewed:
            return [body]
        renewed.append(asyncio.run(sealings.replace(sold.version.registration)).id)
        return [body[: (1 << 20) + 500], None]

    pulled = sold.pull(tmp_path, client=Client(stage.world.url, transport=Wire(spoil)), progress=told.append)
    assert found_in(tmp_path) == FILES  # nothing of the old sealing is left either
    assert pulled.transfer is not None
    assert pulled.transfer.sealing.message["keyCommitment"] == str(renewed[0])
    assert sum(told) == pulled.transfer.size_bytes
    assert min(told) < 0  # what had come in vain was taken back


def test_an_erased_version_is_gone_for_everybody(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    sold, client = sell(stage.world, stage.provider, stage.consumer, "erased"), stage.provider.client
    folder = stage.world.folder / "staged" / "erased"
    child = datasets.register(folder, scan_folder(folder), "utility", "derived", METADATA, parents=["utility/erased@1"])
    client.run(statements.wait(client.run(child).digest))
    concord.be(stage.provider)
    monkeypatch.delenv("CONCORD_KEY")  # the gateway signs for it
    named = ("dataset", "erase", "utility/erased@1", "--reason", "asked for")
    assert concord.run("dataset", "erase", "utility/erased", "--reason", "x", "--yes").code == 3  # no version
    assert concord.run(*named).code == 3  # nobody can be asked
    assert "erased utility/erased@1" in concord.ok_quietly(*named, "--yes")
    assert "erased already" in concord.ok_quietly(*named, "--yes")
    view = client.run(datasets.version("utility/erased", 1))
    manifest = f"{stage.world.url}/v1/datasets/utility~erased/versions/1/manifest"
    answer = httpx.get(manifest, headers={"Authorization": f"Bearer {stage.provider.token}"})
    assert (answer.status_code, answer.json()["code"]) == (410, "version-erased")
    assert answer.json()["tombstone"] == str(view.erased)
    with pytest.raises(RefusedError) as caught:
        sold.pull(tmp_path / "in")
    assert (caught.value.code, caught.value.facts["tombstone"]) == ("version-erased", str(view.erased))
    (derived,) = client.run(datasets.descendants("utility/erased", 1))
    assert (derived.name, derived.erased) == ("utility/derived", None)
    assert "utility/derived" in concord.ok_quietly("dataset", "descendants", "utility/erased@1")
    assert str(view.erased) in concord.ok_quietly("dataset", "lineage", "utility/derived@1")
    assert str(view.erased)[:10] in concord.ok_quietly("dataset", "versions", "utility/erased")


def test_who_holds_its_own_key_signs_the_erasure(stage: Stage, tmp_path: Path) -> None:
    owner = stage.consumer
    (tmp_path / "a.csv").write_bytes(b"of the analyst")
    registered = datasets.register(tmp_path, scan_folder(tmp_path), "analyst", "own", METADATA, owner.identity)
    owner.client.run(statements.wait(owner.client.run(registered).digest))
    outcome = owner.client.run(datasets.erase("analyst/own", 1, "asked for", owner.identity))
    assert owner.client.run(datasets.version("analyst/own", 1)).erased == outcome.digest
    with pytest.raises(ConflictError) as caught:
        owner.client.run(datasets.erase("analyst/own", 1, "again", owner.identity))
    assert caught.value.code == "version-erased"


def test_a_version_that_was_sealed_anew_is_pulled_from_the_beginning(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=Wire(lambda _: [None])))
    kept = load_state(next(tmp_path.rglob("state.json")))
    stage.reseal()
    pulled = stage.pull(tmp_path)
    assert pulled.transfer is not None
    assert pulled.transfer.id != kept.transfer
    assert found_in(tmp_path) == FILES


def test_a_key_that_was_released_opens_what_was_receipted_whatever_came_since(stage: Stage, tmp_path: Path) -> None:
    kept = interrupt(stage, tmp_path, is_sent=True)
    stage.reseal()
    pulled = stage.pull(tmp_path)
    assert pulled.transfer is not None
    assert pulled.transfer.id == kept.transfer
    assert found_in(tmp_path) == FILES


def test_a_receipted_transfer_is_kept_aside_before_another_begins(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(stage.world.gateway.transfers._receiving, "release", lambda row, _: row)
        kept = interrupt(stage, tmp_path, is_sent=True)
    stage.reseal()
    pulled = stage.pull(tmp_path)
    assert pulled.transfer is not None
    assert pulled.transfer.id != kept.transfer
    aside = tmp_path / ".concord-pull" / kept.transfer.hex() / "state.json"
    assert load_state(aside) == kept
    aside.unlink()
    assert found_in(tmp_path) == FILES


def test_a_receipt_whose_time_passed_before_it_arrived_is_signed_anew(stage: Stage, tmp_path: Path) -> None:
    past = time.time() - 3600 - 60
    kept = interrupt(stage, tmp_path, is_sent=False, clock=lambda: past)
    pulled = stage.pull(tmp_path)
    assert pulled.transfer is not None
    assert pulled.transfer.id == kept.transfer
    assert found_in(tmp_path) == FILES


def test_an_empty_answer_is_not_asked_for_for_ever(stage: Stage, tmp_path: Path) -> None:
    wire = Wire(lambda _: [])
    with pytest.raises(UnavailableError, match="sent less"):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=wire))
    assert len(wire.ranges) == 8
