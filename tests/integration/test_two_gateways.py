"""Two gateways on one chain, each with its own log: what one states the other reads, data go from one to the other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from ledger.canonical import JsonValue
from ledger.client import Client, access, datasets, participants, statements, transfers
from ledger.client.sealed_files import load_state
from ledger.client.signed import signed
from ledger.client.transfers import Consumer
from ledger.content import scan_folder
from ledger.errors import LedgerError, RefusedError, UnavailableError
from ledger.exchange import GatewaySettings
from ledger.exchange.doctor import Standing, diagnose
from ledger.keyfiles import write_key_file
from ledger.statements import compute_log_id
from ledger.surface.transfers import AccessView
from ledger.surface.views import DatasetView, VersionView
from ledger.types import Bytes32
from tests.support.console import Console, draw_key_file
from tests.support.content import make_bytes, write_files
from tests.support.fault_proxy import Asked, Fault
from tests.support.served import ROOT, environment
from tests.support.two_gateways import TwoGateways, gateways
from tests.support.waiting import eventually
from tests.support.world import METADATA, PASSPHRASE, WAIT_S, World

__all__ = ["gateways"]

pytestmark = pytest.mark.timeout(900)  # two services start, and a loaded machine is slow

FILES = {"a.csv": b"hour,mwh\n0,12.5\n", "deep/empty": b"", "large.bin": make_bytes("large", (2 << 20) + 5)}
CUT = (1 << 20) + 4096
"""Into the second chunk of the large file, heads of the answer and all."""


def found_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_no_plaintext(folder: Path) -> Path:
    """Nothing lies there but what the pull received sealed; the path of its state."""
    left = {Path(name).name for name in found_in(folder) if Path(name).parent.name != "described"}
    assert left == {"state.json", "sealed"}
    return next(folder.rglob("state.json"))


@pytest.fixture
def spoilt(gateways: TwoGateways) -> Iterator[TwoGateways]:
    """With a proxy that a test spoils, and that is whole again afterwards."""
    yield gateways
    gateways.proxy.rule = None


@pytest.fixture(scope="module")
def sold(gateways: TwoGateways) -> VersionView:
    """A version of the chamber's that the analyst may read, as B knows it."""
    made = gateways.register("power", FILES)
    gateways.grant("power")
    return gateways.version(made)


