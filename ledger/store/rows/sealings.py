"""What is kept of a sealing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.types import Bytes32

__all__ = ["SealingRow", "SealingState"]


class SealingState(StrEnum):
    """How far a sealing has come."""

    MAKING = "making"
    """its chunks are being written"""
    SEALED = "sealed"
    """it is written, and not stated yet"""
    CURRENT = "current"
    """it is stated, and the one under which its version is delivered"""
    REPLACED = "replaced"
    """another took its place, or nobody may have its version any more: its key is destroyed, its objects go"""
    GIVEN_UP = "given up"
    """it was never stated: its key is destroyed, its objects go"""
    ERASED = "erased"
    """its version was erased: its key is destroyed, its objects go, and none follows"""


@dataclass(frozen=True, slots=True)
class SealingRow:
    """A sealing of a version. ``id`` is its key commitment, ``kek`` names the key that wrapped ``wrapped_key``."""

    id: Bytes32
    registration: Bytes32
    dataset: Bytes32
    version: int
    state: SealingState
    statement: Bytes32 | None
    wrapped_key: bytes | None
    kek: str | None
    descriptor: bytes | None
    created_at: datetime
    ended_at: datetime | None = None
    removed_at: datetime | None = None
