"""What is kept of an erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.types import Bytes32

__all__ = ["ErasureRow"]


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """An ``Erasure`` that is in the log: the version's tombstone."""

    statement: Bytes32
    dataset: Bytes32
    version: int
    registration: Bytes32
    stated_at: datetime
