"""A gateway whose operator lies: the production service over HTTP, with the log's key and the publisher's.

What it does honestly is the product's own code; each lie is one method. It can not lie about the chain, which members
read at nodes of their own: `LyingWorld` reads it past the gateway.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ledger.chain import Commitment, LocalSigner, encode_attest_log, encode_publish
from ledger.evidence import BlockProof, ChainProof, Header, Node, Policy, create_policy, prove_block, prove_event
from ledger.evidence.events import EVENTS
from ledger.exchange import Asker, Gateway, State
from ledger.exchange.parts import Parts
from ledger.exchange.rooms import PublicLog, Statements
from ledger.keccak import keccak256
from ledger.log import Batch, Checkpoint, Sequencer, TileReader, build_receipts
from ledger.merkle import compute_root, leaf_hash, prove_inclusion
from ledger.statements import Entry, Statement, generate_private_key
from ledger.store.rows import NewStatement
from ledger.surface.outcomes import InForce, Outcome, SignedStatement
from ledger.types import Bytes32
from tests.support.log import MemoryCheckpointStore
from tests.support.world import PLAN, World, found_for, listening, running, settings_of

__all__ = ["LyingGateway", "LyingWorld", "lying"]

RELAY_KEY = keccak256(b"sends past the gateway")


@dataclass
class Clock:
    """The time that the machine of gateway and chain tells."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass
class Shadow:
    """A log that goes on from the real one in another way, signed with the same key."""

    sequencer: Sequencer
    last: Batch

    @property
    def reader(self) -> TileReader:
        return self.sequencer.reader

    def receipts(self, batch: Batch) -> list[bytes]:
        return build_receipts(self.reader, batch.first_index, batch.count, batch.note)


class LyingGateway(Gateway):
    """Honest until it is told to lie."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._folder = Path(tempfile.mkdtemp(dir=parts.settings.home.parent))
        self._promised: Shadow | None = None
        self.withheld: list[tuple[Asker, SignedStatement]] = []
        self.withholds = False
        self.honest = self.statements
        self.statements = cast(Statements, _LyingStatements(self))

    def entry_of(self, signed: SignedStatement) -> bytes:
        """The entry that the statement makes."""
        statement = signed.statement
        return Entry.of(statement.digest(self.parts.domains), statement.participant, signed.signature).to_bytes()

    # It forks

    def go_on_from(self, entries: Sequence[bytes]) -> Shadow:
        """Another continuation of its own log."""
        folder = self._folder / str(len([*self._folder.iterdir()]))
        shutil.copytree(self.parts.settings.home / "log", folder, ignore=shutil.ignore_patterns(".*"))
        store = MemoryCheckpointStore()
        store.row = self.parts.sequencer.checkpoint
        sequencer = Sequencer.open(folder, self.parts.log_signer, store, anchor_by=self._anchor_by)
        return Shadow(sequencer, sequencer.append(entries))

    def _anchor_by(self) -> Any:
        own = self.parts.sequencer
        assert isinstance(own, Sequencer)  # a gateway that follows another one's log signs nothing
        return own._anchor_by()

    @contextmanager
    def showing(self, shadow: Shadow) -> Iterator[str]:
        """Another door of the same service, behind which the shadow is the log."""
        view = cast(Gateway, _View(self, PublicLog(replace(self.parts, sequencer=shadow.sequencer))))
        with listening() as (sock, url), running(view, sock):
            yield url

    def publish(self, previous: Commitment, shadow: Shadow) -> None:
        """Ask the chain to record the shadow. Raises: RefusedError."""
        size, root = shadow.last.checkpoint.size, Bytes32(shadow.last.checkpoint.root)
        proof = [Bytes32(each) for each in shadow.reader.prove_consistency(previous.size, size)]
        call = encode_publish(self.parts.deployment.contracts, self.parts.log, previous, size, root, proof)
        self.parts.edge.simulate(call, self.parts.relay.address)

    # It drops, or reorders

    def promise(self, asker: Asker, signed: SignedStatement) -> Outcome:
        """A receipt as good as any, for what it keeps back."""
        self.withheld.append((asker, signed))
        entry = self.entry_of(signed)
        if self._promised is None:
            self._promised = self.go_on_from([entry])
        else:
            self._promised.last = self._promised.sequencer.append([entry])
        batch = self._promised.last
        statement = signed.statement
        return Outcome(
            digest=statement.digest(self.parts.domains),
            type=statement.type.name,
            participant=statement.participant,
            state=State.ACCEPTED,
            in_force=InForce.NOT_APPLICABLE,
            refusal=None,
            index=batch.first_index,
            receipt=self._promised.receipts(batch)[0].decode(),
            transaction=None,
            block=None,
            custodial=False,
            api_key=asker.api_key,
            ids={},
            accepted_at=self.parts.now(),
            as_of_block=self.parts.store.chain.as_of_block(),
        )

    def let_go(self, *order: int) -> list[Outcome]:
        """Log what was kept back, those that are named, in this order; the rest is dropped."""
        kept, self.withheld, self.withholds = self.withheld, [], False
        if self._promised is not None:
            self._promised.sequencer.close()
            self._promised = None
        return [self.honest.submit(*kept[number]) for number in order]

    # It logs what nobody signed, or nobody could sign any more

    def log_unchecked(self, signed: SignedStatement) -> Bytes32:
        """Bring a statement into the log without asking the rules."""
        digest = signed.statement.digest(self.parts.domains)
        self._writer.append(
            NewStatement(
                digest=digest,
                statement=signed.statement,
                signature=signed.signature,
                signer=signed.signer,
                received_at=self.parts.now(),
                executable=False,
                cosignature=None,
                custodial=False,
                api_key=None,
            )
        )
        self._on_accepted()
        self.honest.wait(digest, State.FINAL, 30)
        return digest

    def forge(self, statement: Statement) -> SignedStatement:
        """The statement, signed by a key that the gateway made up."""
        key = LocalSigner(generate_private_key())
        return SignedStatement(statement, key.sign(statement.digest(self.parts.domains)), key.address)

    # It back-dates

    def date_back(self, entry: bytes, size: int) -> tuple[bytes, list[bytes]]:
        """A checkpoint of an earlier size, signed, whose last entry is a later one: the note and the entry's proof."""
        leaves = [leaf_hash(each) for each in [*self.parts.sequencer.reader.entries(0, size - 1), entry]]
        checkpoint = Checkpoint(self.parts.config.origin, size, compute_root(leaves))
        return self.parts.log_signer.sign(checkpoint.text).to_bytes(), prove_inclusion(leaves, size - 1, size)


