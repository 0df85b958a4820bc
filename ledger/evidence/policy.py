"""The policy (docs/spec/policy.md): what an auditor trusts, made with a node of its own choice and pinned.

Nothing in it ever comes from evidence. Its SHA-256 is compared with other members over another channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, get_args

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.errors import MalformedError
from ledger.evidence.documents import (
    Document,
    check_format,
    each_of,
    expect_members,
    expect_text,
    member_list,
    parse_number,
)
from ledger.log.note import VerifierKey
from ledger.statements import Domains, compute_log_id
from ledger.statements.vocabulary import Contract
from ledger.types import Address, Bytes32

__all__ = ["CONTRACT_NAMES", "POLICY_FORMAT", "PinnedContract", "PinnedLog", "PinnedRange", "Policy", "parse_policy"]

POLICY_FORMAT: Final = "concord-policy/1"
CONTRACT_NAMES: Final[tuple[str, ...]] = get_args(Contract)
_MAX_SIZE_BYTES: Final = 1 << 24
_MAX_UINT256: Final = 2**256 - 1


@dataclass(frozen=True, slots=True)
class PinnedContract:
    """Where a contract is, and the Keccak-256 of its code there."""

    address: Address
    code_hash: Bytes32


@dataclass(frozen=True, slots=True)
class PinnedRange:
    """The blocks ``first`` to ``last`` with the RFC 6962 root over their hashes in order, or an epoch of validators.

    ``validators``, ascending, are those whose seals the blocks have; none: the chain has no seals, or this range does
    not say. An open epoch of validators has neither ``last`` nor ``root``: its blocks count by their seals.
    """

    first: int
    last: int | None
    root: Bytes32 | None
    validators: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        """Raise MalformedError unless it is a range with its root, or open with validators."""
        if (self.last is None) != (self.root is None):
            raise MalformedError("an epoch of the policy has last and root together, or neither")
        if self.last is None and not self.validators:
            raise MalformedError("an epoch of the policy without last and root names its validators")
        if self.last is not None and self.last < self.first:
            raise MalformedError(f"the policy pins the {self}")
        if list(self.validators) != sorted(set(self.validators)):
            raise MalformedError("an epoch's validators do not stand in ascending order, each once")

    def __str__(self) -> str:
        return f"blocks from {self.first} on" if self.last is None else f"blocks {self.first} to {self.last}"

    @property
    def order(self) -> tuple[int, int]:
        """What a policy's epochs ascend by; an open one ends after all others."""
        return self.first, _MAX_UINT256 if self.last is None else self.last

    def holds(self, number: int) -> bool:
        """Whether the block is among its blocks."""
        return self.first <= number <= self.order[1]


@dataclass(frozen=True, slots=True)
class PinnedLog:
    """A log of an operator and the keys that sign, or signed, its checkpoints, the oldest first."""

    operator: Bytes32
    origin: str
    keys: tuple[VerifierKey, ...]

    @property
    def id(self) -> Bytes32:
        """The log's id on chain."""
        return compute_log_id(self.operator, self.origin)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verifier trusts of one consortium."""

    chain_id: int
    genesis_hash: Bytes32
    contracts: Mapping[str, PinnedContract]
    epochs: tuple[PinnedRange, ...]
    logs: tuple[PinnedLog, ...]

    def __post_init__(self) -> None:
        """Raise MalformedError unless it names each contract, and ranges and logs in order, each once."""
        if sorted(self.contracts) != sorted(CONTRACT_NAMES):
            raise MalformedError(f"a policy names the contracts {', '.join(sorted(CONTRACT_NAMES))}")
        if len({pinned.address for pinned in self.contracts.values()}) != len(self.contracts):
            raise MalformedError("two of the policy's contracts have one address")
        _expect_ascending("epochs", [each.order for each in self.epochs])
        _expect_ascending("logs", [(each.operator, each.origin) for each in self.logs])
        for before, after in pairwise(self.sealed_epochs):
            if before.last is None or after.first != before.last + 1:
                raise MalformedError("the policy's epochs of validators do not follow one another")
        for log in self.logs:
            _check_keys(log)

    @property
    def sealed_epochs(self) -> tuple[PinnedRange, ...]:
        """The epochs of validators, each from where the one before ends; only the last may be open."""
        return tuple(each for each in self.epochs if each.validators)

    @property
    def open_epoch(self) -> PinnedRange | None:
        """The open epoch of validators, if there is one."""
        return next((each for each in self.epochs if each.last is None), None)

    @property
    def domains(self) -> Domains:
        """The EIP-712 domains of the contracts."""
        return Domains(self.chain_id, {name: pinned.address for name, pinned in self.contracts.items()})

    @property
    def sha256(self) -> str:
        """SHA-256 of the policy file in hex: what members compare over another channel."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def address_of(self, contract: str) -> Address:
        """The address of a contract."""
        return self.contracts[contract].address

    def find_log(self, log_id: Bytes32) -> PinnedLog | None:
        """The log with this id."""
        return next((log for log in self.logs if log.id == log_id), None)

    def to_bytes(self) -> bytes:
        """The policy file."""
        return encode_canonical(
            {
                "format": POLICY_FORMAT,
                "chain_id": str(self.chain_id),
                "genesis_hash": str(self.genesis_hash),
                "contracts": {
                    name: {"address": str(pinned.address), "code_hash": str(pinned.code_hash)}
                    for name, pinned in self.contracts.items()
                },
                "epochs": [_dump_range(each) for each in self.epochs],
                "logs": [
                    {"operator": str(log.operator), "origin": log.origin, "vkeys": [str(key) for key in log.keys]}
                    for log in self.logs
                ],
            }
        )


