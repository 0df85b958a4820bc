"""Deliveries that a gateway fetches for its own consumer: one gateway on both sides, a faulty proxy between them."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ledger.client import access, datasets, deliveries, statements
from ledger.client.sealed_files import load_state
from ledger.content import scan_folder, sealing_files
from ledger.content.release import wrap_key
from ledger.errors import ConflictError, NotFoundError, RefusedError
from ledger.exchange import Gateway
from ledger.exchange.transfers import keys
from ledger.statements import Statement, recover_signer
from ledger.surface.deliveries import DeliveryState, DeliveryView
from ledger.types import Bytes32, parse_hex
from tests.support.console import Console
from tests.support.content import make_bytes
from tests.support.fault_proxy import Asked, Fault, FaultProxy, running_proxy
from tests.support.pulling import OtherBytes
from tests.support.waiting import eventually
from tests.support.world import METADATA, WAIT_S, Member, World, found_for, listening, running, settings_of

FILES: Final = {"a.csv": b"hour,mwh\n0,12.5\n", "deep/empty": b"", "large.bin": make_bytes("large", (2 << 20) + 5)}
MOST_BYTES: Final = 6 << 20
NUMBERS = count()


@dataclass
class Stage:
    """A gateway that holds the keys of provider and consumer; it reaches itself by a proxy alone."""

    world: World
    proxy: FaultProxy
    provider: Member
    consumer: Member
    name: str = ""
    """a version that the consumer was granted"""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def folder(self) -> Path:
        return self.world.folder / "home" / "deliveries"

    def sell(self, files: dict[str, bytes] = FILES) -> tuple[str, Bytes32]:
        """A registered version and the grant that permits it."""
        slug = f"sold-{next(NUMBERS)}"
        folder = self.world.folder / "staged" / slug
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        client = self.provider.client
        made = client.run(datasets.register(folder, scan_folder(folder), "utility", slug, METADATA))
        client.run(statements.wait(made.digest))
        until = datetime.now(UTC) + timedelta(1)
        flow = access.grant(
            f"utility/{slug}", "analyst", None, purpose="ResearchAndDevelopment", rights=["read"], valid_until=until,
            wait_s=WAIT_S,
        )  # fmt: skip
        return f"utility/{slug}", client.run(flow).digest

    def start(self, name: str, **more: Any) -> DeliveryView:
        return self.consumer.client.run(deliveries.start(name, **more))

    def deliver(self, name: str, **more: Any) -> DeliveryView:
        return self.consumer.client.run(deliveries.wait(self.start(name, **more).id))

    def fail(self, name: str) -> RefusedError:
        with pytest.raises(RefusedError) as caught:
            self.deliver(name)
        return caught.value

    def show(self, delivery: Bytes32) -> DeliveryView:
        return self.consumer.client.run(deliveries.show(delivery))

    def fetched(self, view: DeliveryView) -> list[int]:
        """From which bytes on the provider's gateway was asked for data."""
        return [each.first_byte for each in self.proxy.asked if each.target.endswith(f"{view.transfer}/data")]

    def sealed_file_of(self, delivery: Bytes32) -> Path:
        """Where the provider keeps what it sends."""
        transfer = self.show(delivery).transfer
        assert transfer is not None
        gateway = self.world.gateway
        sealed = gateway.sealings.find(gateway.parts.store.transfers.get(transfer).sealing)
        assert sealed is not None
        stored = (self.world.folder / "home" / "content").rglob(f"*{sealed.id.hex()}*/**/*")
        return max((path for path in stored if path.is_file()), key=lambda path: path.stat().st_size)

    def plaintext_of(self, delivery: Bytes32) -> list[Path]:
        place = self.folder / delivery.hex()
        return [path for name in ("receiving/plain", "files") for path in (place / name).rglob("*")]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("deliveries")
    founded = found_for(folder / "home")
    with listening() as (sock, url), running_proxy(sock.getsockname()[1]) as proxy:
        endpoint = f"http://127.0.0.1:{proxy.port}"
        settings = replace(settings_of(folder / "home"), peers=endpoint, deliveries_most_bytes=MOST_BYTES)
        gateway = Gateway.open(settings)
        with running(gateway, sock):
            world = World(folder, founded, gateway, url)
            provider, consumer = world.enroll("utility", custodial=True), world.enroll("analyst", custodial=True)
            profile = statements.state(
                "ProfileUpdate",
                {"profile": {"handle": "utility", "name": "Utility", "endpoint": endpoint}},
                wait_s=WAIT_S,
            )
            provider.client.run(profile)
            stage = Stage(world, proxy, provider, consumer)
            stage.name, _ = stage.sell()
            yield stage
            for client in world.clients:
                client.close()


