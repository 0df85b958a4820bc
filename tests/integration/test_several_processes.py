"""Several ``concord serve`` on one PostgreSQL database, one folder and one node: killed, paused, their keys rotated."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ledger.chain import ChainEdge, ChainSettings
from ledger.exchange import ExistingChain, Founded, GatewaySettings, found
from ledger.exchange.doctor import Standing, diagnose
from ledger.exchange.gateway_file import GatewayFile
from ledger.log import TileReader
from ledger.statements import Entry
from ledger.store import Store
from ledger.store.rows import OutboxState
from ledger.types import Address
from tests.support.asking import registration
from tests.support.chain import running_anvil
from tests.support.databases import is_postgresql
from tests.support.served import ROOT, command_line, environment
from tests.support.shared import DatabaseUrl, shared_databases
from tests.support.waiting import eventually
from tests.support.world import PASSPHRASE, PLAN

__all__ = ["shared_databases"]

pytestmark = [
    pytest.mark.timeout(300),  # several processes start, and one is paused past its lease
    pytest.mark.skipif(not is_postgresql(), reason="about a server's database: make test-postgres"),
]

WRITERS: Final = 3
PATIENCE_S: Final = 40.0


@dataclass
class Process:
    """One ``concord serve``."""

    child: subprocess.Popen[str]
    url: str

    def ready(self) -> dict[str, Any]:
        document: dict[str, Any] = httpx.get(self.url + "/v1/ready", timeout=10).json()
        return document

    def writes(self) -> bool:
        try:
            return bool(self.ready()["writes"])
        except httpx.TransportError:
            return False


@dataclass
class World:
    """A founded consortium and the processes that serve it."""

    home: Path
    founded: Founded
    database_url: str
    node: ChainSettings
    _closing: ExitStack
    processes: list[Process] = field(default_factory=list)
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    _slugs: Iterator[int] = field(default_factory=itertools.count)

    def start(self, count: int) -> None:
        """Start so many at once, and wait until they serve."""
        children = [self._begin() for _ in range(count)]
        for child in children:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line, "it did not start"
            self.processes.append(Process(child, json.loads(line)["url"]))

    def _begin(self) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command_line(self.home), cwd=ROOT, text=True, stdout=subprocess.PIPE,
            env=environment() | {"CONCORD_DATABASE_URL": self.database_url},
        )  # fmt: skip
        self._closing.callback(self._end, child)
        return child

    @staticmethod
    def _end(child: subprocess.Popen[str]) -> None:
        if child.poll() is None:
            child.kill()
            child.communicate()

    def kill(self, process: Process) -> None:
        self.processes.remove(process)
        self._end(process.child)

    def writer(self) -> Process:
        found: list[Process] = []

        def look() -> bool:
            found[:] = [each for each in self.processes if each.writes()]
            return len(found) == 1

        eventually(look)
        return found[0]

    def others(self, writer: Process) -> list[Process]:
        return [each for each in self.processes if each is not writer]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.founded.api_keys['chamber']}"}

    def state(self, http: httpx.Client, slug: str) -> dict[str, Any]:
        """State to whichever process, as a load balancer would: the next one where one says 503, or is gone."""
        end = time.monotonic() + PATIENCE_S
        for turn in itertools.count():
            assert time.monotonic() < end, "nobody takes it"
            process = self.processes[turn % len(self.processes)]
            try:
                answer = http.post(
                    process.url + "/v1/datasets",
                    json=registration(slug, {"a.csv": slug.encode()}),
                    headers=self.headers | {"Idempotency-Key": slug},
                    timeout=5,
                )
            except httpx.TransportError:
                continue
            if answer.status_code in (201, 202):
                document: dict[str, Any] = answer.json()
                return document
            assert answer.status_code in (409, 503), answer.text
            if answer.status_code == 409:
                assert answer.json()["code"] == "idempotency-key-in-use", answer.text
            time.sleep(0.02)
        raise AssertionError

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Writers state all the time; what was accepted is in ``accepted``."""
        stopping = threading.Event()
        failures: list[Exception] = []

        def write() -> None:
            with httpx.Client() as http:
                while not stopping.is_set():
                    slug = f"set-{next(self._slugs)}"
                    try:
                        self.accepted[slug] = self.state(http, slug)
                    except (AssertionError, httpx.HTTPError) as error:
                        failures.append(error)
                        return

        threads = [threading.Thread(target=write) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join(PATIENCE_S + 10)
        assert not failures, failures

    def await_accepted(self, more: int) -> None:
        wanted = len(self.accepted) + more
        eventually(lambda: len(self.accepted) >= wanted)

    def standing(self) -> object:
        """What a failure is told with."""
        with Store.open(self.database_url) as store:
            rows = [(each.subject, each.nonce, each.state, each.attempts) for each in store.outbox.in_flight()]
            return [each.ready() for each in self.processes], rows, store.leases.find("writer")

    def check(self) -> None:
        """Each accepted statement has one outcome, nonces have no gap, the log stands once and unforked."""
        with httpx.Client(base_url=self.writer().url, headers=self.headers, timeout=60) as http:
            for slug, answer in self.accepted.items():
                now = http.get(f"/v1/statements/{answer['digest']}?wait=30").json()
                assert (now["index"], now["state"], now["in_force"]) == (
                    answer["index"],
                    "final",
                    "yes",
                ), (slug, now, self.standing())
        digests = {answer["digest"] for answer in self.accepted.values()}
        assert len(digests) == len(self.accepted)
        config = GatewayFile.load(self.home / "gateway.json")
        with Store.open(self.database_url) as store, ChainEdge.open(self.node) as edge:
            eventually(lambda: store.outbox.depth() == 0)
            with store._database.read() as connection:
                columns = "relay, nonce, state, subject, outcome"
                rows = connection.exec_driver_sql(f"SELECT {columns} FROM outbox ORDER BY relay, nonce").all()
            by_relay: dict[bytes, list[int]] = {bytes(row.relay): [] for row in rows}
            for row in rows:
                by_relay[bytes(row.relay)].append(row.nonce)
                # A checkpoint that another overtook, or a change of the relay account, is published anew.
                assert row.state == OutboxState.DONE or row.subject.startswith("checkpoint:"), row
            for relay, nonces in by_relay.items():
                assert nonces == list(range(edge.nonce(Address(relay)))), (
                    "a gap, or a transaction that the outbox lacks"
                )
            last, anchored = store.checkpoints.load(config.origin), store.chain.last_checkpoint(config.log)
        assert last is not None
        assert anchored is not None
        size = last.size
        reader = TileReader(self.home / "log", lambda: size)
        assert (reader.root(size), reader.root(anchored.size)) == (last.root, anchored.root)
        entries = [str(Entry.parse(each).digest) for each in reader.entries(0, size)]
        assert len(set(entries)) == len(entries)
        for answer in self.accepted.values():
            assert entries[answer["index"]] == answer["digest"]


@pytest.fixture(scope="module")
def world(shared_databases: DatabaseUrl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("several")
    home, url = folder / "home", shared_databases(folder)
    with ExitStack() as stack:
        node = stack.enter_context(running_anvil())
        assert node.rpc_url is not None
        founded = found(home, replace(PLAN, chain=ExistingChain(node.rpc_url), database_url=url))
        closing = stack.enter_context(ExitStack())
        world = World(home, founded, url, node, closing)
        world.start(2)
        yield world


def test_one_writes_and_the_others_read_and_say_who_writes(world: World) -> None:
    writer = world.writer()
    (reader,) = world.others(writer)
    name = writer.ready()["writer"]
    standing = reader.ready()
    assert (standing["ready"], standing["writes"], standing["writer"]) == (True, False, name)
    assert name.endswith(f":{writer.child.pid}")
    refused = httpx.post(reader.url + "/v1/datasets", content=b"not even read", headers=world.headers)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert (refused.json()["code"], refused.json()["writer"]) == ("not-the-writer", name)
    with httpx.Client(headers=world.headers, timeout=30) as http:
        said = world.state(http, "first")
        world.accepted["first"] = said
        http.get(f"{writer.url}/v1/statements/{said['digest']}?wait=30")
        for path in (
            f"/v1/statements/{said['digest']}",
            "/v1/log/checkpoint",
            f"/v1/log/entries/{said['index']}",
            f"/v1/statements/{said['digest']}/evidence",
            "/v1/datasets?provider=chamber",
            "/v1/gateway-keys",
        ):
            answers = [http.get(each.url + path) for each in (writer, reader)]
            assert [each.status_code for each in answers] == [200, 200], (path, answers[1].text)
            assert answers[0].content == answers[1].content, path
        gauges = [http.get(each.url + "/metrics").text for each in (writer, reader)]
    assert ["concord_writes 1.0" in each for each in gauges] == [True, False]
    settings = GatewaySettings(home=world.home, passphrase=PASSPHRASE, database_url=world.database_url)
    checks = {each.name: each for each in diagnose(settings, reader.url)}
    assert checks["writer"].detail.startswith(f"{name} writes since ")
    assert {each.standing for each in checks.values()} <= {Standing.OK, Standing.FAILED}
    assert {each.name for each in checks.values() if each.standing is Standing.FAILED} <= {"disk"}


def test_the_writer_killed_under_load_another_takes_over(world: World) -> None:
    with world.under_load():
        world.await_accepted(12)
        killed = world.writer()
        world.kill(killed)
        world.writer()
        world.await_accepted(12)
    world.check()


def test_a_writer_that_was_paused_past_its_lease_does_no_harm(world: World) -> None:
    world.start(2 - len(world.processes))  # one was killed, unless this runs alone
    paused = world.writer()
    with world.under_load():
        world.await_accepted(6)
        os.kill(paused.child.pid, signal.SIGSTOP)
        world.processes.remove(paused)
        try:
            world.writer()
            world.await_accepted(6)
        finally:
            os.kill(paused.child.pid, signal.SIGCONT)
        world.processes.append(paused)

        def is_back() -> bool:
            with suppress(httpx.TransportError):
                return not paused.ready()["writes"] and paused.ready()["ready"]
            return False

        eventually(is_back)
        world.await_accepted(6)
    assert (world.home / "log").is_symlink()
    assert len(list(world.home.glob("log.*"))) == 1
    assert world.writer() is not paused
    world.check()


def test_keys_that_one_process_rotates_are_taken_up_by_the_others(world: World) -> None:
    writer = world.writer()
    (reader,) = world.others(writer)

    def show(process: Process) -> tuple[dict[str, Any], bytes]:
        keys = httpx.get(process.url + "/v1/gateway-keys", headers=world.headers).json()
        return keys, httpx.get(process.url + "/v1/log/checkpoint").content

    before = show(writer)
    refused = httpx.post(reader.url + "/v1/gateway-keys/log:rotate", json={}, headers=world.headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "not-the-writer")
    for which in ("log", "relay"):
        url = f"{writer.url}/v1/gateway-keys/{which}:rotate"
        answer = httpx.post(url, json={}, headers=world.headers, timeout=60)
        assert answer.status_code == 200, answer.text
    keys, note = show(writer)
    assert keys["relay"] != before[0]["relay"]
    assert keys["log_key"] != before[0]["log_key"]
    eventually(lambda: show(reader)[0] == keys)
    assert show(reader)[1] == note
    world.kill(writer)
    assert world.writer() is reader
    with httpx.Client() as http:
        world.accepted["rotated"] = world.state(http, "rotated")
    assert show(reader)[0] == keys
    world.check()
