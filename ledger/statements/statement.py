"""A statement: one typed struct of the vocabulary with checked members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

from ledger.canonical import JsonValue
from ledger.errors import MalformedError, NotFoundError
from ledger.keccak import keccak256
from ledger.statements.eip712 import DOMAIN_FIELDS, Domain, compute_struct_hash
from ledger.statements.values import Value, check_members, dump_value, parse_members
from ledger.statements.vocabulary import DOMAIN_NAME, DOMAIN_VERSION, PARENT, STATEMENT_TYPES, StatementType
from ledger.types import Address, Bytes32

__all__ = ["Domains", "Statement", "UnknownStatementTypeError"]


class UnknownStatementTypeError(NotFoundError):
    """A statement of a type that this version does not know: undetermined to a verifier, never refuted."""


@dataclass(frozen=True)
class Domains:
    """The EIP-712 domains of one consortium: its chain id and its contracts by name."""

    chain_id: int
    contracts: Mapping[str, Address]

    def of(self, statement_type: StatementType) -> Domain:
        """The domain that statements of this type are signed under."""
        return Domain(self.chain_id, self.contracts[statement_type.contract])


@dataclass(frozen=True)
class Statement:
    """One statement.

    Build it with ``build`` or ``parse``, which check every member; ``message`` is then immutable.
    """

    type: StatementType
    message: Mapping[str, Value]

    @classmethod
    def build(cls, type_name: str, /, **members: object) -> Self:
        """Build from Python values.

        Raises:
            UnknownStatementTypeError: no such type.
            MalformedError: a member is missing, unknown or not of its type.
        """
        statement_type = _find_type(type_name)
        return cls(statement_type, check_members(statement_type.fields, members))

    @classmethod
    def parse(cls, type_name: str, message: JsonValue) -> Self:
        """Read the JSON form of ``message`` strictly: it re-encodes to itself.

        Raises:
            UnknownStatementTypeError: no such type.
            MalformedError: a member is missing, unknown or not of its type.
        """
        statement_type = _find_type(type_name)
        return cls(statement_type, parse_members(statement_type.fields, message))

    def to_json(self) -> dict[str, JsonValue]:
        """The message as JSON values: numbers as decimal strings, bytes as lower-case 0x-hex."""
        return {name: dump_value(value) for name, value in self.message.items()}

    @property
    def participant(self) -> Bytes32:
        """Id of the participant that states it."""
        return cast("Bytes32", self.message["participant"])

    @property
    def deadline(self) -> int:
        """UTC seconds after which no log takes it and no contract executes it."""
        return cast("int", self.message["deadline"])

    @property
    def named_parties(self) -> frozenset[Bytes32]:
        """Ids of the participants that it names, its own among them: who may read it."""
        named: set[Bytes32] = set()
        for field in self.type.fields:
            value = self.message[field.name]
            if field.party:
                named.update(cast("tuple[Bytes32, ...]", value if isinstance(value, tuple) else (value,)))
        return frozenset(named)

    def digest(self, domains: Domains) -> Bytes32:
        """The EIP-712 digest that is signed, logged and emitted: keccak256(0x1901 || domain || struct)."""
        return Bytes32(keccak256(self.payload(domains)))

    def payload(self, domains: Domains) -> bytes:
        """What is hashed to `digest`, for signers that hash themselves: 0x1901 || domain || struct, 66 bytes."""
        return b"\x19\x01" + domains.of(self.type).separator + compute_struct_hash(self.type, self.message)

    def typed_data(self, domains: Domains) -> dict[str, JsonValue]:
        """The EIP-712 JSON that wallets take (``eth_signTypedData_v4``)."""
        domain = domains.of(self.type)
        types: dict[str, JsonValue] = {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in DOMAIN_FIELDS],
            self.type.name: [{"name": field.name, "type": field.type} for field in self.type.fields],
        }
        if "parents" in self.message:
            types["Parent"] = [{"name": field.name, "type": field.type} for field in PARENT]
        return {
            "types": types,
            "primaryType": self.type.name,
            "domain": {
                "name": DOMAIN_NAME,
                "version": DOMAIN_VERSION,
                "chainId": str(domain.chain_id),
                "verifyingContract": str(domain.contract),
            },
            "message": self.to_json(),
        }


def _find_type(name: str) -> StatementType:
    if not isinstance(name, str):
        raise MalformedError("a statement's type is a string")
    try:
        return STATEMENT_TYPES[name]
    except KeyError as error:
        raise UnknownStatementTypeError(f"statement type {name[:64]!r} is not known to this version") from error