@pytest.fixture
def stage(opened: Stage) -> Iterator[Stage]:
    yield opened
    opened.proxy.rule = None
    for each in opened.consumer.client.run(deliveries.list_all()):
        opened.consumer.client.run(deliveries.cancel(each.id))
    eventually(lambda: not any(opened.folder.iterdir()))


def found_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def spoiling(part: str, *faults: Fault) -> Callable[[Asked], Fault | None]:
    """Spoils the first requests whose path ends so, each in its own way."""
    left = iter(faults)
    return lambda asked: next(left, None) if asked.target.endswith(part) else None


def test_a_version_is_delivered_to_a_consumer_whose_key_the_gateway_holds(stage: Stage, tmp_path: Path) -> None:
    name, grant = stage.sell({"b.csv": b"b", **FILES})
    view = stage.deliver(name, grant=grant)
    size = sum(map(len, FILES.values())) + 1
    assert (view.state, view.endpoint, view.files, view.size_bytes) == ("delivered", stage.endpoint, 4, size)
    assert view.received_bytes == view.total_bytes == size + 6 * 16
    assert view.error is None
    client = stage.consumer.client
    client.run(deliveries.download(view.id, tmp_path))
    assert found_below(tmp_path) == {"b.csv": b"b", **FILES}
    assert stage.deliver(name).id == view.id
    assert [each.id for each in client.run(deliveries.list_all())] == [view.id]
    kept = json.loads(client.run(deliveries.statements(view.id)))
    assert sorted(kept) == ["receipt", "release", "sealing"]
    receipt = Statement.parse("TransferReceipt", kept["receipt"]["message"])
    digest = receipt.digest(stage.world.domains)
    assert str(recover_signer(digest, parse_hex(kept["receipt"]["signature"]))) == kept["receipt"]["signer"]
    assert receipt.participant == stage.consumer.id
    assert kept["receipt"]["digest"] == str(digest)
    left = {path.name for path in (stage.folder / view.id.hex()).iterdir()}
    assert left == {"files", "manifest.json", "statements.json"}, "the private key of the transfer is gone"
    assert stage.folder.stat().st_mode & 0o777 == 0o700
    client.run(deliveries.cancel(view.id))
    with pytest.raises(NotFoundError):
        stage.show(view.id)
    assert not any(stage.folder.iterdir())


def test_a_delivered_file_is_served_in_parts_and_to_its_consumer_alone(stage: Stage) -> None:
    view = stage.deliver(stage.name)
    path = f"/v1/deliveries/{view.id}/files"

    def get(url: str, who: Member | str, **headers: str) -> httpx.Response:
        token = who if isinstance(who, str) else who.token
        return httpx.get(stage.world.url + url, headers={"Authorization": f"Bearer {token}", **headers})

    whole, part = get(f"{path}/a.csv", stage.consumer), get(f"{path}/a.csv", stage.consumer, Range="bytes=5-8")
    assert (whole.status_code, whole.content) == (200, FILES["a.csv"])
    assert (part.status_code, part.content) == (206, FILES["a.csv"][5:9])
    assert part.headers["content-range"] == f"bytes 5-8/{len(FILES['a.csv'])}"
    assert get(f"{path}/deep/empty", stage.consumer).content == b""
    assert get(f"{path}/a.csv", stage.consumer, Range="bytes=99-").status_code == 416
    assert get(f"{path}/state.json", stage.consumer).status_code == 404
    assert get(f"{path}/..%2Fmanifest.json", stage.consumer).status_code == 404
    for other in (stage.provider, stage.world.founded.api_keys["chamber"]):
        for url in (path, f"{path}/a.csv", f"/v1/deliveries/{view.id}", f"/v1/deliveries/{view.id}/statements"):
            assert get(url, other).status_code == 404
    assert get("/v1/deliveries", stage.provider).json() == {"deliveries": []}


