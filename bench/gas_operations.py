"""The operations whose gas is measured, each a transaction of the kind that a gateway sends."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.tree import KeptTree
from ledger.chain import (
    Call,
    Commitment,
    ContractReader,
    LoggedRegistration,
    SignedStatement,
    encode_publish,
    encode_register_batch,
    encode_register_from_log,
)
from ledger.merkle import EMPTY_ROOT, leaf_hash
from ledger.statements import (
    Choice,
    Decision,
    Domains,
    Entry,
    address_of,
    compute_agreement_id,
    compute_dataset_id,
    compute_log_id,
    generate_private_key,
    sign_digest,
)
from ledger.types import Bytes32
from tests.support.chain import Consortium, Person, draw

__all__ = [
    "Measured",
    "measure_checkpoints",
    "measure_exchange",
    "measure_participants",
    "measure_registrations",
    "registration_of",
]

_REPEATS: Final = 10
_BATCH: Final = 100
_RING: Final = 64
_CHECKPOINTS: Final = 256
_ENTRIES: Final = 1 << 20
_ENTRIES_EACH: Final = 997
_HOUR_S: Final = 3600
_ORIGIN: Final = "log.example.org/bench"


@dataclass(frozen=True)
class Measured:
    """Gas of an operation's transactions; ``limit`` None: none was set."""

    operation: str
    gas: Sequence[float]
    limit: int | None = None


def _soon() -> int:
    return int(time.time()) + _HOUR_S


def _domains(consortium: Consortium) -> Domains:
    return Domains(consortium.deployment.chain_id, consortium.deployment.contracts)


def _state(consortium: Consortium, who: Person, type_name: str, /, **members: Any) -> SignedStatement:
    return who.state(_domains(consortium), type_name, **{"deadline": _soon(), **members})


def _run(consortium: Consortium, call: Call | SignedStatement) -> int:
    receipt = consortium.run(call)
    if not receipt.is_successful:
        raise RuntimeError(f"the transaction was reverted: {call}")
    return receipt.gas_used


def registration_of(consortium: Consortium, who: Person, **members: Any) -> SignedStatement:
    """A signed first version of a new dataset, or as ``members`` say."""
    given = {"datasetSalt": draw(), "version": 1, "contentHash": draw(), "metadataHash": draw(), "parents": ()}
    return _state(consortium, who, "DatasetRegistration", **(given | members))


def _parent_of(consortium: Consortium, registered: SignedStatement) -> Mapping[str, object]:
    salt = registered.statement.message["datasetSalt"]
    if not isinstance(salt, Bytes32):
        raise TypeError("a dataset salt is 32 bytes")
    dataset = compute_dataset_id(registered.statement.participant, salt)
    return {"dataset": dataset, "version": 1, "registration": registered.statement.digest(_domains(consortium))}


def measure_registrations(consortium: Consortium) -> list[Measured]:
    """A version, the next one, one with lineage, a hundred at once."""
    provider, analyst = consortium.founders[:2]
    firsts = [registration_of(consortium, provider) for _ in range(_REPEATS)]
    nexts = [
        registration_of(consortium, provider, datasetSalt=each.statement.message["datasetSalt"], version=2)
        for each in firsts
    ]
    derived = [registration_of(consortium, analyst, parents=(_parent_of(consortium, each),)) for each in firsts]
    batch = [registration_of(consortium, provider) for _ in range(_BATCH)]
    whole = encode_register_batch(consortium.deployment.contracts, batch)
    return [
        Measured("register a dataset", [_run(consortium, each) for each in firsts], 75_000),
        Measured("register its next version", [_run(consortium, each) for each in nexts], 75_000),
        Measured("register, derived from one", [_run(consortium, each) for each in derived]),
        Measured(f"register, each in a batch of {_BATCH}", [_run(consortium, whole) / _BATCH], 45_000),
    ]


def _grant(consortium: Consortium, provider: Person, consumer: Person) -> SignedStatement:
    terms = {"firstVersion": 1, "lastVersion": 0, "purpose": draw(), "rights": 3, "policyHash": draw()}
    window = {"validFrom": int(time.time()), "validUntil": _soon() + 30 * 24 * _HOUR_S}
    return _state(consortium, provider, "AccessGrant", datasetSalt=draw(), consumer=consumer.id, **terms, **window)


def measure_exchange(consortium: Consortium) -> list[Measured]:
    """Grants and revocations, and the life of agreements."""
    provider, consumer = consortium.founders[:2]
    grants = [_grant(consortium, provider, consumer) for _ in range(_REPEATS)]
    granted = [_run(consortium, each) for each in grants]
    digests = [each.statement.digest(_domains(consortium)) for each in grants]
    revoked = [_run(consortium, _state(consortium, provider, "AccessRevocation", grant=digest)) for digest in digests]
    lives = [_live(consortium, provider, consumer) for _ in range(_REPEATS)]
    names = ("propose", "accept", "confirm usage of", "settle", "terminate")
    return [
        Measured("grant access", granted, 80_000),
        Measured("revoke a grant", revoked, 45_000),
        *(Measured(f"{name} an agreement", gas) for name, gas in zip(names, zip(*lives, strict=True), strict=True)),
    ]


