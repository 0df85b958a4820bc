"""EIP-712 hashing of the vocabulary's typed structs (https://eips.ethereum.org/EIPS/eip-712).

Written for the few member types that the vocabulary uses; a digest is about five keccaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from ledger.keccak import keccak256
from ledger.statements.vocabulary import DOMAIN_NAME, DOMAIN_VERSION, PARENT, STATEMENT_TYPES, Field, StatementType
from ledger.types import Address, Bytes32

__all__ = ["DOMAIN_FIELDS", "Domain", "compute_struct_hash", "encode_type", "encode_word", "type_hash"]

DOMAIN_FIELDS: Final = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)
_DOMAIN_TYPE: Final = "EIP712Domain(" + ",".join(f"{kind} {name}" for name, kind in DOMAIN_FIELDS) + ")"
_DOMAIN_PREFIX: Final = (
    keccak256(_DOMAIN_TYPE.encode()) + keccak256(DOMAIN_NAME.encode()) + keccak256(DOMAIN_VERSION.encode())
)


def _members(fields: Sequence[Field]) -> str:
    return ",".join(f"{field.type} {field.name}" for field in fields)


_PARENT_TYPE: Final = f"Parent({_members(PARENT)})"
_PARENT_TYPE_HASH: Final = keccak256(_PARENT_TYPE.encode())


def encode_type(statement_type: StatementType) -> str:
    """EIP-712 ``encodeType``: the primary type, then the struct that it refers to."""
    nested = _PARENT_TYPE if any(field.type == "Parent[]" for field in statement_type.fields) else ""
    return f"{statement_type.name}({_members(statement_type.fields)}){nested}"


@cache
def _type_hash(name: str) -> bytes:
    return keccak256(encode_type(STATEMENT_TYPES[name]).encode())


def type_hash(statement_type: StatementType) -> Bytes32:
    """EIP-712 ``typeHash`` of a statement type."""
    return Bytes32(_type_hash(statement_type.name))


@dataclass(frozen=True)
class Domain:
    """The EIP-712 domain of one contract: Concord, 1, chain id and the contract that executes the type."""

    chain_id: int
    contract: Address

    @cached_property
    def separator(self) -> bytes:
        """The 32-byte domain separator."""
        return keccak256(_DOMAIN_PREFIX + self.chain_id.to_bytes(32, "big") + bytes(12) + self.contract)


def encode_word(kind: str, value: object) -> bytes:
    """EIP-712 ``encodeData`` of one member: 32 bytes.

    ``value`` has passed ``ledger.statements.values``: an int for uints, bytes for bytes32, address and bytes, str for
    string, a tuple for arrays, a mapping for ``Parent``.
    """
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    if isinstance(value, str):
        return keccak256(value.encode())
    if isinstance(value, bytes):
        return keccak256(value) if kind == "bytes" else value.rjust(32, b"\0")
    if isinstance(value, tuple):
        return keccak256(b"".join(encode_word(kind[:-2], item) for item in value))
    if isinstance(value, Mapping):
        return keccak256(_PARENT_TYPE_HASH + b"".join(encode_word(field.type, value[field.name]) for field in PARENT))
    raise ValueError(f"no EIP-712 encoding for {type(value).__name__}")


def compute_struct_hash(statement_type: StatementType, message: Mapping[str, object]) -> bytes:
    """EIP-712 ``hashStruct`` of a statement, 32 bytes."""
    words = (encode_word(field.type, message[field.name]) for field in statement_type.fields)
    return keccak256(_type_hash(statement_type.name) + b"".join(words))
