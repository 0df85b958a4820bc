"""A consortium for tests: founded, served over real HTTP on loopback, enterprises holding their own keys."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn

from api.app import create_app
from ledger.canonical import JsonValue
from ledger.client import Client, Identity, LocalKey, access, datasets, operations, participants, statements
from ledger.client.datasets import Registration
from ledger.content import scan_folder
from ledger.exchange import Founded, Founder, FoundingPlan, Gateway, GatewaySettings, found
from ledger.keyfiles import read_key_file
from ledger.statements import Domains, generate_private_key
from ledger.surface.outcomes import Outcome
from ledger.types import Address, Bytes32
from tests.support.databases import database_url, is_postgresql
from tests.support.founded import found_once
from tests.support.measuring import unmeasured
from tests.support.waiting import eventually

__all__ = ["Member", "World", "serving"]

PASSPHRASE = "correct horse battery staple"
WAIT_S = 30
METADATA: dict[str, JsonValue] = {
    "title": "Power",
    "description": "Generation",
    "licence": "CC0-1.0",
    "contact": "data@utility.example",
    "keywords": ["power"],
}


@dataclass
class Member:
    """An enterprise: its keys and its client."""

    handle: str
    id: Bytes32
    client: Client
    control: LocalKey
    signing: LocalKey
    domains: Domains
    token: str

    @property
    def identity(self) -> Identity:
        """Signs with its own signing key."""
        return Identity(self.signing, self.domains)

    @property
    def control_identity(self) -> Identity:
        """Signs with its control key."""
        return Identity(self.control, self.domains)


@dataclass
class World:
    """A founded consortium that is being served."""

    folder: Path
    founded: Founded
    gateway: Gateway
    url: str
    members: dict[str, Member] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    @property
    def domains(self) -> Domains:
        """The consortium's domains."""
        return Domains(self.founded.chain_id, self.founded.contracts)

    def client(self, token: str | None) -> Client:
        """A client that bears ``token``; closed with the world."""
        client = Client(self.url, token)
        self.clients.append(client)
        return client

    @property
    def operator(self) -> Client:
        """The first governor's client, with scope operate."""
        return self.client(self.founded.api_keys["chamber"])

    def governor(self, handle: str) -> Identity:
        """A governor's control key."""
        return Identity(LocalKey(read_key_file(self.founded.key_files[f"{handle}/control"], PASSPHRASE)), self.domains)

    def api_key(self, *scopes: str, participant: str | None = None) -> str:
        """A new API key."""
        return self.operator.run(operations.create_api_key(scopes, participant=participant))

    def apply(self, handle: str, *, custodial: bool = False) -> tuple[Member, Outcome]:
        """An enterprise files its application."""
        token = self.api_key("apply")
        client = self.client(token)
        control, signing = LocalKey(generate_private_key()), LocalKey(generate_private_key())
        identity = Identity(control, self.domains, None if custodial else signing)
        applied = client.run(participants.apply({"handle": handle, "name": handle.title()}, identity, wait_s=WAIT_S))
        member = Member(
            handle, Bytes32.parse(applied.ids["participant"]), client, control, signing, self.domains, token
        )
        return member, applied

    def vote(self, proposal: Bytes32, *governors: str, approve: bool = True) -> Outcome:
        """Governors vote on a proposal."""
        for handle in governors:
            client = self.client(self.founded.api_keys[handle])
            outcome = client.run(participants.vote(proposal, self.governor(handle), approve=approve, wait_s=WAIT_S))
        return outcome

    def enroll(self, handle: str, *, custodial: bool = False) -> Member:
        """An enterprise applies and is admitted; once for each handle."""
        if handle not in self.members:
            member, applied = self.apply(handle, custodial=custodial)
            self.vote(applied.digest, "chamber", "regulator")
            self.members[handle] = member
        return self.members[handle]

    def register(self, owner: Member, slug: str, files: dict[str, bytes], **options: object) -> Registration:
        """Register files as the next version, and wait until it is final."""
        folder = self.folder / "staged" / owner.handle / slug / str(time.monotonic_ns())
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        flow = datasets.register(
            folder,
            scan_folder(folder),
            owner.handle,
            slug,
            METADATA,
            owner.identity,
            **options,  # type: ignore[arg-type]
        )
        made = owner.client.run(flow)
        owner.client.run(statements.wait(made.digest))
        return made

    def grant(self, provider: Member, consumer: Member, dataset: str) -> Bytes32:
        """Grant access without a request."""
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        flow = access.grant(
            dataset,
            consumer.handle,
            provider.identity,
            purpose="ResearchAndDevelopment",
            rights=["read"],
            valid_until=until,
            wait_s=WAIT_S,
        )
        return provider.client.run(flow).digest


PLAN = FoundingPlan(
    founders=tuple(
        Founder({"handle": handle, "name": name}, custodial=handle == "chamber")
        for handle, name in (("chamber", "Chamber"), ("regulator", "Regulator"), ("datatrust", "Data Trust"))
    ),
    threshold=2,
    origin="concord.example/test",
    passphrase=PASSPHRASE,
    kdf_cost=2,
)


def settings_of(home: Path, *, batch_delay_s: float = 0.0) -> GatewaySettings:
    """A gateway that publishes often."""
    return GatewaySettings(
        home=home,
        passphrase=PASSPHRASE,
        database_url=database_url(home, "ledger") if is_postgresql() else None,
        publish_after_s=0.1,
        batch_delay_s=batch_delay_s,
    )


def found_for(home: Path, plan: FoundingPlan = PLAN) -> Founded:
    """The consortium of ``plan`` in ``home``, for a gateway of `settings_of`."""
    if not is_postgresql():
        return found_once(home, plan)
    with unmeasured():
        return found(home, replace(plan, database_url=settings_of(home).database_url))


@contextmanager
def serving(folder: Path, *, relay_accounts: tuple[Address, ...] = (), batch_delay_s: float = 0.0) -> Iterator[World]:
    """Found a consortium in ``folder`` and serve it until the block ends."""
    home = folder / "home"
    founded = found_for(home, replace(PLAN, relay_accounts=relay_accounts))
    gateway = Gateway.open(settings_of(folder / "home", batch_delay_s=batch_delay_s))
    with listening() as (sock, url), running(gateway, sock):
        world = World(folder, founded, gateway, url)
        try:
            yield world
        finally:
            for client in world.clients:
                client.close()


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A listening socket on a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock, f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def running(gateway: Gateway, sock: socket.socket) -> Iterator[None]:
    """Run the service of a gateway in a thread; it closes the gateway when it stops."""
    server = uvicorn.Server(uvicorn.Config(create_app(gateway), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive(), otherwise="the service did not start")
        yield
    finally:
        server.should_exit = True
        thread.join(90)
        if thread.is_alive():
            raise RuntimeError("the service did not stop within 90 s")
