"""A gateway on anvil, and the ways that a registration takes to its contract there."""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final

from bench.idiom import IdiomRates, Registrations, measure_idiom
from ledger.chain import ChainEdge, ChainSettings, LocalSigner, SignedStatement, SignedTransaction, encode_statement
from ledger.errors import UnavailableError
from ledger.exchange import ExistingChain, Founded, Founder, FoundingPlan, Gateway, GatewaySettings, found
from ledger.keyfiles import read_key_file
from ledger.statements import Domains, Statement, address_of, generate_private_key, sign_digest
from ledger.store.rows import NewStatement, OutboxState
from ledger.types import Bytes32
from tests.support.anvil import Anvil

__all__ = ["World", "measure_flood", "measure_web3", "measure_outbox", "open_worlds", "still", "still_at"]

_PASSPHRASE: Final = secrets.token_urlsafe(24)
_PROVIDERS: Final = 8
_HOUR_S: Final = 3600
_WITHIN_S: Final = 120.0
_LOOK_AGAIN_S: Final = 0.005
_LOOK_SELDOM_S: Final = 0.02  # in the process that works meanwhile
_FIRST_INDEX: Final = 1 << 30  # of statements that are stored without a log
_AT_ONCE: Final = 100
_MOST_POOLED: Final = 800


@dataclass
class World:
    """A node just started, and the home of a gateway that was founded on it."""

    anvil: Anvil
    chain: ChainSettings
    home: Path
    founded: Founded
    accounts: int
    keys: dict[Bytes32, bytes] = field(repr=False)
    _indices: Iterator[int] = field(default_factory=lambda: itertools.count(_FIRST_INDEX), repr=False)

    @property
    def domains(self) -> Domains:
        """What statements are signed for."""
        return Domains(self.founded.chain_id, self.founded.contracts)

    def settings(self) -> GatewaySettings:
        """The gateway's."""
        return GatewaySettings(self.home, _PASSPHRASE, relay_signers=self.accounts)

    def draw(self, count: int) -> list[SignedStatement]:
        """Signed registrations of as many fresh datasets, by the providers in turn."""
        providers = itertools.cycle(self.keys.items())
        return [self._register(*next(providers)) for _ in range(count)]

    def _register(self, participant: Bytes32, key: bytes) -> SignedStatement:
        words = {
            name: Bytes32(secrets.token_bytes(32)) for name in ("salt", "datasetSalt", "contentHash", "metadataHash")
        }
        deadline = int(time.time()) + _HOUR_S
        statement = Statement.build(
            "DatasetRegistration", participant=participant, deadline=deadline, version=1, parents=(), **words
        )
        return SignedStatement(statement, address_of(key), sign_digest(key, statement.digest(self.domains)))

    def accept(self, gateway: Gateway, signed: Sequence[SignedStatement]) -> list[Bytes32]:
        """Store them as the log's batch does when it is durable; what follows is the submitter's."""
        parts, indices = gateway.parts, {self._digest(each): next(self._indices) for each in signed}
        new = [
            NewStatement(self._digest(each), each.statement, each.signature, each.signer, parts.now(), executable=True)
            for each in signed
        ]
        with parts.store.transaction():
            parts.store.statements.stage(new)
            parts.store.statements.accept_staged(parts.log, indices, _FIRST_INDEX)
        return list(indices)

    def _digest(self, signed: SignedStatement) -> Bytes32:
        return signed.statement.digest(self.domains)


@contextmanager
def open_worlds(folder: Path, accounts: int = 1) -> Iterator[Iterator[World]]:
    """Found a consortium of several providers on anvil once; each world that is drawn is as it was founded.

    anvil grows slower with its blocks: whoever comes later must not pay for who came before.
    """
    anvil = Anvil(folder)
    anvil.start()
    try:
        yield _draw_worlds(folder, anvil, accounts)
    finally:
        anvil.kill()


