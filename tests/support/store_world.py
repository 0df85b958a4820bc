"""A scripted chain and statements for tests of the store: events as the contracts emit them, without an EVM."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ledger.canonical import JsonValue, encode_canonical
from ledger.statements import (
    Choice,
    Decision,
    HistoryKind,
    Statement,
    compute_agreement_id,
    compute_dataset_id,
)
from ledger.store import Consortium, Store
from ledger.store.fencing import FencedDatabase
from ledger.store.migrating import upgrade
from ledger.store.rows import DocumentRow, NewStatement
from ledger.types import Address, Bytes32
from tests.support.databases import database_url, is_postgresql
from tests.support.statements import DOMAINS

CONSORTIUM = Consortium(DOMAINS.chain_id, DOMAINS.contracts["ParticipantRegistry"])
GENESIS_S = 1_795_000_000
NOW = datetime.fromtimestamp(GENESIS_S, UTC)
FOREVER = 2**64 - 1
ZERO = Bytes32(bytes(32))


def word(text: str) -> Bytes32:
    """A made-up id."""
    return Bytes32(hashlib.sha256(text.encode()).digest())


def account(text: str) -> Address:
    """A made-up address."""
    return Address(word(text)[:20])


def padded(number: int | bytes) -> Bytes32:
    """A number or address as a word."""
    raw = number.to_bytes(32, "big") if isinstance(number, int) else number
    return Bytes32(raw.rjust(32, b"\0"))


@dataclass(frozen=True)
class Event:
    """One scripted event."""

    contract: str
    name: str
    args: Mapping[str, Any]
    block_number: int
    block_hash: Bytes32
    timestamp: int
    tx_hash: Bytes32
    log_index_in_block: int


@dataclass(frozen=True)
class Block:
    """One scripted block."""

    number: int
    hash: Bytes32
    parent_hash: Bytes32
    timestamp: int


@dataclass
class Chain:
    """Writes blocks into a store, ten seconds apart."""

    store: Store
    fork: str = "main"
    blocks: list[tuple[Block, tuple[Event, ...]]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Number of the last block."""
        return self.blocks[-1][0].number if self.blocks else 0

    def time(self, number: int | None = None) -> datetime:
        """Time of a block (None: the last)."""
        return NOW + timedelta(seconds=10 * (self.number if number is None else number))

    def mine(self, *events: tuple[str, str, Mapping[str, Any]], final: bool = True) -> Block:
        """Make a block of (contract, name, args) and fold it."""
        block, made = self.prepare(*events)
        self.store.projections.fold(block, made)
        if final:
            self.store.projections.set_final(block.number)
        return block

    def prepare(self, *events: tuple[str, str, Mapping[str, Any]]) -> tuple[Block, tuple[Event, ...]]:
        """Make a block without folding it."""
        number = self.number + 1
        parent = self.blocks[-1][0].hash if self.blocks else ZERO
        block = Block(number, word(f"{self.fork}/{number}/{parent}"), parent, GENESIS_S + 10 * number)
        made = tuple(
            Event(contract, name, args, number, block.hash, block.timestamp, word(f"tx/{block.hash}/{index}"), index)
            for index, (contract, name, args) in enumerate(events)
        )
        self.blocks.append((block, made))
        return block, made


