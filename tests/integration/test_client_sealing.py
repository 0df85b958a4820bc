"""Sealed on the provider's machine: the gateway delivers what it can not open, and the provider's client releases."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.client import Client, access, datasets, releasing, sealing, statements, transfers
from ledger.client.flow import Flow, Request
from ledger.client.sealing_keys import SealingKeyFiles
from ledger.client.transfers import Consumer
from ledger.content import scan_folder
from ledger.errors import ConflictError, LedgerError, NotFoundError, RefusedError, UnavailableError, VerificationError
from ledger.exchange import Asker, ForbiddenError, Scope
from ledger.surface.transfers import TransferState, TransferView
from ledger.types import Bytes32
from tests.support.console import Console
from tests.support.content import make_bytes
from tests.support.waiting import eventually
from tests.support.world import METADATA, PASSPHRASE, WAIT_S, Member, World, serving

SECRET = b"hour,mwh\n0,12.5 and nobody else is to know\n"
FILES = {"a.csv": SECRET, "deep/empty": b"", "large.bin": make_bytes("large", (1 << 20) + 5)}


@dataclass
class Stage:
    """A gateway, a provider that holds its own keys, and a consumer of its data."""

    world: World
    provider: Member
    consumer: Member
    keys: SealingKeyFiles

    def write(self, slug: str, files: dict[str, bytes] = FILES) -> Path:
        folder = self.world.folder / "staged" / slug
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    def push(self, folder: Path, slug: str, provider: Member | None = None, **more: Any) -> sealing.Pushed:
        by = provider or self.provider
        scanned = more.pop("scanned", None) or scan_folder(folder)
        wire = more.pop("wire", None)
        identity = more.pop("identity", by.identity)
        flow = sealing.push(folder, scanned, by.handle, slug, METADATA, self.keys, identity, **more)
        with nullcontext(by.client) if wire is None else Client(self.world.url, by.token, transport=wire) as client:
            pushed: sealing.Pushed = client.run(flow)
        by.client.run(statements.wait(pushed.registration.digest))
        return pushed

    def grant(self, slug: str, provider: Member | None = None, identity: Any = ()) -> Bytes32:
        by = provider or self.provider
        signs = by.identity if identity == () else identity
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(1)
        terms: dict[str, Any] = {"purpose": "ResearchAndDevelopment", "rights": ["read"], "valid_until": until}
        flow = access.grant(f"{by.handle}/{slug}", self.consumer.handle, signs, **terms, wait_s=WAIT_S)
        return by.client.run(flow).digest

    def pull(self, slug: str, folder: Path, provider: Member | None = None) -> transfers.Pulled:
        by = provider or self.provider
        version = self.consumer.client.run(datasets.version(f"{by.handle}/{slug}", 1))
        party = Consumer(self.consumer.id, by.id, self.consumer.identity)
        return self.consumer.client.run(transfers.pull(version, folder, party))

    def wait_for_key(self, slug: str, folder: Path, provider: Member | None = None) -> TransferView:
        """Pull until nothing but the key is missing; what waits for the provider then."""
        with pytest.raises(UnavailableError, match="released no key yet"):
            self.pull(slug, folder, provider)
        by = provider or self.provider
        return by.client.run(releasing.waiting())[-1]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("client-sealing")
    with serving(folder) as world:
        keys = SealingKeyFiles(folder / "keys", PASSPHRASE, kdf_cost=2)
        yield Stage(world, world.enroll("utility"), world.enroll("analyst"), keys)


def found_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_sealed_here_is_delivered_and_the_gateway_has_no_key(stage: Stage, tmp_path: Path) -> None:
    folder = stage.write("power")
    pushed = stage.push(folder, "power")
    assert pushed.was_sealed
    assert (pushed.sealing.is_current, pushed.sealing.is_key_here) == (True, False)
    again = stage.push(folder, "power", if_changed=True)
    assert (again.was_sealed, again.sealing.id, again.registration.version) == (False, pushed.sealing.id, 1)
    stage.grant("power")
    view = stage.wait_for_key("power", tmp_path)
    assert view.state is TransferState.RECEIPTED
    left = {Path(name).name for name in found_in(tmp_path) if Path(name).parent.name != "described"}
    assert left == {"state.json", "sealed"}
    with pytest.raises(NotFoundError):
        stage.world.gateway.sealings.unwrap(pushed.sealing.id)
    home = stage.world.folder / "home"
    assert not [path for path in home.rglob("*") if path.is_file() and SECRET in path.read_bytes()]
    released = stage.provider.client.run(releasing.release(view, stage.keys, stage.provider.identity))
    assert released.state is TransferState.RELEASED
    assert stage.provider.client.run(releasing.waiting()) == ()
    assert stage.provider.client.run(releasing.release(view, stage.keys, stage.provider.identity)).id == view.id
    stage.pull("power", tmp_path)
    assert found_in(tmp_path) == FILES


@pytest.mark.slow  # a participant more is admitted
def test_a_provider_whose_statements_the_gateway_signs_keeps_its_keys_all_the_same(
    stage: Stage, tmp_path: Path
) -> None:
    by = stage.world.enroll("chambermaid", custodial=True)
    stage.push(stage.write("kept"), "kept", by, identity=None)
    stage.grant("kept", by, identity=None)
    view = stage.wait_for_key("kept", tmp_path, by)
    with pytest.raises(NotFoundError):  # nobody else's to answer
        stage.provider.client.run(Flowing.give(view.id, {"wrapped_key": "0x" + bytes(80).hex()}))
    by.client.run(releasing.release(view, stage.keys, None))
    stage.pull("kept", tmp_path, by)
    assert found_in(tmp_path) == FILES


class Flowing:
    """Requests that no client makes."""

    @staticmethod
    def give(transfer: Bytes32, body: Any) -> Flow[Any]:
        return (yield Request("POST", f"/v1/transfers/{transfer}/release", json=body)).json

    @staticmethod
    def open(dataset: str) -> Flow[Any]:
        salt = "0x" + secrets.token_hex(32)
        return (yield Request("POST", "/v1/transfers", json={"dataset": dataset, "transfer_salt": salt})).json

    @staticmethod
    def bring(pushed: sealing.Pushed) -> Flow[Any]:
        view = pushed.sealing
        path = f"/v1/datasets/{view.dataset}/versions/{view.version}/sealings/{view.id}"
        return (yield Request("PUT", path, content=b"x")).json["id"]  # type: ignore[call-overload, index]  # an object

    @staticmethod
    def state(pushed: sealing.Pushed, digest: Bytes32) -> Flow[Any]:
        view = pushed.sealing
        path = f"/v1/datasets/{view.dataset}/versions/{view.version}/sealings/{view.id}/statement"
        return (yield Request("POST", path, json={"statement": str(digest)})).json


class Recorder(httpx.BaseTransport):
    """Keeps what is sent as ciphertext; ``is_cut``: the connection breaks before it arrives."""

    def __init__(self, *, is_cut: bool = False) -> None:
        self.inner = httpx.HTTPTransport()
        self.is_cut = is_cut
        self.sent: dict[str, bytes] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            self.sent[request.url.path] = request.read()
            if self.is_cut:
                raise httpx.WriteError("cut")
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


def test_a_push_that_is_resumed_over_a_changed_source_begins_a_new_sealing(stage: Stage) -> None:
    """The same file, name and version number; the bytes changed between the two attempts: no key meets both."""
    folder, kept = stage.write("changing"), set(found_in(stage.keys.folder))
    first = Recorder(is_cut=True)
    with pytest.raises(UnavailableError):
        stage.push(folder, "changing", wire=first)
    assert set(found_in(stage.keys.folder)) == kept  # the key is forgotten: nothing was stated under it
    (folder / "a.csv").write_bytes(SECRET[:-1] + b"!")
    second = Recorder()
    pushed = stage.push(folder, "changing", if_changed=True, wire=second)
    assert pushed.registration.version == 2
    ((one, before),), ((other, after),) = first.sent.items(), second.sent.items()
    assert one.rpartition("/")[2] != other.rpartition("/")[2]
    # Under one key and nonce the same plaintext would give the same ciphertext; none of the chunks is alike.
    assert before[: len(SECRET) - 1] != after[: len(SECRET) - 1]
    assert before[-21:] != after[-21:]
    assert stage.push(folder, "changing", if_changed=True).sealing.id == pushed.sealing.id


def test_a_source_that_changes_while_it_is_sealed_is_not_sealed_on(stage: Stage) -> None:
    folder = stage.write("restless")
    scanned, kept = scan_folder(folder), set(found_in(stage.keys.folder))
    (folder / "large.bin").write_bytes(FILES["large.bin"][:-1] + b"?")
    with pytest.raises(ConflictError) as caught:
        stage.push(folder, "restless", scanned=scanned)
    assert caught.value.code == "file-changed"
    (folder / "large.bin").unlink()
    with pytest.raises(NotFoundError, match=r"large\.bin is gone"):
        stage.push(folder, "restless", scanned=scanned, if_changed=True)
    assert set(found_in(stage.keys.folder)) == kept
    (folder / "large.bin").write_bytes(FILES["large.bin"])
    pushed = stage.push(folder, "restless", scanned=scanned, if_changed=True)
    assert (pushed.registration.version, pushed.was_sealed) == (1, True)
    other = stage.push(stage.write("another", {"x": b"x"}), "another").sealing
    assert other.statement is not None
    with pytest.raises(ConflictError, match="of another sealing"):
        stage.provider.client.run(Flowing.state(pushed, other.statement))
    elsewhere = replace(pushed, sealing=replace(pushed.sealing, id=other.id))
    with pytest.raises(NotFoundError, match="push it again"):
        stage.provider.client.run(Flowing.state(elsewhere, other.statement))


@pytest.mark.slow
def test_sealing_anew_takes_the_place_of_what_was_sealed(stage: Stage) -> None:
    folder = stage.write("twice")
    before = stage.push(folder, "twice")
    assert stage.provider.client.run(Flowing.bring(before)) == str(before.sealing.id)  # it is there, and is not read
    stage.keys.forget(before.sealing.id)  # the key is lost
    after = stage.push(folder, "twice", if_changed=True)
    assert (after.registration.version, after.was_sealed) == (1, True)
    assert not stage.world.gateway.sealings.is_current(before.sealing.id)
    with pytest.raises(ConflictError, match="has ended"):
        stage.provider.client.run(Flowing.bring(before))
    again = stage.push(folder, "twice")  # said to be new
    assert again.registration.version == 2
    assert stage.keys.has(after.sealing.id)  # version 1 is delivered under it
    data = stage.world.folder / "home" / "content"
    assert not [path for path in data.rglob("*") if before.sealing.id.hex() in path.as_posix() and path.is_file()]


@pytest.mark.slow
def test_a_push_seals_anew_once_a_grant_is_over(stage: Stage, tmp_path: Path) -> None:
    folder = stage.write("due")
    pushed = stage.push(folder, "due")
    first = stage.grant("due")
    stage.wait_for_key("due", tmp_path)  # it was given, even without the key
    stage.grant("due")
    client = stage.provider.client
    assert not client.run(sealing.current(pushed.registration)).is_due
    client.run(access.revoke(first, stage.provider.identity, wait_s=WAIT_S))
    eventually(lambda: client.run(sealing.current(pushed.registration)).is_due)
    kept = client.run(sealing.current(pushed.registration))
    assert kept.id == pushed.sealing.id  # the gateway can not seal it, and others are still permitted
    again = stage.push(folder, "due", if_changed=True)
    assert (again.was_sealed, again.registration.version) == (True, 1)
    assert not client.run(sealing.current(pushed.registration)).is_due
    assert not stage.push(folder, "due", if_changed=True).was_sealed


@pytest.mark.slow
def test_a_receipt_of_something_else_is_not_answered(stage: Stage, tmp_path: Path) -> None:
    stage.push(stage.write("lied", {"x": b"x"}), "lied")
    stage.grant("lied")
    view = stage.wait_for_key("lied", tmp_path)
    nothing = Bytes32(bytes(32))
    for lie in ({"id": nothing}, {"grant": nothing}, {"consumer": nothing}, {"provider": nothing}):
        with pytest.raises(VerificationError, match="the receipt names another"):
            stage.provider.client.run(releasing.release(replace(view, **lie), stage.keys, stage.provider.identity))  # type: ignore[arg-type]  # by name
    for spoil in (_with_another_recipient, _signed_by_another):
        with pytest.raises(VerificationError, match="no key was released"):
            stage.provider.client.run(spoil(releasing.release(view, stage.keys, stage.provider.identity)))
    assert [each.id for each in stage.provider.client.run(releasing.waiting())] == [view.id]
    with pytest.raises(LedgerError):
        stage.provider.client.run(Flowing.give(view.id, {}))
    with pytest.raises(NotFoundError):
        stage.provider.client.run(Flowing.give(view.id, {"statement": str(nothing)}))
    other = stage.wait_for_key("lied", tmp_path / "again")
    done = stage.provider.client.run(releasing.release(view, stage.keys, stage.provider.identity))
    assert done.release is not None
    with pytest.raises(RefusedError, match="names another transfer"):
        stage.provider.client.run(Flowing.give(other.id, {"statement": str(done.release.digest)}))
    begun = Bytes32.parse(stage.consumer.client.run(Flowing.open("utility/lied"))["id"])
    with pytest.raises(ConflictError, match="nothing was receipted yet"):
        stage.provider.client.run(Flowing.give(begun, {"wrapped_key": "0x" + bytes(80).hex()}))
    stage.provider.client.run(releasing.release(other, stage.keys, stage.provider.identity))


def _with_another_recipient(flow: Flow[TransferView]) -> Flow[TransferView]:
    """The gateway puts a key of its own in the place of the consumer's."""
    return _spoilt(flow, lambda raw: raw["message"].update(recipientKey="0x" + secrets.token_hex(32)))