def _draw_worlds(folder: Path, anvil: Anvil, accounts: int) -> Iterator[World]:
    url = f"http://127.0.0.1:{anvil.port}"
    handles = [f"provider-{number}" for number in range(_PROVIDERS)]
    plan = FoundingPlan(
        founders=tuple(Founder({"handle": each, "name": each.title()}) for each in handles),
        passphrase=_PASSPHRASE,
        kdf_cost=2,
        chain=ExistingChain(url),
    )
    original, home, kept = folder / "original", folder / "gateway", folder / "kept.json"
    founded = found(original, plan)
    keys = {
        founded.participants[each]: read_key_file(path, _PASSPHRASE)
        for each in handles
        if (path := founded.key_files.get(f"{each}/signing")) is not None
    }
    anvil.stop()
    anvil.keep(kept)
    while True:
        anvil.kill()
        anvil.bring_back(kept)
        anvil.start()
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(original, home)
        yield World(anvil, ChainSettings("node", anvil.chain_id, rpc_url=url), home, founded, accounts, keys)


def measure_outbox(world: World, count: int) -> float:
    """Statements a second, from accepted to an outcome that is stored. Raises: LedgerError."""
    with still(world) as gateway:
        digests = world.accept(gateway, world.draw(count))
        started = time.perf_counter()
        gateway._submitting.start()
        try:
            _await_outcomes(gateway)
        finally:
            gateway._submitting.stop()
        elapsed_s = time.perf_counter() - started
        for digest in digests:
            row = gateway.parts.store.outbox.find(str(digest))
            if row is None or row.state is not OutboxState.DONE:
                stated = gateway.parts.store.statements.find(digest)
                told = (stated and stated.refusal) if row is None else (row.state.value, row.outcome)
                raise UnavailableError(f"the outbox did not bring {digest} to its contract: {told}")
        return count / elapsed_s


@contextmanager
def still_at(settings: GatewaySettings) -> Iterator[Gateway]:
    """A gateway that knows the chain so far, has its keys at hand and does nothing by itself."""
    gateway = Gateway.open(settings)
    try:
        gateway._indexer.catch_up()
        gateway._submitter._relays.all()
        yield gateway
    finally:
        gateway.close()


def still(world: World) -> AbstractContextManager[Gateway]:
    """The world's gateway, as `still_at`."""
    return still_at(world.settings())


def _await_outcomes(gateway: Gateway) -> None:
    store, deadline = gateway.parts.store, time.monotonic() + _WITHIN_S
    while store.is_submitting():
        if gateway._submitting.failure is not None or time.monotonic() > deadline:
            raise UnavailableError(f"the outbox is not empty: {gateway._submitting.failure}")
        time.sleep(_LOOK_SELDOM_S)


def measure_flood(world: World, count: int) -> float:
    """Transactions a second that are signed ahead and sent in batches, from the first sent to the last executed.

    Some hundreds at a time: of more that arrive while anvil mines, the rest would wait for company.
    """
    with ChainEdge.open(world.chain) as edge:
        relay = LocalSigner(generate_private_key())
        calls = [encode_statement(world.founded.contracts, each) for each in world.draw(count)]
        signed = [edge.sign_transaction(relay, call, nonce) for nonce, call in enumerate(calls)]
        started = time.perf_counter()
        for first in range(0, count, _MOST_POOLED):
            _flood(edge, signed[first : first + _MOST_POOLED])
        elapsed_s = time.perf_counter() - started
        if not all(
            receipt is not None and receipt.is_successful for receipt in edge.receipts([e.hash for e in signed])
        ):
            raise UnavailableError("anvil did not execute all of the flood")
        return count / elapsed_s


def _flood(edge: ChainEdge, signed: Sequence[SignedTransaction]) -> None:
    for first in range(0, len(signed), _AT_ONCE):
        if any(edge.send(signed[first : first + _AT_ONCE])):
            raise UnavailableError("anvil did not take the flood")
    deadline = time.monotonic() + _WITHIN_S
    while edge.receipt(signed[-1].hash) is None:
        if time.monotonic() > deadline:
            raise UnavailableError("anvil did not execute the flood in time")
        time.sleep(_LOOK_AGAIN_S)


def measure_web3(world: World, one_by_one: int, pipelined: int, *, pure_python: bool) -> IdiomRates:
    """web3.py in pure Python, or with coincurve. Raises: UnavailableError."""
    abi = json.loads((files("ledger.chain") / "artifacts" / "DatasetRegistry.json").read_bytes())["abi"]
    contract = str(world.founded.contracts["DatasetRegistry"])
    signed = world.draw(one_by_one + pipelined)
    registrations = Registrations.of(str(world.chain.rpc_url), world.chain.chain_id, contract, abi, signed)
    return measure_idiom(world.home.parent, registrations, one_by_one, pure_python=pure_python)