def _live(consortium: Consortium, supplier: Person, user: Person) -> list[int]:
    salt = draw()
    agreement = compute_agreement_id(supplier.id, salt)
    proposal = _state(
        consortium,
        supplier,
        "AgreementProposal",
        agreement=agreement,
        revision=1,
        parties=tuple(sorted((supplier.id, user.id))),
        supplier=supplier.id,
        user=user.id,
        resource=5,
        termsHash=draw(),
        validFrom=int(time.time()),
        validUntil=_soon(),
        quota=1_000_000,
        decimals=3,
        unit=Bytes32(b"MW.h".ljust(32, b"\0")),
        salt=salt,
    )
    digest = proposal.statement.digest(_domains(consortium))
    used = {"sequence": 1, "total": 12_500}
    steps = (
        proposal,
        _state(consortium, user, "AgreementAcceptance", agreement=agreement, proposal=digest),
        _state(consortium, user, "UsageConfirmation", agreement=agreement, report=draw(), **used),
        _state(consortium, supplier, "SettlementRecord", agreement=agreement, invoiceHash=draw(), **used),
        _state(consortium, user, "AgreementTermination", agreement=agreement),
    )
    return [_run(consortium, step) for step in steps]


def measure_participants(consortium: Consortium) -> list[Measured]:
    """An admission by two of three governors, and a further key."""
    gas = [_admit(consortium, Person()) for _ in range(3)]
    names = ("apply for admission", "vote, the first", "vote, the one that admits", "add a signing key")
    return [Measured(name, each) for name, each in zip(names, zip(*gas, strict=True), strict=True)]


def _admit(consortium: Consortium, applicant: Person) -> list[int]:
    reader = ContractReader(consortium.edge, consortium.deployment.contracts)
    founding = applicant.found(_domains(consortium))
    application = SignedStatement(
        founding.application, address_of(applicant.control_key), founding.control_signature, founding.key_signature
    )
    applied = _run(consortium, application)
    members = {
        "decision": Decision.ADMIT,
        "subject": applicant.id,
        "argument": application.statement.digest(_domains(consortium)),
        "choice": Choice.APPROVE,
        "epoch": reader.epoch(),
        "counter": reader.counter_of(applicant.id),
    }
    votes = [
        _run(consortium, _state(consortium, each, "GovernanceVote", **members)) for each in consortium.founders[:2]
    ]
    return [applied, *votes, _run(consortium, _key_addition(consortium, applicant))]


def _key_addition(consortium: Consortium, who: Person) -> SignedStatement:
    key = generate_private_key()
    added = _state(consortium, who, "KeyAddition", key=address_of(key), custody=0)
    cosignature = sign_digest(key, added.statement.digest(_domains(consortium)))
    return SignedStatement(added.statement, added.signer, added.signature, cosignature)


class _Log:
    """A log of synthetic entries but for one registration, and what the contract last recorded of it."""

    def __init__(self, consortium: Consortium, operator: Person) -> None:
        self._consortium = consortium
        self._operator = operator
        self.id = compute_log_id(operator.id, _ORIGIN)
        self.registration = registration_of(consortium, operator)
        entry = Entry.of(self._digest(), operator.id, self.registration.signature).to_bytes()
        synthetic = (leaf_hash(index.to_bytes(8, "big")) for index in range(_ENTRIES + _CHECKPOINTS * _ENTRIES_EACH))
        leaves = list(synthetic)
        self.index = _ENTRIES // 3
        leaves[self.index] = leaf_hash(entry)
        self.tree = KeptTree(leaves)
        self.current = Commitment(0, Bytes32(EMPTY_ROOT), 0)

    def _digest(self) -> Bytes32:
        return self.registration.statement.digest(_domains(self._consortium))

    def open(self) -> int:
        members = {"origin": _ORIGIN, "publisher": self._consortium.relay.address, "verifierKey": draw()}
        gas = _run(self._consortium, _state(self._consortium, self._operator, "LogOpening", **members))
        self.current = Commitment(0, Bytes32(EMPTY_ROOT), self._consortium.edge.head().timestamp)
        return gas

    def publish(self, size: int) -> int:
        previous, root = self.current, Bytes32(self.tree.root(size))
        proof = self.tree.prove_consistency(previous.size, size) if previous.size else []
        call = encode_publish(
            self._consortium.deployment.contracts, self.id, previous, size, root, [Bytes32(each) for each in proof]
        )
        gas = _run(self._consortium, call)
        self.current = Commitment(size, root, self._consortium.edge.head().timestamp)
        return gas

    def lift(self) -> int:
        proof = self.tree.prove_inclusion(self.index, self.current.size)
        entry = Entry.of(self._digest(), self._operator.id, self.registration.signature)
        logged = LoggedRegistration(
            entry.signature_hash, self.id, self.current, self.index, [Bytes32(each) for each in proof]
        )
        return _run(
            self._consortium, encode_register_from_log(self._consortium.deployment.contracts, self.registration, logged)
        )


def measure_checkpoints(consortium: Consortium) -> list[Measured]:
    """A log of 2^20 entries: opened, its ring filled, then checkpoint after checkpoint; one registration lifted."""
    log = _Log(consortium, consortium.founders[0])
    opened = log.open()
    for place in range(_RING):
        log.publish(_ENTRIES - (_RING - 1 - place) * _ENTRIES_EACH)
    published = [log.publish(log.current.size + _ENTRIES_EACH) for _ in range(_CHECKPOINTS)]
    return [
        Measured("open a log", [opened]),
        Measured("publish a checkpoint at 2^20", published, 66_000),
        Measured(f"its share, each of {_ENTRIES_EACH} entries", [gas / _ENTRIES_EACH for gas in published]),
        Measured("lift a registration, 2^20 entries", [log.lift()]),
    ]