def parse_policy(raw: bytes) -> Policy:
    """Read a policy file, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format, or a missing, unknown, mistyped or misplaced member.
    """
    value = parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES)
    check_format(value, POLICY_FORMAT)
    members = ("format", "chain_id", "genesis_hash", "contracts", "epochs", "logs")
    document = expect_members(value, "the policy", members)
    contracts = expect_members(document["contracts"], "contracts", CONTRACT_NAMES)
    return Policy(
        chain_id=parse_number(document, "chain_id", _MAX_UINT256),
        genesis_hash=Bytes32.parse(expect_text(document, "genesis_hash")),
        contracts={name: _parse_contract(contract, name) for name, contract in contracts.items()},
        epochs=tuple(map(_parse_range, member_list(document, "epochs"))),
        logs=tuple(map(_parse_log, member_list(document, "logs"))),
    )


def _parse_contract(value: JsonValue, name: str) -> PinnedContract:
    contract = expect_members(value, name, ("address", "code_hash"))
    return PinnedContract(
        Address.parse(expect_text(contract, "address")), Bytes32.parse(expect_text(contract, "code_hash"))
    )


def _parse_range(value: JsonValue) -> PinnedRange:
    epoch = expect_members(value, "an epoch", ("first",), ("last", "root", "validators"))
    if epoch.get("validators") == []:
        raise MalformedError("an epoch of the policy names no validator")
    return PinnedRange(
        first=parse_number(epoch, "first"),
        last=parse_number(epoch, "last") if "last" in epoch else None,
        root=Bytes32.parse(expect_text(epoch, "root")) if "root" in epoch else None,
        validators=each_of(epoch, "validators", Address.parse) if "validators" in epoch else (),
    )


def _dump_range(epoch: PinnedRange) -> Document:
    document: Document = {"first": str(epoch.first)}
    if epoch.last is not None:
        document |= {"last": str(epoch.last), "root": str(epoch.root)}
    if epoch.validators:
        document["validators"] = [str(each) for each in epoch.validators]
    return document


def _parse_log(value: JsonValue) -> PinnedLog:
    log: Document = expect_members(value, "a log", ("operator", "origin", "vkeys"))
    keys = each_of(log, "vkeys", VerifierKey.parse)
    return PinnedLog(Bytes32.parse(expect_text(log, "operator")), expect_text(log, "origin"), keys)


def _check_keys(log: PinnedLog) -> None:
    if not log.keys or len(set(log.keys)) != len(log.keys):
        raise MalformedError("a log of the policy has one vkey or more, each once")
    if any(key.name != log.origin for key in log.keys):
        raise MalformedError("a vkey of the policy does not bear the name of its log")


def _expect_ascending(name: str, keys: Sequence[tuple[int, int] | tuple[bytes, str]]) -> None:
    if list(keys) != sorted(set(keys)):
        raise MalformedError(f"the policy's {name} do not stand in ascending order, each once")
