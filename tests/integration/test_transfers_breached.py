"""Providers that deliver something else, or nothing: the consumer is not fooled, and shows it to anybody."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import JsonValue
from ledger.client import Client, participants, statements, transfers
from ledger.client.choosing import Choice
from ledger.client.flow import Flow
from ledger.client.sealed_files import load_state
from ledger.client.transfers import Pulled
from ledger.content import sealing_files
from ledger.content.release import wrap_key
from ledger.errors import (
    ConflictError,
    UnavailableError,
    VerificationError,
)
from ledger.exchange import ForbiddenError
from ledger.exchange.transfers import keys as releasing
from ledger.surface.codec import dump_value
from ledger.surface.transfers import TransferView
from ledger.types import Bytes32
from tests.support.console import Console
from tests.support.pulling import (
    FILES,
    OtherBytes,
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

__all__ = ["stage"]


def test_a_changed_chunk_is_refused_and_the_good_ones_stay(stage: Stage, tmp_path: Path) -> None:
    def spoil(body: bytes) -> list[bytes | None]:
        return [body[:-1] + bytes([body[-1] ^ 1])]

    with pytest.raises(VerificationError, match="sealed chunk 4"):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=Wire(spoil)))
    left = found_in(tmp_path)
    assert left_in(tmp_path) == {"state.json", "sealed"}
    sealed = next(data for name, data in left.items() if name.endswith("sealed"))
    wire = Wire(lambda body: [body])
    stage.pull(tmp_path, client=Client(stage.world.url, transport=wire))
    assert wire.ranges == [f"bytes={len(sealed)}-"]
    assert found_in(tmp_path) == FILES


def test_a_release_that_was_changed_on_the_way_is_refused(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="KeyRelease is another's"):
        stage.consumer.client.run(_with_spoilt_key(transfers.pull(stage.version, tmp_path, stage.party)))
    assert left_in(tmp_path) == {"state.json", "sealed"}
    stage.pull(tmp_path, by_signature=False)  # the right one is in the log
    assert found_in(tmp_path) == FILES


def _with_spoilt_key(flow: Flow[Pulled]) -> Flow[Pulled]:
    request = next(flow)
    while True:
        answer = yield request
        if request.path.endswith("/receipt"):
            message: Any = answer.json
            wrapped = message["release"]["message"]["wrappedKey"]
            message["release"]["message"]["wrappedKey"] = wrapped[:-1] + ("0" if wrapped[-1] != "0" else "1")
        request = flow.send(answer)


def test_of_the_answer_to_a_receipt_the_key_alone_is_believed(stage: Stage, tmp_path: Path) -> None:
    for by_rerun in (False, True):
        if by_rerun:
            interrupt(stage, tmp_path, is_sent=True)
        pulled = stage.consumer.client.run(_lied_to(transfers.pull(stage.version, tmp_path, stage.party)))
        assert found_in(tmp_path) == FILES
        assert pulled.transfer is not None
        told = stage.consumer.client.run(transfers.show(pulled.transfer.id))
        assert replace(pulled.transfer, block=told.block) == told
        for name in FILES:
            (tmp_path / name).unlink()


def test_an_offer_that_changed_after_its_receipt_is_not_gone_on_with(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(stage.world.gateway.transfers._receiving, "release", lambda row, _: row)
        interrupt(stage, tmp_path, is_sent=True)
    lied = _lied_to(transfers.pull(stage.version, tmp_path, stage.party), "/v1/transfers")
    told = stage.consumer.client.run(lied).transfer
    assert told is not None
    assert told.version_salt != _LIE
    assert found_in(tmp_path) == FILES


def test_a_key_that_was_released_for_something_else_is_no_wrong_key(stage: Stage, tmp_path: Path) -> None:
    other = stage.pull(tmp_path / "other", by_signature=False).transfer
    assert other is not None
    assert other.release is not None
    flow = transfers.pull(stage.version, tmp_path / "in", stage.party)
    with pytest.raises(VerificationError, match="was released for another transfer"):
        stage.consumer.client.run(_lied_to(flow, release=dump_value(other.release)))
    stage.pull(tmp_path / "in", by_signature=False)
    assert found_in(tmp_path / "in") == FILES


_LIE = Bytes32(bytes([13]) * 32)
_NAMED = (
    "id", "consumer", "provider", "dataset", "registration", "content_hash", "version_salt", "grant", "receipt",
)  # fmt: skip


def _lied_to(flow: Flow[Pulled], path: str = "", **lies: JsonValue) -> Flow[Pulled]:
    """The provider tells something else of the transfer whenever it is asked for more than the offer."""
    request = next(flow)
    while True:
        answer = yield request
        message: Any = answer.json
        is_meant = request.path == path if path else request.path.endswith("/receipt") or request.method == "GET"
        if is_meant and isinstance(message, dict) and "release" in message:
            message.update(lies or dict.fromkeys(_NAMED, str(_LIE)) | {"version": 9, "size_bytes": 1})
            if not lies:
                message["sealing"] |= {"digest": str(_LIE), "signature": "0x00"}
        try:
            request = flow.send(answer)
        except StopIteration as done:
            pulled: Pulled = done.value
            return pulled


def test_a_provider_that_releases_a_wrong_key_is_shown(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    concord.be(stage.consumer)
    target, evidence, policy = tmp_path / "in", tmp_path / "evidence.json", tmp_path / "policy.json"
    monkeypatch.setattr(releasing, "wrap_key", lambda _, *to: wrap_key(bytes(32), *to))  # what the provider does
    with pytest.raises(VerificationError, match="released a wrong key"):
        stage.pull(target, by_signature=False)
    assert left_in(target) == {"state.json", "sealed"}
    state = next(target.rglob("state.json"))
    consortium = ("--rpc", f"{stage.world.url}/rpc", "--consortium", tmp_path / "consortium.json")
    stage.consumer.client.run(statements.wait(stage.last_release(state)))
    concord.ok_quietly("policy", "create", *consortium, "-o", policy)
    ran = concord.run("transfer", "breach", state, "--policy", policy, "--output", evidence)
    assert ran.code == 1, ran
    assert "did not deliver the key to what was receipted" in ran.out


def test_a_provider_that_sealed_something_else_is_shown(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    concord.be(stage.consumer)
    target, evidence, policy = tmp_path / "in", tmp_path / "evidence.json", tmp_path / "policy.json"
    with monkeypatch.context() as patched:
        patched.setattr(sealing_files, "AESGCM", OtherBytes)
        stage.reseal()
    chosen = Choice.of(["a.csv", "large.bin"])
    kept = set()
    for _ in range(2):  # the second pull finds the key released, and asks the same provider again
        with pytest.raises(VerificationError, match="something else than it registered"):
            stage.consumer.client.run(_lied_to(transfers.pull(stage.version, target, stage.party, choice=chosen)))
        assert left_in(target) == {"state.json", "sealed", "wrong-chunk.json"}
        state = next(target.rglob("state.json"))
        kept.add((state.parent / "wrong-chunk.json").read_bytes())
        (state.parent / "wrong-chunk.json").unlink()
    (shown,) = kept
    (state.parent / "wrong-chunk.json").write_bytes(shown)
    stage.consumer.client.run(statements.wait(stage.last_release(state)))
    rpc = ("--rpc", f"{stage.world.url}/rpc")
    concord.ok_quietly("policy", "create", *rpc, "--consortium", tmp_path / "consortium.json", "-o", policy)
    command = ("transfer", "breach", state, "--policy", policy, "--output", evidence)
    concord.fail(stage.consumer, 3, "--rpc names a node that shows the registration", *command)
    ran = concord.run(*command, *rpc)
    assert ran.code == 1, ran
    assert "did not deliver what it registered: sealed chunk 0 of a.csv opens to other bytes" in ran.out
    registered = tmp_path / "registered.json"
    registered.write_text(json.dumps(json.loads(evidence.read_bytes())["registration"], separators=(",", ":")))
    assert concord.run(*command, "--part", registered).code == 1
    (state.parent / "wrong-chunk.json").unlink()
    assert concord.run(*command).code == 0, "the key alone is right"
    stage.reseal()


class Withheld:
    """A provider that takes the receipt and keeps the key, until long after it was due by the chain's time."""

    def __init__(self, stage: Stage, folder: Path, concord: Console, patch: pytest.MonkeyPatch, **party: Any) -> None:
        self.stage, self.target, self.evidence = stage, folder / "in", folder / "evidence.json"
        self.rpc = ("--rpc", f"{stage.world.url}/rpc")
        edge = stage.world.gateway.parts.edge
        chain, begun = edge.rpc._chain, max(edge.head().timestamp, int(time.time()))  # type: ignore[union-attr]  # it is embedded
        with patch.context() as patched:
            patched.setattr(stage.world.gateway.transfers._receiving, "release", lambda row, _: row)
            consumer = replace(stage.party, **party)
            flow = transfers.pull(stage.version, self.target, consumer, clock=lambda: begun - 3600 + 400)
            with pytest.raises(UnavailableError, match="released no key yet"):
                stage.consumer.client.run(flow)
        self.state = next(self.target.rglob("state.json"))
        receipt, due = self.receipt(), load_receipt_deadline(self.state)
        stage.consumer.client.run(statements.wait(receipt))  # it is on chain before its time is over
        with patch.context() as patched:
            patched.setattr(chain, "_clock", lambda: due + 1)
            concord.ok_quietly("log", "attest")
        self.policy = folder / "policy.json"
        concord.ok_quietly("policy", "create", *self.rpc, "--consortium", folder / "consortium.json", "-o", self.policy)

    def receipt(self) -> Bytes32:
        receipt = self.stage.consumer.client.run(transfers.show(load_state(self.state).transfer)).receipt
        assert receipt is not None
        return receipt

    def accuse(self, *more: object) -> tuple[object, ...]:
        shown = (
            "--policy",
            self.policy,
            "--output",
            self.evidence,
            *self.rpc,
            "--tiles",
            f"{self.stage.world.url}/v1/log",
        )
        return ("transfer", "breach", self.state, *shown, *more)