@pytest.fixture
def console(
    gateways: TwoGateways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Console:
    """The command of the analyst, who asks B alone and has its own key."""
    world = World(tmp_path, gateways.founded, None, gateways.b.url)  # type: ignore[arg-type]  # B runs elsewhere
    console = Console(world, tmp_path, monkeypatch, capsys)
    write_key_file(tmp_path / "own.key", gateways.signing._private_key, PASSPHRASE, kdf_cost=2)
    monkeypatch.setenv("CONCORD_KEY", str(tmp_path / "own.key"))
    monkeypatch.setenv("CONCORD_API_KEY", gateways.joined.api_key)
    return console


def given(gateways: TwoGateways, transfer: Bytes32) -> list[AccessView]:
    """What A says that it gave of a transfer, the oldest first."""
    return list(reversed(gateways.chamber.run(transfers.accesses(transfer))))


def data_begun(gateways: TwoGateways, before: int) -> list[int]:
    """From which byte on data were asked for, each time since the proxy had seen ``before`` such requests."""
    return [each.first_byte for each in gateways.proxy.asked if each.target.endswith("/data")][before:]


def test_each_indexes_what_the_other_states_and_writes_to_its_own_log(
    gateways: TwoGateways, sold: VersionView, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "staged", {"b.csv": b"1\n"})
    made = gateways.analyst.run(
        datasets.register(folder, scan_folder(folder), "analyst", "forecast", METADATA, gateways.identity)
    )
    gateways.analyst.run(statements.wait(made.digest))
    gateways.catch_up()
    at_a, at_b = gateways.chamber, gateways.analyst
    for dataset in (sold.dataset, made.dataset):
        seen = [each.run(datasets.version(str(dataset), 1)) for each in (at_a, at_b)]
        assert (seen[0].registration, seen[0].content_hash) == (seen[1].registration, seen[1].content_hash)
        assert len({each.run(datasets.show(str(dataset))).provider for each in (at_a, at_b)}) == 1
    standing = [
        [
            (each.handle, each.id, each.status, each.endpoint, each.profile_hash)
            for each in client.run(participants.list_all())
        ]
        for client in (at_a, at_b)
    ]
    known = [each for each in standing[0] if each[0] != "regulator"]
    assert [each for each in standing[1] if each[0] is not None] == known
    grants = [each.run(access.grants(dataset=str(sold.dataset))) for each in (at_a, at_b)]
    assert [each.digest for each in grants[0]] == [each.digest for each in grants[1]]
    notes = [httpx.get(f"{each.url}/v1/log/checkpoint").text.splitlines() for each in (gateways.a, gateways.b)]
    assert [note[0] for note in notes] == ["a.example/log", "b.example/log"]
    assert int(notes[1][1]) == 2  # its opening and the registration; nothing of A's
    statements_of = [each.run(statements.list_all(type_name="DatasetRegistration")) for each in (at_a, at_b)]
    assert [{Bytes32.parse(str(each["digest"])) for each in found} for found in statements_of] == [
        {sold.registration},
        {made.digest},
    ]


def test_the_doctor_finds_nothing_wrong_at_either(gateways: TwoGateways, sold: VersionView) -> None:
    for each in (gateways.a, gateways.b):
        settings = GatewaySettings(home=each.home, passphrase=PASSPHRASE, database_url=each.database_url)
        failed = {check.name for check in diagnose(settings, each.url) if check.standing is Standing.FAILED}
        assert failed <= {"disk"}


def test_the_command_pulls_from_the_other_gateway_and_the_evidence_names_both_logs(
    gateways: TwoGateways, sold: VersionView, console: Console, tmp_path: Path
) -> None:
    target, evidence, policy = tmp_path / "in", tmp_path / "evidence.json", tmp_path / "policy.json"
    told = console.ok_quietly("dataset", "pull", f"{sold.dataset}@1", "--to", target, "--evidence", evidence)
    assert "3 files" in told
    assert found_in(target) == FILES
    node = ("--rpc", gateways.node.rpc_url)
    console.ok_quietly("policy", "create", *node, "--consortium", tmp_path / "consortium.json", "-o", policy)
    pinned = {each["origin"] for each in json.loads(policy.read_bytes())["logs"]}
    assert pinned == {"a.example/log", "b.example/log"}
    assert console.run("verify", evidence, "--policy", policy, *node).code == 0
    digest = gateways.analyst.run(statements.list_all(type_name="DatasetRegistration"))[0]["digest"]
    own = tmp_path / "own.json"
    console.ok_quietly("evidence", "statement", digest, "-o", own)
    assert console.run("verify", own, "--policy", policy, *node).code == 0


def test_the_network_is_cut_again_and_again_and_as_the_key_comes(
    spoilt: TwoGateways, sold: VersionView, tmp_path: Path
) -> None:
    cuts, lost = iter([100, CUT, 5000]), iter([0])

    def rule(asked: Asked) -> Fault | None:
        if asked.target.endswith("/receipt"):
            return Fault(response_bytes=next(lost, None))  # the key was released, and its answer does not arrive
        return Fault(response_bytes=next(cuts, None)) if asked.target.endswith("/data") else None

    spoilt.proxy.rule = rule
    before = spoilt.proxy.count("GET", "/data")
    pulled = spoilt.pull(sold, tmp_path)
    assert found_in(tmp_path) == FILES
    assert spoilt.proxy.count("GET", "/data") - before == 4
    assert pulled.transfer is not None
    data = data_begun(spoilt, before)
    assert data == [0, 0, data[-1], data[-1]], "each from the last good chunk"
    assert data[-1] > 0
    assert [each.what for each in given(spoilt, pulled.transfer.id)].count("key") == 1


@pytest.mark.slow
def test_the_provider_is_killed_in_the_middle_and_the_pull_goes_on_when_it_is_back(
    spoilt: TwoGateways, sold: VersionView, tmp_path: Path
) -> None:
    asked_before = spoilt.proxy.count("GET", "/data")

    def rule(asked: Asked) -> Fault | None:
        if not asked.target.endswith("/data"):
            return None
        if spoilt.proxy.count("GET", "/data") - asked_before == 1:
            return Fault(response_bytes=CUT)
        spoilt.a.kill()
        return None

    spoilt.proxy.rule = rule
    with pytest.raises(UnavailableError):
        spoilt.pull(sold, tmp_path)
    state = check_no_plaintext(tmp_path)
    transfer = load_state(state).transfer
    spoilt.proxy.rule = None
    spoilt.a.start()
    pulled = spoilt.pull(sold, tmp_path)
    assert found_in(tmp_path) == FILES
    assert pulled.transfer is not None
    assert pulled.transfer.id == transfer
    begun = data_begun(spoilt, asked_before)
    assert begun[0] == 0
    assert min(begun[1:]) == max(begun) > 0, "each time from the last good chunk, none that is there again"
    accesses = given(spoilt, transfer)
    assert [each.what for each in accesses].count("key") == 1
    assert accesses[-1].what == "key"
    # What was asked for again under the same block is one with what was asked for before, wherever that stands.
    data = [each for each in accesses if each.what == "data"]
    assert {each.last_byte for each in data} == {pulled.transfer.size_bytes - 1}
    assert min(each.first_byte for each in data if each.first_byte is not None) == 0
    assert max(each.block for each in data) <= accesses[-1].block


@pytest.mark.slow
def test_the_consumer_and_its_gateway_are_killed_and_go_on_where_they_were(
    spoilt: TwoGateways, sold: VersionView, console: Console, tmp_path: Path
) -> None:
    waits, asked_before = threading.Event(), spoilt.proxy.count("GET", "/data")

    def rule(asked: Asked) -> Fault | None:
        if not asked.target.endswith("/data"):
            return None
        if spoilt.proxy.count("GET", "/data") - asked_before == 1:
            return Fault(response_bytes=CUT)
        waits.set()
        return Fault(stall=True)

    spoilt.proxy.rule = rule
    target = tmp_path / "in"
    command = [sys.executable, "-m", "scripts.concord", "dataset", "pull", f"{sold.dataset}@1", "--to", str(target)]
    child = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL)
    eventually(waits.is_set, 300)
    child.kill()
    child.wait(60)
    check_no_plaintext(target)
    spoilt.proxy.rule = None
    spoilt.b.kill()
    made = spoilt.register("meanwhile", {"d.csv": b"3\n"})
    spoilt.b.start()
    assert spoilt.version(made).registration == made.digest
    console.ok_quietly("dataset", "pull", f"{sold.dataset}@1", "--to", target)
    assert found_in(target) == FILES
    data = data_begun(spoilt, asked_before)
    assert (data[0], data[-1] > 0) == (0, True)


