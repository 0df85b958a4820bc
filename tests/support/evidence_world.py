"""A small consortium with a chain and a log of its own, in memory, from which consistent evidence is made.

Blocks, receipts and their tries are real, only no EVM runs: a test says which events the contracts emit.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field

from ledger.canonical import encode_canonical, hash_document
from ledger.content import Manifest, compute_content_hash
from ledger.evidence import (
    BlockProof,
    ChainProof,
    Content,
    Evidence,
    HistoryRecord,
    PinnedContract,
    PinnedLog,
    PinnedRange,
    Policy,
    build_content,
    build_evidence,
    compute_block_root,
    compute_history_head,
    encode_header,
    encode_receipt,
    prove_block,
    prove_event,
)
from ledger.evidence.events import EVENTS
from ledger.evidence.trie import EMPTY_TRIE_ROOT, prove_receipt
from ledger.keccak import keccak256
from ledger.log import Checkpoint, NoteSigner
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash, prove_inclusion
from ledger.statements import (
    Custody,
    Domains,
    Entry,
    HistoryKind,
    Statement,
    address_of,
    compute_participant_id,
    sign_digest,
)
from ledger.types import Address, Bytes32

START = 1_800_000_000
ORIGIN = "gateway.example/log"
NAMES = ("ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog")
CODES = {name: b"\xfe" + name.encode() for name in NAMES}
CONTRACTS = {name: Address(bytes([0xC0 + at]) * 20) for at, name in enumerate(NAMES)}

Json = dict[str, object]


def word(value: int | bytes) -> bytes:
    """One ABI word."""
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def salt(seed: int) -> Bytes32:
    """A salt that differs by its seed."""
    return Bytes32(keccak256(b"salt" + seed.to_bytes(4, "big")))


def private_key(seed: int) -> bytes:
    """A private key that differs by its seed."""
    return keccak256(b"key" + seed.to_bytes(4, "big"))


def data_hex(raw: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return "0x" + raw.hex()


def make_event(name: str, indexed: list[int | bytes], data: bytes = b"", contract: str | None = None) -> Json:
    """An event as JSON-RPC gives it."""
    event = EVENTS[name]
    topics = [data_hex(event.topic), *(data_hex(word(value)) for value in indexed)]
    return {"address": str(CONTRACTS[contract or event.contract]), "topics": topics, "data": data_hex(data)}


def make_log_opened(log: bytes, operator: bytes, origin: bytes, key: bytes) -> Json:
    """A `LogOpened` as JSON-RPC gives it."""
    tail = word(len(origin)) + origin.ljust(-(-len(origin) // 32) * 32, b"\0")
    return make_event("LogOpened", [salt(99), log, operator], word(96) + word(b"\x11" * 20) + key + tail)


@dataclass
class Block:
    """A block as JSON-RPC gives it, with its receipts."""

    form: Json
    receipts: list[Json]

    @property
    def hash(self) -> Bytes32:
        return Bytes32.parse(str(self.form["hash"]))

    @property
    def number(self) -> int:
        return int(str(self.form["number"]), 16)

    @property
    def time(self) -> int:
        return int(str(self.form["timestamp"]), 16)


@dataclass
class Member:
    """A participant with its keys."""

    id: Bytes32
    control: bytes
    signing: bytes
    seed: int


@dataclass
class Stated:
    """A statement in the log."""

    statement: Statement
    signature: bytes
    cosignature: bytes | None
    index: int
    content: Content | None = None
    effect: ChainProof | None = None


@dataclass
class Published:
    """A checkpoint on chain, and how many history records there were."""

    note: bytes
    size: int
    root: bytes
    time: int
    records: int
    chain: ChainProof


@dataclass
class World:
    """Builds the consortium step by step; every step is a block."""

    chain_id: int = 4_711
    fork_fields: Json = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    history: list[HistoryRecord] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    signer: NoteSigner = field(default_factory=lambda: NoteSigner(ORIGIN, keccak256(b"log key")))
    operator: str = "gateway"

    def __post_init__(self) -> None:
        self.mine()
        self.admit("gateway", 1)
        self.opened = self.open_log("gateway")

    @property
    def domains(self) -> Domains:
        return Domains(self.chain_id, CONTRACTS)

    def mine(self, *transactions: list[Json], kinds: tuple[int, ...] = ()) -> Block:
        """Mine a block of transactions, each given by its events."""
        receipts: list[Json] = [
            {
                "type": hex(kinds[at] if at < len(kinds) else 2),
                "status": "0x1",
                "cumulativeGasUsed": hex(21_000 * (at + 1)),
                "logsBloom": data_hex(bytes(256)),
                "logs": events,
            }
            for at, events in enumerate(transactions)
        ]
        number = len(self.blocks)
        encoded = [encode_receipt(receipt) for receipt in receipts]
        root = prove_receipt(encoded, 0)[0] if encoded else EMPTY_TRIE_ROOT
        form: Json = {
            "number": hex(number),
            "timestamp": hex(START + 10 * number),
            "parentHash": str(self.blocks[-1].hash) if self.blocks else data_hex(bytes(32)),
            "receiptsRoot": data_hex(root),
            **{name: data_hex(bytes(32)) for name in ("sha3Uncles", "stateRoot", "transactionsRoot", "mixHash")},
            "difficulty": "0x0",
            "gasUsed": "0x0",
            "gasLimit": hex(30_000_000),
            "miner": data_hex(bytes(20)),
            "logsBloom": data_hex(bytes(256)),
            "extraData": "0x",
            "nonce": data_hex(bytes(8)),
            **self.fork_fields,
        }
        form["hash"] = data_hex(keccak256(encode_header(form)))
        self.blocks.append(Block(form, receipts))
        return self.blocks[-1]

    def extend_history(self, *records: tuple[HistoryKind, bytes, int | bytes], also: Sequence[Json] = ()) -> Block:
        """Append records (kind, participant, detail) to the registry's history, in one block, other events after."""
        number, events = len(self.blocks), []
        for kind, participant, detail in records:
            raw = Bytes32(word(detail))
            self.history.append(HistoryRecord(kind, Bytes32(participant), raw, number, START + 10 * number))
            data = word(kind) + raw + self.head()
            events.append(make_event("HistoryExtended", [len(self.history), participant], data))
        return self.mine([*events, *also])

    def head(self, records: int | None = None) -> Bytes32:
        """The history's head after so many records."""
        return compute_history_head(self.chain_id, CONTRACTS["ParticipantRegistry"], self.history[:records])

    def admit(self, handle: str, seed: int, custody: Custody = Custody.OWN) -> Member:
        """Admit a participant."""
        control, signing = private_key(seed), private_key(1000 + seed)
        member = Member(compute_participant_id(address_of(control), salt(seed)), control, signing, seed)
        self.members[handle] = member
        self.extend_history(
            (HistoryKind.ADMITTED, member.id, salt(7000 + seed)),
            (HistoryKind.CONTROL_KEY_SET, member.id, address_of(control)),
            (HistoryKind.KEY_ADDED, member.id, custody << 160 | int.from_bytes(address_of(signing), "big")),
        )
        return member

    def open_log(self, handle: str) -> Block:
        """Open the log of a participant."""
        key = self.signer.verifier_key.public_key
        operator = self.members[handle].id
        return self.mine([make_log_opened(self.log_id, operator, self.signer.name.encode(), key)])

    def beside(self, handle: str, origin: str) -> World:
        """The same consortium and chain, seen with another log: that of a participant, empty."""
        other = copy(self)
        other.operator, other.signer = handle, NoteSigner(origin, keccak256(origin.encode()))
        other.entries, other.published = [], []
        other.opened = other.open_log(handle)
        return other

    @property
    def log_id(self) -> Bytes32:
        return self.pinned_log.id

    @property
    def pinned_log(self) -> PinnedLog:
        """The log as a policy names it."""
        return PinnedLog(self.members[self.operator].id, self.signer.name, (self.signer.verifier_key,))

    def state(self, handle: str, type_name: str, *, key: bytes | None = None, **members: object) -> Stated:
        """Sign a statement and append it to the log."""
        member = self.members[handle]
        given = {"participant": member.id, "deadline": START + 100_000, "salt": salt(len(self.entries)), **members}
        statement = Statement.build(type_name, **given)
        own = member.control if statement.type.signed_by == "control" else member.signing
        return self.append(statement, sign_digest(key or own, statement.digest(self.domains)))

    def append(self, statement: Statement, signature: bytes, cosignature: bytes | None = None) -> Stated:
        """Append a signed statement to the log."""
        entry = Entry.of(statement.digest(self.domains), statement.participant, signature)
        self.entries.append(entry.to_bytes())
        return Stated(statement, signature, cosignature, len(self.entries) - 1)

    def register(
        self,
        handle: str,
        version: int,
        manifest: Manifest,
        *,
        parents: list[Json] | None = None,
        slug: str = "power",
        metadata: Json | None = None,
        **content: object,
    ) -> Stated:
        """State a registration with its content."""
        document = {"provider": handle, "slug": slug, "title": "Générosité"} if metadata is None else metadata
        version_salt, metadata_salt = salt(500 + version), salt(600 + version)
        stated = self.state(
            handle,
            "DatasetRegistration",
            datasetSalt=salt(40),
            version=version,
            contentHash=compute_content_hash(version_salt, manifest.content_root),
            metadataHash=hash_document(metadata_salt, document),  # type: ignore[arg-type]  # JSON values all
            parents=parents or [],
        )
        stated.content = build_content(
            version_salt,
            manifest,
            metadata_salt=metadata_salt,
            metadata=document,  # type: ignore[arg-type]  # as above
            **content,  # type: ignore[arg-type]  # chunks
        )
        return stated

    def publish(self, *, before: list[Json] | None = None, note: bytes | None = None) -> Published:
        """Sign a checkpoint over all entries and record it on chain, as the second transaction of a block."""
        leaves = [leaf_hash(entry) for entry in self.entries]
        root = compute_root(leaves)
        last = self.published[-1] if self.published else None
        size, previous_root, previous_time = (
            (last.size, last.root, last.time) if last else (0, EMPTY_ROOT, self.opened.time)
        )
        time = START + 10 * len(self.blocks)
        previous = word(size) + previous_root + word(previous_time)
        data = word(len(leaves)) + root + word(time) + previous + self.head()
        block = self.mine(before or [], [make_event("LogAttested", [self.log_id], bytes(128)),
                                          make_event("CheckpointPublished", [self.log_id], data)])  # fmt: skip
        signed = note or self.signer.sign(Checkpoint(self.signer.name, len(leaves), root).text).to_bytes()
        records = len(self.history)
        self.published.append(Published(signed, len(leaves), root, time, records, self.prove(block, 1, 1)))
        return self.published[-1]

    def take_effect(self, stated: Stated, name: str, indexed: list[int | bytes], data: bytes = b"") -> Block:
        """Emit the event that shows a statement's effect, and prove it in the evidence."""
        digest = stated.statement.digest(self.domains)
        block = self.mine([make_event(name, [digest, *indexed], data)])
        stated.effect = self.prove(block, 0, 0)
        return block

    def prove(self, block: Block, receipt: int, position: int) -> ChainProof:
        """Prove an event, without the block's place under a pin: that is added with the evidence."""
        unpinned = BlockProof(block.number, block.number, Bytes32(leaf_hash(block.hash)), ())
        return prove_event(block.form, block.receipts, receipt, position, unpinned)

    def pin(self, chain: ChainProof, last: int | None = None) -> ChainProof:
        """The same chain proof under the pin of the blocks 0 to ``last``."""
        hashes = [block.hash for block in self.blocks[: None if last is None else last + 1]]
        number = next(block.number for block in self.blocks if data_hex(chain.header) == data_hex(_header(block)))
        proof = prove_block(hashes, number)
        return ChainProof(
            chain.header, chain.receipt_index, chain.receipt, chain.receipt_proof, chain.log_position, proof
        )

    def prove_stated(self, stated: Stated, *, last: int | None = None, published: Published | None = None) -> Evidence:
        """The evidence of a statement under the first checkpoint that covers it (or another)."""
        anchor = published or next(each for each in self.published if stated.index < each.size)
        leaves = [leaf_hash(entry) for entry in self.entries[: anchor.size]]
        return build_evidence(
            stated.statement,
            stated.signature,
            log_index=stated.index,
            log_proof=prove_inclusion(leaves, stated.index, anchor.size),
            checkpoint=anchor.note,
            anchor=self.pin(anchor.chain, last),
            history=self.history[: anchor.records],
            cosignature=stated.cosignature,
            effect=self.pin(stated.effect, last) if stated.effect else None,
            content=stated.content,
        )

    def policy(self, last: int | None = None) -> Policy:
        """The policy that pins the blocks 0 to ``last``."""
        last = len(self.blocks) - 1 if last is None else last
        root = compute_block_root([block.hash for block in self.blocks[: last + 1]])
        return Policy(
            chain_id=self.chain_id,
            genesis_hash=self.blocks[0].hash,
            contracts={name: PinnedContract(CONTRACTS[name], Bytes32(keccak256(CODES[name]))) for name in NAMES},
            epochs=(PinnedRange(0, last, root),),
            logs=(self.pinned_log,),
        )


def _header(block: Block) -> bytes:
    return encode_header(block.form)


def as_json(evidence: Evidence) -> bytes:
    """The evidence file."""
    return encode_canonical(evidence.to_document())