def test_a_provider_that_withholds_the_key_is_shown(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    concord.be(stage.consumer)
    withheld = Withheld(stage, tmp_path, concord, monkeypatch)
    ran = concord.run(*withheld.accuse())
    assert ran.code == 1, ran
    assert "released no key for what was receipted" in ran.out
    stage.pull(withheld.target, by_signature=False)
    assert concord.run(*withheld.accuse()).code == 4  # it was delivered: no state is left


@pytest.mark.parametrize("answer", ["none", "a release that is nowhere"])
def test_a_gateway_that_shows_nothing_does_not_hide_its_silence(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    concord.be(stage.consumer)
    keys = transfers.signing_keys(stage.consumer.client.run(participants.keys("utility")))
    withheld = Withheld(stage, tmp_path, concord, monkeypatch, provider_keys=keys)
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(stage.consumer.client.run(transfers.evidence(load_state(withheld.state).transfer, "receipt")))
    room = stage.world.gateway.transfers
    with monkeypatch.context() as patched:
        if answer == "none":
            patched.setenv("CONCORD_URL", "http://127.0.0.1:1")
        else:
            patched.setattr(room, "evidence", refuse)
            patched.setattr(room, "show", lying_show(room.show))
            assert concord.run(*withheld.accuse()).code == 4  # without the receipt there is nothing to show
        ran = concord.run(*withheld.accuse("--part", receipt))
    assert ran.code == 1, ran
    assert "shows no release, so none is known of" in ran.err
    assert "released no key for what was receipted" in ran.out
    stage.pull(withheld.target, by_signature=False)


def refuse(*_args: object, **_more: object) -> Any:
    raise ForbiddenError("not for you", code="not-yours")


def lying_show(show: Any) -> Any:
    """Says that the key was released."""

    def answer(*args: Any) -> TransferView:
        view: TransferView = show(*args)
        return replace(view, release=view.sealing)

    return answer


def test_what_is_receipted_is_signed_by_the_provider_and_in_its_log(stage: Stage, tmp_path: Path) -> None:
    listed = stage.consumer.client.run(participants.keys("utility"))
    keys = transfers.signing_keys(listed)
    assert keys.keys() == {each.key for each in listed if each.role == "signing"}
    strangers = transfers.signing_keys(stage.consumer.client.run(participants.keys("analyst")))
    for wrong, words in ((strangers, "none of the provider's"), (dict.fromkeys(keys, 1), "had ended before")):
        with pytest.raises(VerificationError, match=words):
            stage.pull(tmp_path, consumer=replace(stage.party, provider_keys=wrong))
    other = sell(stage.world, stage.provider, stage.consumer, "other")
    with pytest.raises(UnavailableError):
        other.pull(tmp_path / "other", client=Client(stage.world.url, transport=Wire(lambda _: [None])))
    room, elsewhere = stage.world.gateway.transfers, load_state_of(tmp_path / "other").transfer
    evidence = room.evidence
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "evidence", lambda caller, _, *given, **more: evidence(caller, elsewhere, *given, **more))
        with pytest.raises(VerificationError, match="of another statement"):
            stage.pull(tmp_path, consumer=replace(stage.party, provider_keys=keys))
        patched.setattr(room, "evidence", refuse_early)
        with pytest.raises(ConflictError) as early:
            stage.pull(tmp_path, consumer=replace(stage.party, provider_keys=keys))
        assert early.value.code == "not-final"
    assert stage.consumer.client.run(transfers.show(load_state_of(tmp_path).transfer)).receipt is None
    stage.pull(tmp_path, consumer=replace(stage.party, provider_keys=keys))
    shutil.rmtree(tmp_path / "other")
    assert found_in(tmp_path) == FILES


def refuse_early(*_args: object, **_more: object) -> Any:
    raise ConflictError("not yet", code="not-final", retry_after_s=0.0)
