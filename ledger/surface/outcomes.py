"""What becomes of a statement: prepared, signed, accepted, anchored, final; said and in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from ledger.canonical import JsonValue
from ledger.statements import Statement
from ledger.types import Address, Bytes32

__all__ = ["InForce", "Outcome", "Page", "Prepared", "Refusal", "SaltedDocument", "SignedStatement", "Stamped", "State"]

T_co = TypeVar("T_co", covariant=True)


class State(StrEnum):
    """How far a statement is; each includes the one before."""

    ACCEPTED = "accepted"  # durable, with an index and a receipt
    ANCHORED = "anchored"  # covered by a checkpoint on chain
    FINAL = "final"  # that checkpoint is final and, when a contract executes it, its event too


class InForce(StrEnum):
    """Whether a contract executed it."""

    NOT_APPLICABLE = "not-applicable"
    PENDING = "pending"
    YES = "yes"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SaltedDocument:
    """A document that a statement commits to by ``hash`` = SHA-256(salt || RFC 8785 form)."""

    hash: Bytes32
    salt: Bytes32
    document: JsonValue


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement ready to be signed: sign ``digest``, or give ``typed_data`` to a wallet.

    ``version_salt`` opens the content hash of a registration, so that its signer can recompute it.
    """

    statement: Statement
    digest: Bytes32
    typed_data: dict[str, JsonValue]
    documents: tuple[SaltedDocument, ...]
    expires: datetime
    version_salt: Bytes32 | None = None

    @property
    def type(self) -> str:
        """Name of the statement type."""
        return self.statement.type.name

    @property
    def message(self) -> dict[str, JsonValue]:
        """The statement's JSON form."""
        return self.statement.to_json()


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement with its signature; ``cosignature`` by the new key, where the type asks for one."""

    statement: Statement
    signature: bytes
    signer: Address
    cosignature: bytes | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a contract did not execute it: code and facts as of the contract's error.

    An outcome's facts say besides, as ``relayable_until``, its deadline in Unix seconds: until then whoever holds the
    statement may bring it to its contract again, and once that executes it, it is in force and no longer refused.
    """

    code: str
    detail: str
    facts: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a statement so far."""

    digest: Bytes32
    type: str
    participant: Bytes32
    state: State
    in_force: InForce
    refusal: Refusal | None
    index: int
    receipt: str
    """C2SP tlog-proof text."""
    transaction: Bytes32 | None
    block: int | None
    custodial: bool
    api_key: str | None
    ids: Mapping[str, str]
    """What it is about or made: ``{"dataset": "0x...", "version": "2"}``."""
    accepted_at: datetime
    as_of_block: int


@dataclass(frozen=True, slots=True)
class Stamped(Generic[T_co]):
    """A read answer and the final block that it is as of."""

    value: T_co
    as_of_block: int


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """Items of a list; ``next`` is the cursor of the page after, None at the end."""

    items: tuple[T_co, ...]
    next: str | None
    as_of_block: int
