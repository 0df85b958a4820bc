"""Who belongs, by which keys it speaks, and who governs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.statements import Choice, Custody, Decision
from ledger.types import Address, Bytes32

__all__ = ["BallotRow", "GovernorsRow", "KeyRow", "ParticipantRow", "ProposalRow"]


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """A participant, or an applicant."""

    id: Bytes32
    handle: str | None
    """known when this gateway saw its profile"""
    status: str
    """applied, active, suspended, retired"""
    governor: bool
    control_key: Address
    profile_version: int
    """0 for an applicant"""
    profile_hash: Bytes32
    profile: JsonValue
    """the document when this gateway has it, else None"""
    admitted_at: datetime | None
    first_seen_at: datetime
    """time of the block that filed its application or admitted it"""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key of a participant; ``role`` is signing or control."""

    participant: Bytes32
    key: Address
    role: str
    custody: Custody
    active_from: datetime
    active_until: datetime | None


@dataclass(frozen=True, slots=True)
class BallotRow:
    """One governor's vote."""

    governor: Bytes32
    statement: Bytes32
    choice: Choice
    cast_at: datetime


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """What governors vote on.

    ``id`` is the argument for ADMIT and RECOVER_CONTROL_KEY (the digest of what was filed); else keccak256 of
    abi.encode(uint8 decision, subject, argument, uint64 epoch, uint64 counter). ``epoch`` and ``counter`` are those
    that a vote must name; of one that is closed, those under which it was decided or lapsed.
    """

    id: Bytes32
    decision: Decision
    subject: Bytes32
    subject_handle: str | None
    argument: Bytes32
    epoch: int
    counter: int
    state: str
    """open, executed, rejected, lapsed"""
    threshold: int
    votes: tuple[BallotRow, ...]
    opened_at: datetime
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class GovernorsRow:
    """The governors now: what a vote must name."""

    epoch: int
    threshold: int
    governors: tuple[Bytes32, ...]
