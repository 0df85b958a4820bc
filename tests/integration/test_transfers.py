"""Deliveries over HTTP, from a gateway to a consumer of its own and to one that signs its requests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ledger.client import AsyncClient, Client, transfers
from ledger.client.choosing import Choice
from ledger.client.signed import signed
from ledger.client.transfers import Pulled
from ledger.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from ledger.types import Bytes32
from tests.support.console import Console
from tests.support.pulling import FILES, Stage, Wire, found_in, stage

__all__ = ["stage"]


@pytest.mark.parametrize("by_signature", [True, False])
def test_a_version_is_delivered(stage: Stage, tmp_path: Path, by_signature: bool) -> None:
    told: list[int] = []
    pulled = stage.pull(tmp_path, by_signature=by_signature, progress=told.append)
    assert found_in(tmp_path) == FILES
    assert pulled.transfer is not None
    assert pulled.transfer.grant == stage.grant
    assert sum(told) == pulled.transfer.size_bytes
    again = stage.pull(tmp_path, by_signature=by_signature)
    assert again.transfer is None
    assert found_in(tmp_path) == FILES


def test_chosen_parts_are_delivered_alone(stage: Stage, tmp_path: Path) -> None:
    wire = Wire(lambda body: [body])
    choice = Choice.of(["*.csv"], [f"large.bin:{1 << 20}-{(1 << 20) + 9}"])
    pulled = stage.pull(tmp_path, choice=choice, client=Client(stage.world.url, transport=wire))
    part = f"large.bin.{1 << 20}-{(1 << 20) + 9}"
    assert found_in(tmp_path) == {"a.csv": FILES["a.csv"], part: FILES["large.bin"][1 << 20 : (1 << 20) + 10]}
    second = len(FILES["a.csv"]) + 16 + 16 + (1 << 20) + 16
    assert wire.ranges == [f"bytes=0-{len(FILES['a.csv']) + 15}", f"bytes={second}-{second + (1 << 20) + 15}"]
    assert pulled.transfer is not None
    given = stage.provider.client.run(transfers.accesses(pulled.transfer.id))
    assert [(each.first_byte, each.last_byte) for each in reversed(given) if each.what == "data"] == [
        (0, len(FILES["a.csv"]) + 15), (second, second + (1 << 20) + 15),
    ]  # fmt: skip
    stage.pull(tmp_path, choice=Choice.of(["a.csv"]))  # there already
    stage.pull(tmp_path)  # the others, under another receipt
    assert {name: data for name, data in found_in(tmp_path).items() if name != part} == FILES


def test_a_provider_that_sends_nothing_is_not_asked_for_ever(stage: Stage, tmp_path: Path) -> None:
    wire = Wire(lambda _: [])
    with pytest.raises(UnavailableError, match="sent less than bytes"):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=wire))
    assert len(wire.ranges) == 8


def test_a_choice_of_nothing_leaves_nothing(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"it has a\.csv"):
        stage.pull(tmp_path, choice=Choice.of(["*.txt"]))
    with pytest.raises(MalformedError, match="not a range"):
        stage.pull(tmp_path, choice=Choice.of((), ["a.csv:0-99"]))
    assert found_in(tmp_path) == {}
    assert not (tmp_path / ".concord-pull").exists()


def test_a_file_in_the_way_stays(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"mine")
    with pytest.raises(ConflictError, match="is there already"):
        stage.pull(tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == b"mine"
    stage.pull(tmp_path, replace=True)
    assert found_in(tmp_path) == FILES


def test_what_a_provider_offers_is_compared_with_what_is_registered(stage: Stage, tmp_path: Path) -> None:
    nothing = Bytes32(bytes(32))
    for changed in (replace(stage.version, content_hash=nothing), replace(stage.version, registration=nothing)):
        with pytest.raises(VerificationError, match="offers another"):
            replace(stage, version=changed).pull(tmp_path)


def test_a_request_without_a_right_signature_is_nobodys(stage: Stage) -> None:
    url = f"{stage.world.url}/v1/transfers"
    headers = {"Signature-Input": "concord=x", "Signature": "y", "Content-Digest": "z"}
    assert httpx.post(url, headers=headers).status_code == 422
    assert httpx.post(url).status_code == 401


def test_the_command_pulls_and_leaves_evidence(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    concord.be(stage.consumer)
    target, evidence, policy = tmp_path / "in", tmp_path / "evidence.json", tmp_path / "policy.json"
    named = ("dataset", "pull", "utility/power@latest", "--to", target)
    assert concord.run(*named, "--purpose", "Advertising").code == 4
    told = concord.ok_quietly(*named, "--purpose", "ResearchAndDevelopment", "--evidence", evidence)
    assert "3 files" in told
    assert "delivered by transfer 0x" in told
    assert found_in(target) == FILES
    assert "there already" in concord.ok(stage.consumer, *named)
    rpc = ("--rpc", f"{stage.world.url}/rpc")
    concord.ok_quietly("policy", "create", *rpc, "--consortium", tmp_path / "consortium.json", "-o", policy)
    assert concord.run("verify", evidence, "--policy", policy, *rpc).code == 0
    evidence, target = tmp_path / "part.json", tmp_path / "part"
    some = ("dataset", "pull", "utility/power", "--to", target, "--file", "deep/*", "--range", "large.bin:5-9")
    told = concord.ok_quietly(*some, "--evidence", evidence)
    assert "1 of 3 files and 1 range, 5 bytes" in told
    assert found_in(target) == {"deep/empty": b"", "large.bin.5-9": FILES["large.bin"][5:10]}
    assert concord.run("verify", evidence, "--policy", policy, *rpc).code == 0
    concord.fail(stage.consumer, 3, "is no range of a file", *some[:5], "--range", "large.bin")
    concord.fail(stage.consumer, 4, "no file of the version", *some[:5], "--file", "*.txt")


async def _pull(stage: Stage, folder: Path) -> Pulled:
    flow = transfers.pull(stage.version, folder, stage.party)
    async with AsyncClient(stage.world.url) as client:
        return await client.run(signed(flow, stage.world.url, stage.consumer.id, stage.consumer.signing))


def test_the_async_client_pulls_alike(stage: Stage, tmp_path: Path) -> None:
    asyncio.run(_pull(stage, tmp_path))
    assert found_in(tmp_path) == FILES
