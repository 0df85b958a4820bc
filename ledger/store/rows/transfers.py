"""What is kept of a transfer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.types import Bytes32

__all__ = ["AccessRow", "TransferRow"]


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer; ``grant``, ``sealing``, ``receipt`` and ``release`` are digests of statements."""

    id: Bytes32
    consumer: Bytes32
    provider: Bytes32
    registration: Bytes32
    grant: Bytes32
    sealing: Bytes32
    opened_at: datetime
    receipt: Bytes32 | None = None
    release: Bytes32 | None = None


@dataclass(frozen=True, slots=True)
class AccessRow:
    """One access, and the block after which the grant was found to permit it.

    ``what`` is ``offer``, ``manifest``, ``data`` or ``key``; of data, the bytes that were asked for.
    """

    at: datetime
    block: int
    what: str
    first_byte: int | None = None
    last_byte: int | None = None
