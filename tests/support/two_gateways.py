"""Two gateways on one chain: real processes with own homes, databases, contents, logs and keys.

Gateway A was founded and serves the chamber, who has data; gateway B joined and serves the analyst, who wants them and
holds its own keys. A's endpoint is a proxy that can spoil what passes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ledger.canonical import JsonValue
from ledger.chain import ChainSettings, Deployment
from ledger.client import Client, Identity, LocalKey, access, datasets, operations, participants, statements, transfers
from ledger.client.datasets import Registration
from ledger.client.signed import signed
from ledger.client.transfers import Consumer, Pulled
from ledger.content import scan_folder
from ledger.exchange import ExistingChain, Founded, Founder, Joined, JoiningPlan, KnownProfile, found, join
from ledger.keyfiles import read_key_file
from ledger.statements import Domains, generate_private_key
from ledger.surface.outcomes import InForce, State
from ledger.surface.views import ProfileView, VersionView
from ledger.types import Bytes32
from tests.support.chain import running_anvil
from tests.support.databases import database_url, is_postgresql
from tests.support.fault_proxy import FaultProxy, running_proxy
from tests.support.measuring import unmeasured
from tests.support.ports import draw_ports
from tests.support.served import ROOT, environment
from tests.support.waiting import eventually
from tests.support.world import METADATA, PASSPHRASE, PLAN, WAIT_S

__all__ = ["GatewayProcess", "TwoGateways", "gateways", "running_two_gateways"]


class GatewayProcess:
    """A home folder, and ``concord serve`` on it, which may be killed and started again on the same port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        [self.port] = draw_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.told: dict[str, str] = {}
        """more of its environment"""
        self.before: tuple[str, ...] = ()
        """what runs Python, where something has to be changed for it"""
        self.program: tuple[str, ...] = ("scripts.concord",)
        """the module that Python runs, with what comes before its arguments"""
        self.log_file = home.with_suffix(".log")
        self.child: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Of the process that serves."""
        assert self.child is not None, "it does not run"
        return self.child.pid

    def requests(self, part: str) -> list[dict[str, Any]]:
        """What its log says of the requests with ``part`` in their route, the oldest first."""
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]
        return [each for each in lines if each["message"] == "request" and part in str(each["route"])]

    @property
    def database_url(self) -> str | None:
        """Where its store is, where this run keeps none in the home."""
        return database_url(self.home, "ledger") if is_postgresql() else None

    def start(self) -> None:
        """Start it and wait until it serves."""
        assert self.child is None, "it runs"
        serve = ["--json", "serve", "--home", str(self.home), "--port", str(self.port)]
        command = [*self.before, sys.executable, "-m", *self.program, *serve]
        told = {"CONCORD_LOG_FORMAT": "json", "CONCORD_LOG_LEVEL": "info", **self.told}
        if self.database_url is not None:
            told["CONCORD_DATABASE_URL"] = self.database_url
        with self.log_file.open("ab") as log:
            self.child = subprocess.Popen(
                command, cwd=ROOT, env=environment() | told, text=True, stdout=subprocess.PIPE, stderr=log
            )
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, self.log_file.read_text()
        assert json.loads(line)["url"] == self.url

    def stop(self) -> None:
        """SIGTERM: it ends what is under way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self.child is not None:
            os.kill(self.child.pid, how)
            self.child.communicate(timeout=90)
            self.child = None


@dataclass
class TwoGateways:
    """The chain, both gateways, the chamber (at A) and the analyst (admitted at A, at home at B)."""

    folder: Path
    node: ChainSettings
    founded: Founded
    joined: Joined
    a: GatewayProcess
    b: GatewayProcess
    proxy: FaultProxy
    """before A, under the endpoint of the chamber's profile"""
    elsewhere: FaultProxy
    """before A, too, where the chamber does not say that it serves; B may ask there"""
    chamber: Client
    """the chamber's, operator of A"""
    analyst: Client
    """the analyst's, operator of B"""
    analyst_at_a: Client
    """the analyst's at A, where it applied"""
    control: LocalKey
    """the analyst's"""
    signing: LocalKey
    """the analyst's"""

    @property
    def endpoint(self) -> str:
        """Under which the chamber serves."""
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def provider(self) -> Bytes32:
        """The chamber's id."""
        return self.founded.participants["chamber"]

    @property
    def consumer(self) -> Bytes32:
        """The analyst's id."""
        return self.joined.participant

    @property
    def domains(self) -> Domains:
        """The consortium's."""
        return Domains(self.founded.chain_id, self.founded.contracts)

    @property
    def identity(self) -> Identity:
        """Signs with the analyst's key."""
        return Identity(self.signing, self.domains)

    def register(self, slug: str, files: dict[str, bytes]) -> Registration:
        """Register files of the chamber's at A, final on chain, and upload them."""
        folder = self.folder / "staged" / slug
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        made = self.chamber.run(datasets.register(folder, scan_folder(folder), "chamber", slug, METADATA))
        self._wait(made.digest)
        return made

    def grant(self, slug: str, **terms: Any) -> Bytes32:
        """Let the analyst read it; final on chain. Its digest."""
        given: dict[str, Any] = {
            "purpose": "ResearchAndDevelopment",
            "rights": ["read"],
            "valid_until": datetime.now(UTC).replace(microsecond=0) + timedelta(days=1),
        }
        stated = self.chamber.run(access.grant(f"chamber/{slug}", "analyst", None, **(given | terms), wait_s=WAIT_S))
        return self._wait(stated.digest)

    def revoke(self, grant: Bytes32) -> None:
        """Revoke it at A; final on chain."""
        self._wait(self.chamber.run(access.revoke(grant, None, wait_s=WAIT_S)).digest)

    def _wait(self, digest: Bytes32) -> Bytes32:
        """Wait until a statement of the chamber's is final and in force: a request holds its answer only so long."""
        reached = self.chamber.run(statements.wait(digest))
        assert (reached.state, reached.in_force) == (State.FINAL, InForce.YES), reached
        return digest

    def catch_up(self) -> None:
        """Wait until each has indexed what the other shows as the newest block."""
        head = max(int(str(each.run(operations.readiness())["head"])) for each in (self.chamber, self.analyst))
        eventually(lambda: min(_indexed(each) for each in (self.chamber, self.analyst)) >= head)

    def version(self, registration: Registration) -> VersionView:
        """What B, the analyst's own gateway, says is registered."""
        self.catch_up()
        return self.analyst.run(datasets.version(str(registration.dataset), registration.version))

    def pull(self, version: VersionView, folder: Path, *, url: str | None = None, **more: Any) -> Pulled:
        """Have it delivered to the analyst by A, by requests that the analyst's key signs; from ``url``, signed so."""
        endpoint = url or self.endpoint
        flow = transfers.pull(version, folder, Consumer(self.consumer, self.provider, self.identity), **more)
        with Client(endpoint) as elsewhere:
            return elsewhere.run(signed(flow, endpoint, self.consumer, self.signing))