def test_a_grant_revoked_at_the_other_gateway_ends_a_transfer_in_the_middle(
    spoilt: TwoGateways, tmp_path: Path
) -> None:
    made = spoilt.register("ending", FILES)
    grant = spoilt.grant("ending")
    version = spoilt.version(made)
    asked_before = spoilt.proxy.count("GET", "/data")

    def rule(asked: Asked) -> Fault | None:
        if not asked.target.endswith("/data"):
            return None
        if spoilt.proxy.count("GET", "/data") - asked_before == 1:
            return Fault(response_bytes=CUT)
        spoilt.revoke(grant)
        return None

    spoilt.proxy.rule = rule
    with pytest.raises(RefusedError) as revoked:
        spoilt.pull(version, tmp_path)
    assert revoked.value.code == "grant-revoked"
    state = check_no_plaintext(tmp_path)
    assert [each.what for each in given(spoilt, load_state(state).transfer)][-1] == "data", "and no key"
    spoilt.catch_up()
    [seen] = spoilt.analyst.run(access.grants(dataset=str(made.dataset)))
    assert (seen.digest, seen.state) == (grant, "revoked")


class Relaying(httpx.BaseTransport):
    """Brings requests to another gateway than the one that they were signed for, and remembers them."""

    def __init__(self, authority: str | None, times: int = 1) -> None:
        self.inner = httpx.HTTPTransport()
        self.authority = authority
        self.times = times

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.authority is not None:
            request.headers["Host"] = self.authority
        for _ in range(self.times - 1):
            self.inner.handle_request(request).read()
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize(("times", "code"), [(1, "other-audience"), (2, "request-replayed")])
def test_a_request_that_was_signed_for_another_gateway_or_comes_twice_is_refused(
    gateways: TwoGateways, sold: VersionView, tmp_path: Path, times: int, code: str
) -> None:
    meant = gateways.b.url if times == 1 else gateways.endpoint
    wire = Relaying(f"127.0.0.1:{gateways.b.port}" if times == 1 else None, times)
    flow = transfers.pull(sold, tmp_path, Consumer(gateways.consumer, gateways.provider, gateways.identity))
    with Client(gateways.endpoint, transport=wire) as client, pytest.raises(LedgerError) as refused:
        client.run(signed(flow, meant, gateways.consumer, gateways.signing))
    assert getattr(refused.value, "code", None) == code
    assert found_in(tmp_path) == {}