def test_a_broken_connection_is_gone_on_from_the_last_good_chunk(stage: Stage) -> None:
    stage.proxy.rule = spoiling("/data", Fault(response_bytes=2000), Fault(response_bytes=(1 << 20) + 5000), Fault(503))
    view = stage.deliver(stage.name)
    small = len(FILES["a.csv"]) + 16 + 16  # and the empty file
    assert set(stage.fetched(view)) == {0, small, small + (1 << 20) + 16}


def test_what_can_not_go_on_now_waits_says_why_and_goes_on_by_itself(stage: Stage) -> None:
    stage.proxy.rule = lambda _: Fault(503)
    view = stage.start(stage.name)
    eventually(lambda: stage.show(view.id).state is DeliveryState.WAITING)
    told = stage.show(view.id)
    assert told.error is not None
    assert told.error.code == "unavailable"
    assert told.next_try_at is not None
    with pytest.raises(ConflictError, match="when it is delivered"):
        stage.consumer.client.run(deliveries.files(view.id))
    stage.proxy.rule = None
    assert stage.consumer.client.run(deliveries.wait(view.id)).state is DeliveryState.DELIVERED


def test_one_that_nobody_answers_is_cancelled_at_once(stage: Stage) -> None:
    stage.proxy.rule = spoiling("/data", Fault(stall=True))
    view = stage.start(stage.name)
    eventually(lambda: stage.proxy.count("GET", f"{stage.show(view.id).transfer}/data") > 0)
    assert stage.show(view.id).state is DeliveryState.RUNNING
    stage.consumer.client.run(deliveries.cancel(view.id))
    eventually(lambda: not (stage.folder / view.id.hex()).exists())
    eventually(lambda: stage.world.gateway.parts.store.deliveries.find(view.id) is None)
    assert stage.deliver(stage.name).id != view.id


