"""Statements that only logs keep, brought to the gateway of the participant that they are addressed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, cast

from ledger.canonical import JsonValue
from ledger.statements import Statement
from ledger.types import Address, Bytes32

__all__ = ["ADDRESSEES", "MOST_FORWARDED_BYTES", "ForwardedDocument", "ForwardedStatement", "addressee_of"]

ADDRESSEES: Final[Mapping[str, str]] = {"AccessRequest": "provider", "AccessDenial": "consumer"}
"""By type, the member that names whom it is addressed to. What the chain keeps, every gateway reads there."""

MOST_FORWARDED_BYTES: Final = 64 << 10
"""Of a request that brings one, its document included."""


@dataclass(frozen=True, kw_only=True)
class ForwardedDocument:
    """A document that the statement names by SHA-256(salt || RFC 8785 form)."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    salt: Bytes32
    document: JsonValue


@dataclass(frozen=True, kw_only=True)
class ForwardedStatement:
    """A statement as it was signed, and the documents that it names, as far as they are shown to the addressee."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    type: str
    message: Mapping[str, JsonValue]
    signature: str
    signer: Address
    documents: tuple[ForwardedDocument, ...] = ()


def addressee_of(statement: Statement) -> Bytes32 | None:
    """Whom a statement is addressed to; None: its type is not brought from one gateway to another."""
    member = ADDRESSEES.get(statement.type.name)
    return None if member is None else cast("Bytes32", statement.message[member])
