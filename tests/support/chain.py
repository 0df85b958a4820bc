"""Chains for tests: the embedded one in memory, anvil as a real node, and participants who found a consortium."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.chain import (
    Call,
    ChainEdge,
    ChainSettings,
    Deployment,
    Founding,
    LocalSigner,
    Receipt,
    SignedStatement,
    deploy,
    encode_statement,
    predict_domains,
)
from ledger.errors import UnavailableError
from ledger.statements import (
    Domains,
    Statement,
    address_of,
    compute_participant_id,
    generate_private_key,
    sign_digest,
)
from ledger.types import Bytes32
from tests.support.ports import draw_ports

ANVIL = Path(__file__).parents[2] / "contracts" / "node_modules" / ".bin" / "anvil"
CHAIN_ID = 8_412_659_912_734_650_123
ANVIL_CHAIN_ID = 4_126_591  # anvil takes no more than 64 bits, wallets no more than 53
FAR = 2**40  # a deadline


def draw() -> Bytes32:
    """Random 32 bytes."""
    return Bytes32(secrets.token_bytes(32))


@dataclass
class Person:
    """A participant with its keys."""

    control_key: bytes = field(default_factory=generate_private_key)
    signing_key: bytes = field(default_factory=generate_private_key)
    salt: Bytes32 = field(default_factory=draw)
    id: Bytes32 = field(init=False)

    def __post_init__(self) -> None:
        self.id = compute_participant_id(address_of(self.control_key), self.salt)

    def application(self) -> Statement:
        return Statement.build(
            "ParticipantApplication",
            participant=self.id,
            controlKey=address_of(self.control_key),
            signingKey=address_of(self.signing_key),
            custody=0,
            profileHash=Bytes32(bytes(32)),
            deadline=FAR,
            salt=self.salt,
        )

    def found(self, domains: Domains) -> Founding:
        application = self.application()
        digest = application.digest(domains)
        return Founding(application, sign_digest(self.control_key, digest), sign_digest(self.signing_key, digest))

    def state(self, domains: Domains, type_name: str, /, **members: Any) -> SignedStatement:
        """A signed statement of this participant; participant, deadline and salt are filled in where not given."""
        given = {"participant": self.id, "deadline": FAR, "salt": draw()} | members
        statement = Statement.build(type_name, **given)
        key = self.control_key if statement.type.signed_by == "control" else self.signing_key
        return SignedStatement(statement, address_of(key), sign_digest(key, statement.digest(domains)))


@dataclass
class Consortium:
    """A deployed consortium of founders, with a relay account."""

    edge: ChainEdge
    deployment: Deployment
    founders: list[Person]
    relay: LocalSigner

    def run(self, call: Call | SignedStatement, sender: LocalSigner | None = None) -> Receipt:
        """Send a call and wait for its receipt."""
        if isinstance(call, SignedStatement):
            call = encode_statement(self.deployment.contracts, call)
        sender = sender or self.relay
        transaction = self.edge.sign_transaction(sender, call, self.edge.nonce(sender.address))
        assert self.edge.send([transaction]) == [None]
        return await_receipt(self.edge, transaction.hash)


def await_receipt(edge: ChainEdge, transaction_hash: Bytes32, timeout_s: float = 90) -> Receipt:
    """Wait for a transaction's receipt."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        receipt = edge.receipt(transaction_hash)
        if receipt is not None:
            return receipt
        time.sleep(0.05)
    raise AssertionError("no receipt in time")


def found(edge: ChainEdge, size: int = 3, threshold: int = 2) -> Consortium:
    """Deploy the contracts with ``size`` founders."""
    deployer, founders = LocalSigner(generate_private_key()), [Person() for _ in range(size)]
    domains = predict_domains(edge.settings.chain_id, deployer.address)
    deployment = deploy(edge, deployer, [person.found(domains) for person in founders], threshold)
    return Consortium(edge, deployment, founders, LocalSigner(generate_private_key()))


def memory_settings() -> ChainSettings:
    """The embedded profile, in memory."""
    return ChainSettings("embedded", CHAIN_ID)


@contextmanager
def running_anvil(*options: str) -> Iterator[ChainSettings]:
    """A zero-fee anvil on a free port, stopped by its process group."""
    [port] = draw_ports(1)
    command = [
        *(str(ANVIL), "--port", str(port), "--chain-id", str(ANVIL_CHAIN_ID), "--silent", "--gas-price", "0"),
        *("--block-base-fee-per-gas", "0", "--disable-min-priority-fee", *options),
    ]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    settings = ChainSettings("node", ANVIL_CHAIN_ID, rpc_url=f"http://127.0.0.1:{port}")
    try:
        _await_node(settings)
        yield settings
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def _await_node(settings: ChainSettings) -> None:
    deadline = time.monotonic() + 90
    with ChainEdge.open(settings) as edge:
        while True:
            try:
                edge.check_chain_id()
                return
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