def _signed_by_another(flow: Flow[TransferView]) -> Flow[TransferView]:
    return _spoilt(flow, lambda raw: raw.update(signature=raw["signature"][:-4] + "001b"))


def _spoilt(flow: Flow[TransferView], spoil: Any) -> Flow[TransferView]:
    request = next(flow)
    while True:
        answer = yield request
        if request.path.startswith("/v1/statements/0x"):
            spoil(answer.json)
        try:
            request = flow.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # the flow's own


def test_nobody_else_seals_a_version(stage: Stage) -> None:
    pushed = stage.push(stage.write("mine", {"x": b"x"}), "mine")
    room, other = stage.world.gateway.client_sealings, Asker(stage.consumer.id, frozenset({Scope.WRITE}))
    with pytest.raises(ForbiddenError):
        room.current(other, "utility/mine", 1)
    with pytest.raises(NotFoundError):
        room.current(other, "utility/mine", 2)
    with pytest.raises(NotFoundError):
        stage.provider.client.run(sealing.current(replace(pushed.registration, version=3)))


def test_the_commands_push_and_release(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("CONCORD_SEALING_KEYS", str(tmp_path / "keys"))
    folder = stage.write("commanded")
    named = ("dataset", "push", folder, "utility/commanded", "--if-changed")
    concord.be(stage.provider)
    assert "sealed: 1,048," in concord.ok_quietly(*named, "--wait", "final")
    assert "unchanged: sealed before" in concord.ok_quietly(*named)
    stage.grant("commanded")
    stage.wait_for_key("commanded", tmp_path / "in")
    monkeypatch.setenv("CONCORD_SEALING_KEYS", str(tmp_path / "no-keys"))
    ran = concord.run("transfer", "release")
    assert (ran.code, ran.out) == (0, "nothing was released\n")
    assert "is not answered: there is no key file" in ran.err
    monkeypatch.setenv("CONCORD_SEALING_KEYS", str(tmp_path / "keys"))
    assert f"released to {stage.consumer.id}" in concord.ok_quietly("transfer", "release")
    stage.pull("commanded", tmp_path / "in")
    assert found_in(tmp_path / "in") == FILES