@dataclass
class World:
    """A store with a chain, and a gateway's log that statements enter."""

    store: Store
    chain: Chain
    log: Bytes32 = field(default_factory=lambda: word("log"))
    size: int = 0
    records: int = 0
    _salts: Iterator[int] = field(default_factory=count)

    # -- statements ---------------------------------------------------------------------------------------------

    def salt(self) -> Bytes32:
        """A fresh salt."""
        return word(f"salt {next(self._salts)}")

    def statement(self, type_name: str, **members: Any) -> tuple[Statement, Bytes32]:
        """Build a statement and its digest."""
        members.setdefault("deadline", GENESIS_S + 10**6)
        members.setdefault("salt", self.salt())
        statement = Statement.build(type_name, **members)
        return statement, statement.digest(DOMAINS)

    def new(self, type_name: str, *, at_s: int = 0, **members: Any) -> NewStatement:
        """Build a signed statement, received ``at_s`` after the beginning."""
        statement, digest = self.statement(type_name, **members)
        return NewStatement(
            digest=digest,
            statement=statement,
            signature=bytes(65),
            signer=account("signer"),
            received_at=NOW + timedelta(seconds=at_s, microseconds=digest[0]),
            executable=statement.type.function is not None,
        )

    def say(self, type_name: str, *, at_s: int = 0, **members: Any) -> NewStatement:
        """Let a statement enter the gateway's log."""
        new = self.new(type_name, at_s=at_s, **members)
        self.accept(new)
        return new

    def accept(self, *statements: NewStatement) -> None:
        """Let statements enter the gateway's log in one batch."""
        self.store.statements.accept(self.log, statements, self.size, self.size + len(statements))
        self.size += len(statements)

    def document(self, kind: str, document: JsonValue, *, bound: bool = False) -> DocumentRow:
        """Store a document."""
        salt, body = self.salt(), encode_canonical(document)
        digest = Bytes32(hashlib.sha256(salt + body).digest())
        row = DocumentRow(digest, salt, body, kind, NOW, bound)
        self.store.documents.add([row])
        return row

    # -- events -------------------------------------------------------------------------------------------------

    def history(self, kind: HistoryKind, participant: Bytes32, detail: Bytes32 = ZERO) -> tuple[str, str, Any]:
        """A record of the registry's history."""
        self.records += 1
        args = {
            "index": self.records,
            "kind": int(kind),
            "participant": participant,
            "detail": detail,
            "head": word(f"head {self.records} {self.chain.fork}"),
        }
        return "ParticipantRegistry", "HistoryExtended", args

    def filed(self, name: str, profile: Bytes32, digest: Bytes32 | None = None) -> tuple[str, str, Any]:
        """An application."""
        args = {
            "digest": digest or word(f"application {name}"),
            "participant": word(name),
            "controlKey": account(f"{name} control"),
            "signingKey": account(f"{name} signing"),
            "custody": 1,
            "profileHash": profile,
        }
        return "ParticipantRegistry", "ApplicationFiled", args

    def admission(self, name: str, profile: Bytes32) -> list[tuple[str, str, Any]]:
        """The records by which an applicant becomes a participant."""
        key = padded((1 << 160) | int.from_bytes(account(f"{name} signing"), "big"))
        return [
            self.history(HistoryKind.ADMITTED, word(name), profile),
            self.history(HistoryKind.CONTROL_KEY_SET, word(name), padded(account(f"{name} control"))),
            self.history(HistoryKind.KEY_ADDED, word(name), key),
        ]

    def profile(self, name: str) -> Bytes32:
        """A bound profile document; claims the handle."""
        row = self.document("profile", {"handle": name, "name": f"{name.title()} AG"})
        self.store.documents.bind([row.hash], word(name))
        self.store.names.claim_handle(word(name), name)
        return row.hash

    def found(self, *names: str, threshold: int = 1) -> None:
        """Found the consortium in one block."""
        events: list[tuple[str, str, Any]] = []
        for name in names:
            profile = self.profile(name)
            events += [self.filed(name, profile), *self.admission(name, profile)]
            events.append(self.history(HistoryKind.GOVERNOR_APPOINTED, word(name)))
        events.append(self.history(HistoryKind.THRESHOLD_SET, ZERO, padded(threshold)))
        self.chain.mine(*events)

    def vote(
        self,
        governor: str,
        decision: Decision,
        subject: Bytes32,
        argument: Bytes32 = ZERO,
        *,
        choice: Choice = Choice.APPROVE,
        decided: bool | None = None,
    ) -> list[tuple[str, str, Any]]:
        """A vote under the present epoch and counter; ``decided``: it executes (True) or rejects (False)."""
        epoch, counter = self.store.governance.governors().epoch, self.store.governance.counter_of(subject)
        ballot = {
            "digest": word(f"vote {next(self._salts)}"),
            "subject": subject,
            "decision": int(decision),
            "argument": argument,
            "epoch": epoch,
            "counter": counter,
        }
        cast = {**ballot, "participant": word(governor), "choice": int(choice), "approvals": 1, "rejections": 0}
        events = [("ParticipantRegistry", "VoteCast", cast)]
        if decided is not None:
            events.append(("ParticipantRegistry", "DecisionExecuted" if decided else "ProposalRejected", ballot))
        return events

    def published(self, size: int, previous_size: int = 0) -> tuple[str, str, Any]:
        """A checkpoint of the gateway's log."""
        args = {
            "log": self.log,
            "size": size,
            "root": word(f"root {size}"),
            "time": GENESIS_S,
            "previousSize": previous_size,
            "previousRoot": word(f"root {previous_size}"),
            "previousTime": GENESIS_S,
            "historyHead": word(f"head {self.records} {self.chain.fork}"),
        }
        return "CheckpointLog", "CheckpointPublished", args

    def registered(self, new: NewStatement) -> tuple[str, str, Any]:
        """The event of a DatasetRegistration."""
        message: Any = new.statement.message
        args = {
            "digest": new.digest,
            "dataset": compute_dataset_id(message["participant"], message["datasetSalt"]),
            "participant": message["participant"],
            "signer": new.signer,
            "version": message["version"],
            "contentHash": message["contentHash"],
            "metadataHash": message["metadataHash"],
            "parents": message["parents"],
        }
        return "DatasetRegistry", "DatasetRegistered", args

    def granted(self, new: NewStatement) -> tuple[str, str, Any]:
        """The event of an AccessGrant."""
        message: Any = dict(new.statement.message)
        dataset = compute_dataset_id(message["participant"], message.pop("datasetSalt"))
        return "AccessGrants", "AccessGranted", message | {"digest": new.digest, "dataset": dataset}

    def revoked(self, new: NewStatement) -> tuple[str, str, Any]:
        """The event of an AccessRevocation."""
        return "AccessGrants", "AccessRevoked", dict(new.statement.message) | {"digest": new.digest}

    def proposed(self, new: NewStatement) -> tuple[str, str, Any]:
        """The event of an AgreementProposal."""
        message = new.statement.message
        args = {
            "digest": new.digest,
            "agreement": message["agreement"],
            "participant": message["participant"],
            "signer": new.signer,
            "statement": message,
        }
        return "SharingAgreements", "AgreementProposed", args

    def moved(self, name: str, new: NewStatement) -> tuple[str, str, Any]:
        """The event of another statement about an agreement."""
        return "SharingAgreements", name, dict(new.statement.message) | {"digest": new.digest}

    # -- friendly statements ------------------------------------------------------------------------------------

    def registration(
        self, provider: str, slug: str, version: int = 1, *, at_s: int = 0, **members: Any
    ) -> NewStatement:
        """A registration with metadata, not said yet."""
        metadata = self.document("metadata", {"slug": slug, "title": f"The {slug} of {provider}", "keywords": ["Öl"]})
        salt = word(f"{provider}/{slug}")
        dataset = compute_dataset_id(word(provider), salt)
        self.store.names.claim_slug(word(provider), slug, dataset, salt)
        given = {
            "participant": word(provider),
            "datasetSalt": salt,
            "version": version,
            "contentHash": self.salt(),
            "metadataHash": metadata.hash,
            "parents": (),
        }
        return self.new("DatasetRegistration", at_s=at_s, **{**given, **members})

    def terms(self, **members: Any) -> dict[str, Any]:
        """Terms of a request or grant."""
        policy = self.document("policy", {"permission": ["read"], "uid": str(self.salt())})
        given: dict[str, Any] = {
            "firstVersion": 1,
            "lastVersion": 0,
            "purpose": word("purpose"),
            "rights": 1,
            "validFrom": 0,
            "validUntil": FOREVER,
            "policyHash": policy.hash,
        }
        return {**given, **members}

    def proposal(self, *parties: str, agreement: Bytes32 | None = None, revision: int = 1) -> NewStatement:
        """A proposal of an agreement by the first party, the supplier, to the second, the user; not said yet."""
        terms = self.document("terms", {"title": "Capacity", "price": "12.50"})
        salt = self.salt()
        return self.new(
            "AgreementProposal",
            participant=word(parties[0]),
            agreement=agreement or compute_agreement_id(word(parties[0]), salt),
            revision=revision,
            parties=tuple(sorted(word(name) for name in parties)),
            supplier=word(parties[0]),
            user=word(parties[1]),
            resource=5,
            termsHash=terms.hash,
            validFrom=0,
            validUntil=FOREVER,
            quota=1_000,
            decimals=1,
            unit=padded(0),
            salt=salt,
        )


@cache
def _migrated() -> bytes:
    """A SQLite file with this version's schema and nothing in it: to migrate takes longer than most tests."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "migrated.sqlite3"
        database = FencedDatabase.connect(f"sqlite:///{file}")
        try:
            with database.write() as connection:
                upgrade(connection)
        finally:
            database.close()
        return file.read_bytes()


@contextmanager
def open_world(folder: Path, name: str = "store") -> Iterator[World]:
    """An empty world."""
    file = folder / f"{name}.sqlite3"
    if not is_postgresql() and not file.exists():
        file.write_bytes(_migrated())
    with Store.open(database_url(folder, name), CONSORTIUM) as store:
        yield World(store, Chain(store))
