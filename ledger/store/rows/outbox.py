"""Transactions on their way to the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.canonical import JsonValue
from ledger.types import Address, Bytes32

__all__ = ["FormerTransaction", "OutboxRow", "OutboxState", "SignedTransaction"]


class OutboxState(StrEnum):
    """Where a transaction is. Pending, sent and included are in flight; done and failed are outcomes."""

    PENDING = "pending"  # durable, not sent yet
    SENT = "sent"  # handed to a node at least once
    INCLUDED = "included"  # in a block that is not final
    DONE = "done"  # its effect is final, whoever relayed it; looked for in the index once that is there
    FAILED = "failed"  # it will have no effect; the outcome says why


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What is sent: raw bytes and their transaction hash."""

    raw: bytes
    hash: Bytes32


@dataclass(frozen=True, slots=True)
class FormerTransaction:
    """One whose place another transaction of the same subject took."""

    hash: Bytes32
    subject: str
    relay: Address
    nonce: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One transaction. ``subject`` is a statement's digest in 0x-hex or ``checkpoint:<log>:<size>``."""

    subject: str
    relay: Address
    nonce: int
    raw: bytes
    hash: Bytes32
    state: OutboxState
    attempts: int
    noop: bool
    """the transaction at this nonce was replaced by one without effect, after a certain refusal"""
    outcome: Mapping[str, JsonValue] | None
    block: int | None
    created_at: datetime
    updated_at: datetime
