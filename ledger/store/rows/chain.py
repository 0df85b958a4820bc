"""What comes from the chain: events as they are folded, and the rows that describe chain and logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ledger.statements import HistoryKind
from ledger.types import Address, Bytes32

__all__ = ["BlockHeader", "ChainEvent", "CheckpointRow", "CursorRow", "EffectRow", "HistoryRow", "LogRow"]


class BlockHeader(Protocol):
    """A block to fold; ``timestamp`` in UTC seconds."""

    @property
    def number(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...


class ChainEvent(Protocol):
    """A decoded contract event.

    ``args`` are named as in the contract's interface: 32 bytes for a bytes32, 20 bytes for an address, int, str, a
    sequence for an array, a mapping for a struct.
    """

    @property
    def contract(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def args(self) -> Mapping[str, Any]: ...
    @property
    def block_number(self) -> int: ...
    @property
    def block_hash(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def tx_hash(self) -> bytes: ...
    @property
    def log_index_in_block(self) -> int: ...


@dataclass(frozen=True, slots=True)
class CursorRow:
    """How far the chain is folded; ``final`` is the highest block known to be final, never above ``block``."""

    block: int
    hash: Bytes32
    time: datetime
    final: int


@dataclass(frozen=True, slots=True)
class EffectRow:
    """The contract event with a statement's digest: it is in force since ``block``."""

    digest: Bytes32
    contract: str
    event: str
    block: int
    position: int
    transaction: Bytes32
    time: datetime


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A record of the registry's history."""

    index: int
    kind: HistoryKind
    participant: Bytes32
    detail: Bytes32
    head: Bytes32
    block: int
    time: datetime


@dataclass(frozen=True, slots=True)
class LogRow:
    """A log with its present publisher and verifier key."""

    id: Bytes32
    participant: Bytes32
    origin: str
    publisher: Address
    verifier_keys: tuple[Bytes32, ...]
    """Ed25519 public keys, the oldest first; the last one is the present one"""
    rotations: int
    closed: bool
    successor: Bytes32 | None
    opened_at: datetime
    block: int


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint recorded on chain, and the one before it."""

    log: Bytes32
    size: int
    root: Bytes32
    time: datetime
    previous_size: int
    previous_root: Bytes32
    previous_time: datetime
    history_head: Bytes32
    block: int
    position: int
    transaction: Bytes32