def test_what_does_not_fit_is_refused_before_it_is_fetched(stage: Stage) -> None:
    name, _ = stage.sell({"large.bin": make_bytes("too large", MOST_BYTES // 2 + 1)})
    error = stage.fail(name)
    assert error.code == "no-room"
    assert "CONCORD_DELIVERIES_MOST_BYTES" in str(error)
    (view,) = stage.consumer.client.run(deliveries.list_all())
    assert (view.state, view.received_bytes, stage.fetched(view)) == ("failed", 0, [])


def test_a_revocation_in_the_middle_ends_it_and_no_plaintext_is_there(stage: Stage) -> None:
    name, grant = stage.sell()

    def revoke(asked: Asked) -> Fault | None:
        if asked.target.endswith("/data"):
            stage.provider.client.run(access.revoke(grant, None, wait_s=WAIT_S))
        return Fault(response_bytes=2000)

    stage.proxy.rule = lambda asked: revoke(asked) if asked.target.endswith("/data") else None
    error = stage.fail(name)
    assert error.code == "grant-revoked"
    (view,) = stage.consumer.client.run(deliveries.list_all())
    assert stage.plaintext_of(view.id) == []


def test_a_changed_chunk_fails_it_and_started_again_it_goes_on(stage: Stage, tmp_path: Path) -> None:
    stage.proxy.rule = lambda asked: Fault(404) if asked.target.endswith("/data") else None
    view = stage.start(stage.name)
    eventually(lambda: stage.show(view.id).transfer is not None)
    stored = stage.sealed_file_of(view.id)
    right = stored.read_bytes()
    stored.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    stage.proxy.rule = None
    error = stage.fail(stage.name)
    assert error.code == "verification-failed"
    assert "sealed chunk 4" in str(error)
    assert stage.plaintext_of(view.id) == []
    assert (stage.folder / view.id.hex() / "receiving" / "sealed").stat().st_size > 1 << 20, "the good chunks stay"
    stored.write_bytes(right)
    assert stage.deliver(stage.name).id == view.id
    stage.consumer.client.run(deliveries.download(view.id, tmp_path))
    assert found_below(tmp_path) == FILES


def test_a_wrong_key_fails_it_and_leaves_what_shows_it(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "wrap_key", lambda _, *to: wrap_key(bytes(32), *to))  # what the provider does
    error = stage.fail(stage.name)
    assert "released a wrong key" in str(error)
    assert str(stage.world.folder) not in str(error)
    (view,) = stage.consumer.client.run(deliveries.list_all())
    assert stage.plaintext_of(view.id) == []
    state = tmp_path / "state.json"
    state.write_bytes(stage.consumer.client.run(deliveries.private_state(view.id)))
    assert load_state(state).transfer == view.transfer


def test_a_key_that_was_released_opens_what_was_receipted_whatever_came_since(stage: Stage, tmp_path: Path) -> None:
    def cut(asked: Asked) -> Fault | None:
        if asked.target.endswith("/receipt"):
            return Fault(response_bytes=0)
        return Fault(503) if asked.target.count("/") == 3 else None  # asked for the transfer itself

    stage.proxy.rule = cut
    view = stage.start(stage.name)
    eventually(lambda: stage.show(view.id).state is DeliveryState.WAITING)
    begun = stage.show(view.id)
    asyncio.run(stage.world.gateway.sealings.replace(begun.registration))
    stage.proxy.rule = None
    done = stage.consumer.client.run(deliveries.wait(view.id))
    assert (done.state, done.transfer) == (DeliveryState.DELIVERED, begun.transfer)
    stage.consumer.client.run(deliveries.download(view.id, tmp_path))
    assert found_below(tmp_path) == FILES


def test_files_that_a_restore_did_not_bring_are_fetched_anew(stage: Stage, tmp_path: Path) -> None:
    view = stage.deliver(stage.name)
    shutil.rmtree(stage.folder / view.id.hex())
    with pytest.raises(NotFoundError):
        stage.consumer.client.run(deliveries.download(view.id, tmp_path))
    stage.world.gateway.deliveries.fetching.resume()  # as the next start does
    lost = stage.show(view.id)
    assert lost.error is not None
    assert (lost.state, lost.error.code) == ("failed", "files-lost")
    assert stage.deliver(stage.name).id == view.id
    stage.consumer.client.run(deliveries.download(view.id, tmp_path))
    assert found_below(tmp_path) == FILES


def test_who_may_not_have_it_delivered_is_told_why(stage: Stage) -> None:
    own_key = stage.world.enroll("laboratory")
    with pytest.raises(RefusedError, match="own data"):
        stage.provider.client.run(deliveries.start(stage.name))
    with pytest.raises(ConflictError, match="holds no active key"):
        own_key.client.run(deliveries.start(stage.name))
    with pytest.raises(RefusedError, match="scope write"):
        stage.world.client(stage.world.api_key("read", participant="analyst")).run(deliveries.start(stage.name))
    with pytest.raises(RefusedError, match="bound to none"):
        stage.world.client(stage.world.api_key("write")).run(deliveries.start(stage.name))
    with pytest.raises(RefusedError, match="did not list it") as caught:
        stage.start(stage.name, source="http://169.254.169.254/latest")
    assert caught.value.code == "unknown-peer"
    with pytest.raises(NotFoundError, match="by its id"):
        stage.start("stranger/power")
    assert stage.consumer.client.run(deliveries.list_all()) == ()


def test_the_commands_deliver_show_and_remove(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord, name = Console(stage.world, tmp_path, monkeypatch, capsys), stage.name
    analyst, target = stage.consumer, tmp_path / "in"
    told = concord.ok(analyst, "delivery", "start", f"{name}@1", "--from", stage.endpoint, "--to", target)
    assert "3 files" in told
    assert found_below(target) == FILES
    (listed,) = concord.answer(analyst, "delivery", "list")
    delivery = listed["id"]
    assert "delivered" in concord.ok(analyst, "delivery", "show", delivery)
    assert "large.bin" in concord.ok(analyst, "delivery", "files", delivery)
    assert "at your gateway" in concord.ok(analyst, "delivery", "start", name)
    concord.ok(analyst, "delivery", "statements", delivery, "-o", tmp_path / "statements.json")
    assert json.loads((tmp_path / "statements.json").read_bytes())["receipt"]["type"] == "TransferReceipt"
    evidence, policy, rpc = tmp_path / "evidence.json", tmp_path / "policy.json", f"{stage.world.url}/rpc"
    consortium = ("--consortium", tmp_path / "consortium.json")
    concord.ok_quietly("policy", "create", "--rpc", rpc, *consortium, "-o", policy)
    concord.ok(analyst, "delivery", "evidence", delivery, "-o", evidence, "--policy", policy)
    assert concord.run("verify", evidence, "--policy", policy, "--rpc", rpc).code == 0
    with pytest.raises(NotFoundError):
        analyst.client.run(deliveries.evidence(Bytes32.parse(delivery), "other"))
    concord.fail(analyst, 4, "no state.json now", "delivery", "state", delivery, "-o", tmp_path / "state.json")
    concord.fail(analyst, 1, "fetches nothing from", "delivery", "start", name, "--from", "http://192.0.2.1")
    assert "removed" in concord.ok(analyst, "delivery", "cancel", delivery)
    concord.fail(analyst, 4, "no delivery to you", "delivery", "show", delivery)
    stage.proxy.rule = lambda _: Fault(503)
    begun = concord.answer(analyst, "delivery", "start", name, "--no-wait")
    assert begun["state"] in ("queued", "running", "waiting")
    concord.fail(analyst, 1, "the files are there", "delivery", "files", begun["id"])


def test_a_provider_that_sealed_something_else_is_shown_by_its_delivery(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    concord.be(stage.consumer)
    name, _ = stage.sell({"a.csv": FILES["a.csv"]})
    with monkeypatch.context() as patched:
        patched.setattr(sealing_files, "AESGCM", OtherBytes)
        refused = stage.fail(name)
    assert refused.code == "verification-failed"
    assert "something else than it registered" in str(refused)
    delivery = Bytes32.parse(str(refused.facts["delivery"]))
    assert not stage.plaintext_of(delivery)
    evidence, policy = tmp_path / "evidence.json", tmp_path / "policy.json"
    rpc = ("--rpc", f"{stage.world.url}/rpc")
    concord.ok_quietly("policy", "create", *rpc, "--consortium", tmp_path / "consortium.json", "-o", policy)
    command = ("transfer", "breach", delivery, "--policy", policy, "--output", evidence, *rpc)
    ran = concord.run(*command)
    assert ran.code == 1, ran
    assert "did not deliver what it registered: sealed chunk 0 of a.csv opens to other bytes" in ran.out
    stage.proxy.rule = lambda _: Fault(response_bytes=0)
    assert concord.run(*command).code in {2, 4}, "without the provider's gateway, and without --part"


def test_a_wrong_key_is_shown_by_its_delivery(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord = Console(stage.world, tmp_path, monkeypatch, capsys)
    concord.be(stage.consumer)
    name, _ = stage.sell({"a.csv": FILES["a.csv"]})
    with monkeypatch.context() as patched:
        patched.setattr(keys, "wrap_key", lambda _, *to: wrap_key(bytes(32), *to))
        refused = stage.fail(name)
    evidence, policy = tmp_path / "evidence.json", tmp_path / "policy.json"
    rpc = ("--rpc", f"{stage.world.url}/rpc")
    concord.ok_quietly("policy", "create", *rpc, "--consortium", tmp_path / "consortium.json", "-o", policy)
    command = ("transfer", "breach", refused.facts["delivery"], "--policy", policy, "--output", evidence)
    ran = concord.run(*command)
    assert ran.code == 1, ran
    assert "did not deliver the key to what was receipted" in ran.out