@pytest.mark.slow
def test_the_command_joins_and_says_what_is_in_the_way(gateways: TwoGateways, console: Console, tmp_path: Path) -> None:
    home = tmp_path / "c"
    own, foreign = tmp_path / "own.key", tmp_path / "foreign.key"
    draw_key_file(foreign)
    who = ("--participant", gateways.consumer, "--signing-key", own, "--rpc", gateways.node.rpc_url)
    named = ("join", "gateway", "--home", home, "--origin", "c.example/log")
    for code, words, arguments in (
        (1, "is not admitted", (*who, "--participant", "0x" + "01" * 32)),
        (1, "not an active signing key", (*who, "--signing-key", foreign)),
        (1, "is open on chain", (*who, "--origin", "b.example/log", "--home", tmp_path / "taken")),
        (2, "can not be reached", (*who, "--rpc", "http://127.0.0.1:9")),
        (3, "http://", (*who, "--rpc", "ftp://node")),
        (4, "no key file", (*who, "--signing-key", tmp_path / "none.key")),
        (4, "check the passphrase", (*who, "--key-passphrase-file", _write(tmp_path / "wrong", "wrong"))),
        (4, "no file", (*who, "--profile", tmp_path / "none.json")),
    ):
        ran = console.run(*named, *arguments)
        assert (ran.code, words in ran.err, "Traceback" in ran.err) == (code, True, False), (arguments, ran)
    with console.patch.context() as patch:
        patch.setenv("CONCORD_CONSORTIUM", str(tmp_path / "none.json"))
        assert "concord join import" in console.run(*named, *who).err
    assert not home.exists()
    console.ok_quietly("participant", "profile", "chamber", "-o", tmp_path / "chamber.json")
    joined = console.run("--json", *named, *who, "--profile", tmp_path / "chamber.json")
    assert joined.code == 0, joined
    assert "its own profile is not known here" in joined.err
    assert set(joined.json) == {"home", "chain_id", "participant", "log", "relay", "api_key"}
    assert joined.json["log"] == str(compute_log_id(gateways.consumer, "c.example/log"))
    assert joined.json["relay"] in joined.err
    assert "holds a gateway already" in console.run(*named, *who).err


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_profile_that_was_changed_at_the_other_gateway_is_learnt_anew(
    gateways: TwoGateways, console: Console, tmp_path: Path
) -> None:
    made = gateways.register("later", {"c.csv": b"2\n"})
    profile: JsonValue = {"handle": "chamber", "name": "Chamber of Industry", "endpoint": gateways.endpoint}
    gateways.chamber.run(statements.state("ProfileUpdate", {"profile": profile}, wait_s=WAIT_S))
    gateways.grant("later")
    assert gateways.version(made).registration == made.digest
    pull = ("dataset", "pull", f"{made.dataset}@1", "--to", tmp_path / "in")
    ran = console.run(*pull)
    assert (ran.code, "participant learn" in ran.err) == (4, True)
    profile_file = tmp_path / "chamber.json"
    old = gateways.analyst_at_a.run(participants.profile("chamber"))
    with console.patch.context() as patch:
        patch.setenv("CONCORD_URL", gateways.a.url)
        patch.setenv("CONCORD_API_KEY", gateways.founded.api_keys["regulator"])
        console.ok_quietly("participant", "profile", "chamber", "-o", profile_file)
    assert old.document.document == profile
    assert "chamber: Chamber of Industry" in console.ok_quietly("participant", "learn", profile_file)
    profile_file.write_text(profile_file.read_text().replace("of Industry", "of Commerce"))
    assert console.run("participant", "learn", profile_file).code == 1
    console.ok_quietly(*pull)
    assert found_in(tmp_path / "in") == {"c.csv": b"2\n"}


