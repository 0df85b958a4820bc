"""Statements as contract calls: which function, with which arguments, and how much gas it may take.

Anyone may relay a call, for the signature counts and not the sender; ``encode_publish`` alone must be sent by the log's
publisher account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.chain.contracts import ContractName, load_artifact
from ledger.statements import Statement
from ledger.types import Address, Bytes32

__all__ = [
    "Call",
    "Commitment",
    "LoggedRegistration",
    "SignedStatement",
    "encode_attest_grant",
    "encode_attest_log",
    "encode_publish",
    "encode_register_batch",
    "encode_register_from_log",
    "encode_statement",
]

Contracts = Mapping[str, Address]

# A limit, not a price: what is not used is given back. Far above the measured cost, so that a contract wallet's check
# (ERC-1271) fits; per byte of calldata the floor price of EIP-7623.
_GAS_BASE: Final = 400_000
_GAS_PER_BYTE: Final = 40
_GAS_PER_ITEM: Final = 150_000
_GAS_OF: Final[Mapping[str, int]] = {"vote": 800_000, "applyForAdmission": 500_000, "propose": 500_000}


@dataclass(frozen=True)
class Call:
    """A call of one of our contracts. ``function`` names it in messages."""

    contract: ContractName
    function: str
    to: Address
    data: bytes
    gas_limit: int


@dataclass(frozen=True)
class Commitment:
    """A checkpoint as ``CheckpointLog`` keeps it; ``time`` is its block's, in UTC seconds."""

    size: int
    root: Bytes32
    time: int

    def to_abi(self) -> dict[str, object]:
        """The struct's members."""
        return {"size": self.size, "root": self.root, "time": self.time}


@dataclass(frozen=True)
class SignedStatement:
    """A statement with what makes it executable: the signing address, its signature and a new key's co-signature."""

    statement: Statement
    signer: Address
    signature: bytes
    cosignature: bytes | None = None


@dataclass(frozen=True)
class LoggedRegistration:
    """Where a log holds a registration: what ``registerFromLog`` checks."""

    signature_hash: Bytes32
    log: Bytes32
    checkpoint: Commitment
    index: int
    proof: Sequence[Bytes32]


def encode_statement(contracts: Contracts, signed: SignedStatement) -> Call:
    """The call that executes a statement.

    Raises:
        ValueError: a type that only logs keep, or a co-signature missing or surplus.
    """
    kind = signed.statement.type
    if kind.function is None:
        raise ValueError(f"{kind.name} is kept by logs alone: no contract executes it")
    if (kind.cosigned_by is None) != (signed.cosignature is None):
        rule = "no co-signature" if kind.cosigned_by is None else f"the signature of its {kind.cosigned_by}"
        raise ValueError(f"{kind.name} takes {rule}")
    arguments: dict[str, object] = {
        "statement": signed.statement.message,
        "signer": signed.signer,
        "signature": signed.signature,
    }
    if signed.cosignature is not None:
        arguments["coSignature"] = signed.cosignature
    items = max((len(value) for value in signed.statement.message.values() if isinstance(value, tuple)), default=0)
    return _encode(contracts, kind.contract, kind.function, arguments, items=items)


def encode_register_batch(contracts: Contracts, batch: Sequence[SignedStatement]) -> Call:
    """The call that registers several dataset versions; repeats in it are passed over.

    Raises:
        ValueError: empty, or a statement that is not a DatasetRegistration.
    """
    if not batch or any(each.statement.type.name != "DatasetRegistration" for each in batch):
        raise ValueError("a batch holds one DatasetRegistration or more")
    arguments: dict[str, object] = {
        "statements": [each.statement.message for each in batch],
        "signers": [each.signer for each in batch],
        "signatures": [each.signature for each in batch],
    }
    return _encode(contracts, "DatasetRegistry", "registerBatch", arguments, items=len(batch))


def encode_register_from_log(contracts: Contracts, signed: SignedStatement, logged: LoggedRegistration) -> Call:
    """The call that lifts a logged registration onto the chain; signed anew by a key that is active now."""
    arguments: dict[str, object] = {
        "statement": signed.statement.message,
        "signer": signed.signer,
        "signature": signed.signature,
        "loggedSignatureHash": logged.signature_hash,
        "log": logged.log,
        "checkpoint": logged.checkpoint.to_abi(),
        "index": logged.index,
        "proof": list(logged.proof),
    }
    parents = signed.statement.message["parents"]
    items = len(parents) if isinstance(parents, tuple) else 0
    return _encode(contracts, "DatasetRegistry", "registerFromLog", arguments, items=items)


def encode_publish(
    contracts: Contracts,
    log: Bytes32,
    previous: Commitment,
    size: int,
    root: Bytes32,
    consistency_proof: Sequence[Bytes32],
) -> Call:
    """The call that publishes a checkpoint; its sender must be the log's publisher account."""
    arguments: dict[str, object] = {
        "log": log,
        "previous": previous.to_abi(),
        "size": size,
        "root": root,
        "consistencyProof": list(consistency_proof),
    }
    return _encode(contracts, "CheckpointLog", "publish", arguments)


def encode_attest_log(contracts: Contracts, log: Bytes32, current: Commitment) -> Call:
    """The call that has the chain state a log's present checkpoint."""
    return _encode(contracts, "CheckpointLog", "attest", {"log": log, "current": current.to_abi()})


def encode_attest_grant(contracts: Contracts, grant: Statement) -> Call:
    """The call that has the chain state what it keeps of a grant.

    Raises:
        ValueError: not an AccessGrant.
    """
    if grant.type.name != "AccessGrant":
        raise ValueError(f"expected an AccessGrant, found {grant.type.name}")
    return _encode(contracts, "AccessGrants", "attest", {"statement": grant.message})


def _encode(
    contracts: Contracts, contract: ContractName, function: str, arguments: Mapping[str, object], *, items: int = 0
) -> Call:
    data = load_artifact(contract).encode_call(function, arguments)
    gas_limit = _GAS_BASE + _GAS_OF.get(function, 0) + _GAS_PER_BYTE * len(data) + _GAS_PER_ITEM * items
    return Call(contract, function, contracts[contract], data, gas_limit)