class _LyingStatements:
    """`gateway.statements`, with receipts for what is kept back."""

    def __init__(self, gateway: LyingGateway) -> None:
        self._gateway = gateway

    def submit(self, asker: Asker, signed: SignedStatement) -> Outcome:
        if self._gateway.withholds:
            return self._gateway.promise(asker, signed)
        return self._gateway.honest.submit(asker, signed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway.honest, name)


class _View:
    """The same gateway, but for its log; it is started and closed elsewhere."""

    def __init__(self, gateway: LyingGateway, log: PublicLog) -> None:
        self._gateway = gateway
        self.log = log

    def start(self) -> None:
        return

    def close(self) -> None:
        return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)


@dataclass
class LyingWorld:
    """A consortium whose gateway lies, and what an auditor sees of the chain past it."""

    world: World
    gateway: LyingGateway
    clock: Clock
    relay: LocalSigner

    @property
    def parts(self) -> Parts:
        """Of the chain, which everybody reads at a node of their own; and the keys of the consortium."""
        return self.gateway.parts

    def policy(self) -> Policy:
        """What an auditor pins now."""
        return create_policy(Node(self.world.url + "/rpc"), self.parts.deployment.contracts)

    def published(self) -> list[tuple[Commitment, ChainProof]]:
        """The log's checkpoints on chain."""
        return [
            (Commitment(_word(event.data, 0), Bytes32(event.data[32:64]), _word(event.data, 2)), proof)
            for event, proof in self._events("CheckpointPublished")
        ]

    def attest(self) -> ChainProof:
        """Have the contract say what it recorded of the log, by an account of the auditor's own."""
        edge, contracts = self.parts.edge, self.parts.deployment.contracts
        call = encode_attest_log(contracts, self.parts.log, self.published()[-1][0])
        [refusal] = edge.send([edge.sign_transaction(self.relay, call, edge.nonce(self.relay.address))])
        assert refusal is None
        return self._events("LogAttested")[-1][1]

    def pinned(self, proof: ChainProof, policy: Policy) -> ChainProof:
        """The proof under what a later policy pins."""
        return replace(proof, block=self._block_proof(Header.parse(proof.header).number, policy.epochs[-1].last))

    def _events(self, name: str) -> list[tuple[Any, ChainProof]]:
        address = self.parts.deployment.contracts["CheckpointLog"]
        found = []
        for block in self.parts.edge.blocks(0, self.parts.edge.head().number):
            for receipt in block.receipts:
                for log in receipt.logs:
                    if log.address == address and log.topics[:2] == (EVENTS[name].topic, self.parts.log):
                        raws = [each.raw for each in block.receipts]
                        where = receipt.transaction_index, log.index_in_receipt
                        found.append((log, prove_event(block.header, raws, *where, self._block_proof(block.number))))
        return found

    def _block_proof(self, number: int, last: int | None = None) -> BlockProof:
        last = self.parts.edge.head().number if last is None else last
        return prove_block([head.hash for head in self.parts.edge.headers(0, last)], number)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[32 * at : 32 * at + 32], "big")


@contextmanager
def lying(folder: Path) -> Iterator[LyingWorld]:
    """Found a consortium in ``folder`` and serve it by a gateway that may lie."""
    relay, clock = LocalSigner(RELAY_KEY), Clock()
    founded = found_for(folder / "home", replace(PLAN, relay_accounts=(relay.address,)))
    gateway = LyingGateway.open(settings_of(folder / "home"), clock=clock)
    with listening() as (sock, url), running(gateway, sock):
        world = World(folder, founded, gateway, url)
        try:
            yield LyingWorld(world, gateway, clock, relay)
        finally:
            for client in world.clients:
                client.close()