@contextmanager
def running_two_gateways(folder: Path, told_a: dict[str, str] | None = None) -> Iterator[TwoGateways]:
    """Found A on a fresh anvil, admit the analyst there, let it join with B, and serve both until the block ends.

    ``told_a``: more of A's environment.
    """
    with ExitStack() as stack:
        node = stack.enter_context(running_anvil())
        a, b = GatewayProcess(folder / "a"), GatewayProcess(folder / "b")
        proxy, elsewhere = (stack.enter_context(running_proxy(a.port)) for _ in range(2))
        for each in (a, b):
            each.told["CONCORD_CATALOGUE_EVERY_S"] = "0"  # whom a test wants to be asked, it says
        a.told |= {"CONCORD_PEERS": b.url, **(told_a or {})}
        b.told["CONCORD_PEERS"] = ",".join(f"http://127.0.0.1:{each.port}" for each in (proxy, elsewhere))
        for each in (a, b):
            stack.callback(each.kill)
        founded = _found(a, node, f"http://127.0.0.1:{proxy.port}")
        a.start()
        chamber = _client(stack, a, founded.api_keys["chamber"])
        at_a = _client(stack, a, chamber.run(operations.create_api_key(["apply"])))
        control, signing = LocalKey(generate_private_key()), generate_private_key()
        participant = _admit(stack, a, founded, at_a, control, LocalKey(signing), b.url)
        profiles = [at_a.run(participants.profile(each)) for each in ("analyst", "chamber")]
        joined = _join(b, node, participant, signing, profiles, (a.home / "consortium.json").read_bytes())
        b.start()
        analyst = _client(stack, b, joined.api_key)
        yield TwoGateways(
            folder, node, founded, joined, a, b, proxy, elsewhere, chamber, analyst, at_a, control, LocalKey(signing)
        )


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoGateways]:
    """Both, for a module's tests: import it there."""
    with running_two_gateways(tmp_path_factory.mktemp("two")) as world:
        yield world


def _indexed(client: Client) -> int:
    return int(str(client.run(operations.readiness())["indexed"]))


def _client(stack: ExitStack, process: GatewayProcess, token: str | None) -> Client:
    client = Client(process.url, token)
    stack.callback(client.close)
    return client


def _found(a: GatewayProcess, node: ChainSettings, endpoint: str) -> Founded:
    """Two governors, both needed."""
    assert node.rpc_url is not None
    chamber = Founder({"handle": "chamber", "name": "Chamber", "endpoint": endpoint}, custodial=True)
    regulator = Founder({"handle": "regulator", "name": "Regulator"})
    plan = replace(
        PLAN, founders=(chamber, regulator), origin="a.example/log", chain=ExistingChain(node.rpc_url),
        database_url=a.database_url,
    )  # fmt: skip
    with unmeasured():
        return found(a.home, plan)


def _admit(
    stack: ExitStack,
    a: GatewayProcess,
    founded: Founded,
    applicant: Client,
    control: LocalKey,
    signing: LocalKey,
    endpoint: str,
) -> Bytes32:
    """The analyst applies at A, and the governors vote for it. Its id."""
    domains = Domains(founded.chain_id, founded.contracts)
    profile: dict[str, JsonValue] = {"handle": "analyst", "name": "Analyst", "endpoint": endpoint}
    applied = applicant.run(participants.apply(profile, Identity(control, domains, signing), wait_s=WAIT_S))
    for handle in ("chamber", "regulator"):
        key = LocalKey(read_key_file(founded.key_files[f"{handle}/control"], PASSPHRASE))
        voter = _client(stack, a, founded.api_keys[handle])
        voter.run(participants.vote(applied.digest, Identity(key, domains), wait_s=WAIT_S))
    return Bytes32.parse(applied.ids["participant"])


def _join(
    b: GatewayProcess,
    node: ChainSettings,
    participant: Bytes32,
    signing: bytes,
    profiles: list[ProfileView],
    consortium: bytes,
) -> Joined:
    assert node.rpc_url is not None
    known = [
        KnownProfile(each.participant, each.document.salt, cast("Any", each.document.document)) for each in profiles
    ]
    plan = JoiningPlan(
        deployment=Deployment.parse(consortium), chain=ExistingChain(node.rpc_url), participant=participant,
        signing_key=signing, origin="b.example/log", passphrase=PASSPHRASE, profiles=tuple(known), kdf_cost=2,
        database_url=b.database_url,
    )  # fmt: skip
    with unmeasured():
        return join(b.home, plan)