def test_a_request_is_brought_to_its_providers_gateway_and_the_answer_comes_back(
    spoilt: TwoGateways, sold: VersionView
) -> None:
    policy: dict[str, JsonValue] = {"permission": [{"action": "read"}], "profile": "https://example.org/own"}

    def ask(first_version: int) -> Bytes32:
        flow = access.request(
            str(sold.dataset), spoilt.identity, purpose="ResearchAndDevelopment", rights=["read"], policy=policy,
            valid_until=datetime(2099, 1, 1, tzinfo=UTC), first_version=first_version,
        )  # fmt: skip
        return spoilt.analyst.run(flow).digest

    def state_at(client: Client, digest: Bytes32) -> str | None:
        found = {each.digest: each.state for each in client.run(access.requests(dataset=str(sold.dataset)))}
        return found.get(digest)

    spoilt.a.kill()
    granted, denied = ask(1), ask(2)
    spoilt.a.start()
    for digest in (granted, denied):
        eventually(lambda asked=digest: state_at(spoilt.chamber, asked) == "open")  # type: ignore[misc]
    seen = spoilt.chamber.run(access.show_request(granted))
    assert (seen.consumer, seen.provider, seen.terms.policy) == (spoilt.consumer, spoilt.provider, policy)
    spoilt.chamber.run(access.grant_request(granted, wait_s=WAIT_S))
    answer = spoilt.chamber.run(access.deny(denied, "not that one"))
    eventually(lambda: state_at(spoilt.analyst, granted) == "granted")
    eventually(lambda: state_at(spoilt.analyst, denied) == "denied")
    kept = spoilt.analyst.run(statements.fetch(answer.digest))
    assert [each["document"] for each in cast("Any", kept["documents"])] == [{"reason": "not that one"}]


@pytest.fixture
def asking(gateways: TwoGateways, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoGateways]:
    """B asks A what it offers, several times a second."""
    monkeypatch.setitem(gateways.b.told, "CONCORD_CATALOGUE_EVERY_S", "0.2")
    gateways.b.restart()
    yield gateways
    gateways.proxy.rule = None


def test_what_a_offers_is_found_at_b_marked_with_its_age_and_asked_for_and_pulled_by_name(
    asking: TwoGateways, console: Console, tmp_path: Path
) -> None:
    made = asking.register("solar", {"e.csv": b"4\n"})
    search = ("dataset", "list", "--text", "power", "--provider", "chamber")

    def entry() -> DatasetView | None:
        found = asking.analyst.run(datasets.list_all(text="POWER", provider="chamber"))
        return next((each for each in found if each.id == made.dataset), None)

    eventually(lambda: entry() is not None)
    found = entry()
    assert found is not None
    assert (found.provider, found.provider_handle, found.slug) == (asking.provider, "chamber", "solar")
    assert (found.title, found.licence, found.keywords) == ("Power", "CC0-1.0", ("power",))
    assert found.origin is not None
    assert (found.origin.endpoint, found.origin.version) == (asking.endpoint, 1)
    eventually(lambda: "regulator" in {each.handle for each in asking.analyst.run(participants.list_all())})
    told = console.ok_quietly(*search)
    assert "FROM" in told
    assert f"{asking.endpoint}, as of" in told
    listed = {each["slug"]: each["origin"] for each in console.run("--json", *search).json}
    assert set(listed["solar"]) == {"endpoint", "as_of", "age_s", "version"}
    assert asking.chamber.run(datasets.show("chamber/solar")).origin is None, "at home it is no other gateway's"

    terms = ("--purpose", "ResearchAndDevelopment", "--until", "2099-01-01T00:00:00Z")
    console.ok_quietly("request", "chamber/solar", *terms)
    granted = asking.grant("solar")
    here = str(made.dataset)
    eventually(lambda: granted in {each.digest for each in asking.analyst.run(access.grants(dataset=here))})
    console.ok_quietly("dataset", "pull", "chamber/solar", "--to", tmp_path / "in")
    assert found_in(tmp_path / "in") == {"e.csv": b"4\n"}

    asking.proxy.rule = lambda asked: Fault(status=503)
    eventually(lambda: "concord_catalogue_peers_failing 1.0" in metrics_of(asking))
    while_down = entry()
    assert while_down is not None
    last = while_down.origin
    assert last is not None
    asking.proxy.rule = None
    eventually(lambda: (now := entry()) is not None and now.origin is not None and now.origin.as_of > last.as_of)

    asking.chamber.run(datasets.retire("chamber/solar", wait_s=WAIT_S))
    eventually(lambda: entry() is None)


def metrics_of(gateways: TwoGateways) -> str:
    key = {"Authorization": f"Bearer {gateways.joined.api_key}"}
    return httpx.get(f"{gateways.b.url}/metrics", headers=key).text
