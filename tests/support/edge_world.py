"""A consortium on a real node behind a wire that can be broken, founded once and set back for every test."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from ledger.chain import Call, ChainEdge, ChainSettings, LocalSigner, Signer, encode_statement
from ledger.chain import SignedStatement as ExecutableStatement
from ledger.exchange import ExistingChain, Founded, Gateway, GatewaySettings, found
from ledger.keyfiles import read_key_file
from ledger.statements import Domains, Statement, compute_dataset_id, generate_private_key, sign_digest
from ledger.statements import address_of as address_of_key
from ledger.surface.outcomes import Outcome, SignedStatement
from ledger.types import Bytes32
from tests.support.anvil import Anvil
from tests.support.bad_wire import BadWire
from tests.support.exchange import PASSPHRASE, plan_of
from tests.support.settled import await_settled, check_settled

__all__ = ["EdgeWorld", "Signatory", "edge_world", "settings_for"]

_AT_ONCE: Final = 8
_HOUR_S: Final = 3600


def settings_for(home: Path, **more: object) -> GatewaySettings:
    """A gateway that looks and publishes often."""
    quick: dict[str, object] = {"publish_after_s": 0.0, "poll_s": 0.05, "batch_delay_s": 0.0, "bulk_workers": 1, **more}
    return GatewaySettings(home=home, passphrase=PASSPHRASE, **quick)  # type: ignore[arg-type]  # settings by name


@dataclass(frozen=True)
class Signatory:
    """The founder who holds its own signing key."""

    participant: Bytes32
    key: bytes = field(repr=False)
    domains: Domains

    @classmethod
    def of(cls, founded: Founded) -> Signatory:
        """The analyst of a founding."""
        key = read_key_file(founded.key_files["analyst/signing"], PASSPHRASE)
        return cls(founded.participants["analyst"], key, Domains(founded.chain_id, founded.contracts))

    def register(
        self, rival: SignedStatement | None = None, *, parent: SignedStatement | None = None, within_s: float = _HOUR_S
    ) -> SignedStatement:
        """A signed registration of the first version of a fresh data set, or of another root for the rival's."""
        statement = Statement.build(
            "DatasetRegistration",
            participant=self.participant,
            deadline=int(time.time() + within_s),
            salt=_word(),
            datasetSalt=_word() if rival is None else rival.statement.message["datasetSalt"],
            version=1,
            contentHash=_word(),
            metadataHash=_word(),
            parents=() if parent is None else (self._name(parent.statement),),
        )
        return SignedStatement(statement, sign_digest(self.key, self.digest(statement)), address_of_key(self.key))

    def _name(self, statement: Statement) -> dict[str, object]:
        dataset = compute_dataset_id(statement.participant, cast("Bytes32", statement.message["datasetSalt"]))
        return {"dataset": dataset, "version": 1, "registration": self.digest(statement)}

    def digest(self, statement: Statement) -> Bytes32:
        """A statement's digest."""
        return statement.digest(self.domains)


@dataclass
class EdgeWorld:
    """One anvil, the wire to it, and a gateway's home that lives on that chain."""

    anvil: Anvil
    wire: BadWire
    home: Path
    founded: Founded
    signatory: Signatory
    original: Path
    other: LocalSigner = field(default_factory=lambda: LocalSigner(generate_private_key()))

    @contextmanager
    def gateway(self, **settings: object) -> Iterator[Gateway]:
        """A running gateway."""
        with Gateway.open(settings_for(self.home, **settings)) as gateway:
            yield gateway

    def accept(self, gateway: Gateway, signed: Sequence[SignedStatement]) -> list[Bytes32]:
        """Hand statements in, several at a time; their digests, in order."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [outcome.digest for outcome in pool.map(gateway.take, signed)]

    def register(self, gateway: Gateway, count: int) -> list[Bytes32]:
        """Hand fresh registrations in."""
        return self.accept(gateway, [self.signatory.register() for _ in range(count)])

    def settle(
        self,
        gateway: Gateway,
        digests: Sequence[Bytes32],
        *,
        mines: bool = False,
        heal: bool = True,
        timeout_s: float = 120,
    ) -> dict[Bytes32, Outcome]:
        """Heal the wire, wait for every end, and check the property; the outcomes."""
        if heal:
            self.wire.heal()
        told = await_settled(gateway, digests, (lambda: self.anvil.mine(2)) if mines else (lambda: None), timeout_s)
        check_settled(gateway, digests, told)
        return told

    def settle_anew(
        self, digests: Sequence[Bytes32], *, mines: bool = False, **settings: object
    ) -> dict[Bytes32, Outcome]:
        """`settle` with a gateway that is started for it."""
        self.wire.heal()
        with self.gateway(**settings) as gateway:
            return self.settle(gateway, digests, mines=mines)

    def await_included(self, gateway: Gateway, digests: Sequence[Bytes32], timeout_s: float = 90) -> None:
        """Wait until the transaction of each is known to be in a block, final or not."""
        outbox, deadline = gateway.parts.store.outbox, time.monotonic() + timeout_s
        while any((row := outbox.find(str(each))) is None or row.block is None for each in digests):
            assert time.monotonic() < deadline, "not included in time"
            time.sleep(0.01)

    def go_back(self) -> None:
        """Start the stopped node again with the blocks of the founding alone."""
        self.anvil.bring_back(self.original)
        self.anvil.start()

    @contextmanager
    def chain(self) -> Iterator[ChainEdge]:
        """The chain, past the wire."""
        url = f"http://127.0.0.1:{self.anvil.port}"
        with ChainEdge.open(ChainSettings("node", self.anvil.chain_id, rpc_url=url)) as edge:
            yield edge

    def relay_elsewhere(self, *signed: SignedStatement) -> None:
        """Bring statements to the chain past every gateway."""
        contracts = self.founded.contracts
        with self.chain() as edge:
            for each in signed:
                executable = ExecutableStatement(each.statement, each.signer, each.signature, each.cosignature)
                self.send(edge, self.other, encode_statement(contracts, executable))

    def send(self, edge: ChainEdge, signer: Signer, call: Call | None = None) -> None:
        """Send a call, or nothing, from an account of one's own choice."""
        nonce = edge.nonce(signer.address)
        transaction = edge.sign_noop(signer, nonce) if call is None else edge.sign_transaction(signer, call, nonce)
        assert edge.send([transaction]) == [None]


@dataclass(frozen=True)
class _Original:
    home: Path
    state: Path


@contextmanager
def edge_world(folder: Path) -> Iterator[Iterator[EdgeWorld]]:
    """Found once; each world that is drawn is as it was founded, and the one before is over."""
    anvil = Anvil(folder)
    anvil.start()
    try:
        with BadWire(anvil.port) as wire:
            yield _worlds(folder, anvil, wire)
    finally:
        anvil.kill()


def _worlds(folder: Path, anvil: Anvil, wire: BadWire) -> Iterator[EdgeWorld]:
    original = _Original(folder / "original", folder / "original.json")
    founded = found(original.home, replace(plan_of(), chain=ExistingChain(wire.url)))
    signatory = Signatory.of(founded)
    anvil.stop()
    anvil.keep(original.state)
    home = folder / "home"
    while True:
        anvil.kill()
        anvil.bring_back(original.state)
        anvil.start()
        wire.port = anvil.port
        wire.heal()
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(original.home, home)
        yield EdgeWorld(anvil, wire, home, founded, signatory, original.state)


def _word() -> Bytes32:
    return Bytes32(secrets.token_bytes(32))
