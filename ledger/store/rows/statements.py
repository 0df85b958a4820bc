"""Statements as the gateway keeps them beside its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.canonical import JsonValue
from ledger.statements import Statement
from ledger.store.rows.chain import CheckpointRow, EffectRow
from ledger.types import Address, Bytes32

__all__ = ["InForce", "NewStatement", "StatementRow", "StatementState"]


class StatementState(StrEnum):
    """How far a statement is; each includes the one before."""

    STAGED = "staged"  # stored, not in the log yet: never shown to a client as accepted
    ACCEPTED = "accepted"  # in the log, with an index and a receipt
    ANCHORED = "anchored"  # covered by a checkpoint that is on chain
    FINAL = "final"  # that block is final and so is its effect (or it has its refusal, or needs neither)


class InForce(StrEnum):
    """Whether a contract executed it."""

    NOT_APPLICABLE = "not-applicable"
    PENDING = "pending"
    YES = "yes"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class NewStatement:
    """A checked and signed statement to be stored.

    ``executable``: it is to be submitted to a contract (False for types that logs alone keep, and for bulk
    registrations). ``custodial``: the gateway signed with a key that it holds, asked by ``api_key``.
    """

    digest: Bytes32
    statement: Statement
    signature: bytes
    signer: Address
    received_at: datetime
    executable: bool
    cosignature: bytes | None = None
    custodial: bool = False
    api_key: str | None = None


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A stored statement and what became of it.

    ``message`` is the statement's JSON form (``Statement.parse(row.type, row.message)`` reads it). ``checkpoint_size``
    is the size of the gateway's signed checkpoint of its batch, on which the receipt rests. ``anchor`` is the first
    published checkpoint that covers it, ``effect`` the contract event with its digest; both come from the chain.
    ``refusal`` is why a contract did not execute it: ``{"code", "detail", "facts"}``.
    """

    digest: Bytes32
    type: str
    participant: Bytes32
    message: dict[str, JsonValue]
    signature: bytes
    signer: Address
    cosignature: bytes | None
    custodial: bool
    api_key: str | None
    received_at: datetime
    executable: bool
    log: Bytes32 | None
    log_index: int | None
    checkpoint_size: int | None
    refusal: Mapping[str, JsonValue] | None
    anchor: CheckpointRow | None
    effect: EffectRow | None
    state: StatementState
    in_force: InForce
