"""Deliveries over HTTP, from a gateway to a consumer of its own and to one that signs its requests."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.canonical import JsonValue
from ledger.client import AsyncClient, Client, access, datasets, participants, statements, transfers
from ledger.client.choosing import Choice
from ledger.client.flow import Flow
from ledger.client.sealed_files import KeptTransfer, load_state
from ledger.client.signed import signed
from ledger.client.transfers import Consumer, Pulled
from ledger.content import scan_folder, sealing_files
from ledger.content.release import wrap_key
from ledger.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.exchange import ForbiddenError
from ledger.exchange.transfers import keys as releasing
from ledger.surface.codec import dump_value
from ledger.surface.transfers import TransferView
from ledger.surface.views import VersionView
from ledger.types import Bytes32
from tests.support.console import Console
from tests.support.content import make_bytes
from tests.support.world import METADATA, WAIT_S, Member, World, serving

FILES = {"a.csv": b"hour,mwh\n0,12.5\n", "deep/empty": b"", "large.bin": make_bytes("large", (2 << 20) + 5)}


@dataclass
class Stage:
    """A gateway, a provider whose keys it holds, a consumer that holds its own, and what was granted."""

    world: World
    provider: Member
    consumer: Member
    version: VersionView
    grant: Bytes32

    @property
    def party(self) -> Consumer:
        return Consumer(self.consumer.id, self.provider.id, self.consumer.identity)

    def reseal(self) -> None:
        """Seal the version under a new key."""
        asyncio.run(self.world.gateway.sealings.replace(self.version.registration))

    def last_release(self, state: Path) -> Bytes32:
        """Digest of the key's release, whatever it is worth."""
        view = self.consumer.client.run(transfers.show(load_state(state).transfer))
        assert view.release is not None
        return view.release.digest

    def pull(
        self,
        folder: Path,
        *,
        by_signature: bool = True,
        client: Client | None = None,
        consumer: Consumer | None = None,
        **more: Any,
    ) -> Pulled:
        flow = transfers.pull(self.version, folder, consumer or self.party, **more)
        if not by_signature:
            return self.consumer.client.run(flow)
        with client or Client(self.world.url) as elsewhere:
            return elsewhere.run(signed(flow, self.world.url, self.consumer.id, self.consumer.signing))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("transfers")) as world:
        provider, consumer = world.enroll("utility", custodial=True), world.enroll("analyst")
        profile: JsonValue = {"handle": "utility", "name": "Utility", "endpoint": world.url}
        provider.client.run(statements.state("ProfileUpdate", {"profile": profile}, wait_s=WAIT_S))
        yield _sell(world, provider, consumer, "power")


def _sell(world: World, provider: Member, consumer: Member, slug: str) -> Stage:
    folder = world.folder / "staged" / slug
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    made = provider.client.run(datasets.register(folder, scan_folder(folder), "utility", slug, METADATA))
    provider.client.run(statements.wait(made.digest))
    terms = {"purpose": "ResearchAndDevelopment", "rights": ["read"], "valid_until": datetime.now(UTC) + timedelta(1)}
    granted = provider.client.run(access.grant(f"utility/{slug}", "analyst", None, **terms, wait_s=WAIT_S))  # type: ignore[arg-type]  # by name
    version = consumer.client.run(datasets.version(f"utility/{slug}", 1))
    return Stage(world, provider, consumer, version, granted.digest)


def found_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_in(folder: Path) -> set[str]:
    """Names of what an unfinished pull left, without what describes the sealing."""
    return {Path(name).name for name in found_in(folder) if Path(name).parent.name != "described"}


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


class Wire(httpx.BaseTransport):
    """The way to the gateway, which does to a download what a test says."""

    def __init__(self, spoil: object) -> None:
        self.inner = httpx.HTTPTransport()
        self.spoil = spoil
        self.ranges: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if not request.url.path.endswith("/data") or response.status_code >= 400:
            return response
        self.ranges.append(request.headers["range"])
        body = response.read()
        response.close()
        return httpx.Response(response.status_code, headers=response.headers, stream=Spoilt(self.spoil(body)))  # type: ignore[operator]  # a function

    def close(self) -> None:
        self.inner.close()


class Spoilt(httpx.SyncByteStream):
    """Pieces of a body; where it ends early, the connection is broken."""

    def __init__(self, pieces: list[bytes | None]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if piece is None:
                raise httpx.ReadError("cut")
            yield piece


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


def test_a_provider_that_gives_no_answer_leaves_no_plaintext(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=Wire(lambda _: [None])))
    assert left_in(tmp_path) == {"state.json", "sealed"}
    state = next(tmp_path.rglob("state.json"))
    assert state.stat().st_mode & 0o777 == 0o600
    kept = load_state(state)
    assert kept.provider == stage.provider.id
    assert stage.consumer.client.run(transfers.show(kept.transfer)).state.value == "open"


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
            _interrupt(stage, tmp_path, is_sent=True)
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
        _interrupt(stage, tmp_path, is_sent=True)
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


class OtherBytes:
    """Encrypts zeros, whatever it is given; opens as ever."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.decrypt = self._cipher.decrypt

    def encrypt(self, nonce: bytes, data: bytes, associated: None) -> bytes:
        return self._cipher.encrypt(nonce, bytes(len(data)), associated)


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
    other = _sell(stage.world, stage.provider, stage.consumer, "other")
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


def load_state_of(folder: Path) -> KeptTransfer:
    return load_state(next(folder.glob(".concord-pull/*/state.json")))


def load_receipt_deadline(state: Path) -> int:
    return int(json.loads(state.read_bytes())["receipt"]["message"]["deadline"])


async def _pull(stage: Stage, folder: Path) -> Pulled:
    flow = transfers.pull(stage.version, folder, stage.party)
    async with AsyncClient(stage.world.url) as client:
        return await client.run(signed(flow, stage.world.url, stage.consumer.id, stage.consumer.signing))


def test_the_async_client_pulls_alike(stage: Stage, tmp_path: Path) -> None:
    asyncio.run(_pull(stage, tmp_path))
    assert found_in(tmp_path) == FILES


def test_a_revocation_in_the_middle_ends_it(stage: Stage, tmp_path: Path) -> None:
    sold = _sell(stage.world, stage.provider, stage.consumer, "ending")

    def spoil(body: bytes) -> list[bytes | None]:
        sold.provider.client.run(access.revoke(sold.grant, None, wait_s=WAIT_S))
        return [body[:100], None]

    with pytest.raises(RefusedError) as caught:
        sold.pull(tmp_path, client=Client(stage.world.url, transport=Wire(spoil)))
    assert caught.value.code == "grant-revoked"
    assert left_in(tmp_path) == {"state.json", "sealed"}


def test_a_version_that_is_sealed_anew_meanwhile_is_pulled_all_the_same(stage: Stage, tmp_path: Path) -> None:
    sold = _sell(stage.world, stage.provider, stage.consumer, "renewed")
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
    sold, client = _sell(stage.world, stage.provider, stage.consumer, "erased"), stage.provider.client
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


def _interrupted(flow: Flow[Pulled], *, is_sent: bool) -> Flow[Pulled]:
    """A pull that is cut off at its receipt: before that is sent, or before the answer is there."""
    request = next(flow)
    while True:
        if request.path.endswith("/receipt") and not is_sent:
            raise UnavailableError("cut off")
        answer = yield request
        if request.path.endswith("/receipt"):
            raise UnavailableError("cut off")
        request = flow.send(answer)


def _interrupt(stage: Stage, folder: Path, *, is_sent: bool, **more: Any) -> KeptTransfer:
    flow = transfers.pull(stage.version, folder, stage.party, **more)
    with pytest.raises(UnavailableError):
        stage.consumer.client.run(_interrupted(flow, is_sent=is_sent))
    return load_state(next(folder.rglob("state.json")))


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
    kept = _interrupt(stage, tmp_path, is_sent=True)
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
        kept = _interrupt(stage, tmp_path, is_sent=True)
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
    kept = _interrupt(stage, tmp_path, is_sent=False, clock=lambda: past)
    pulled = stage.pull(tmp_path)
    assert pulled.transfer is not None
    assert pulled.transfer.id == kept.transfer
    assert found_in(tmp_path) == FILES


def test_an_empty_answer_is_not_asked_for_for_ever(stage: Stage, tmp_path: Path) -> None:
    wire = Wire(lambda _: [])
    with pytest.raises(UnavailableError, match="sent less"):
        stage.pull(tmp_path, client=Client(stage.world.url, transport=wire))
    assert len(wire.ranges) == 8
