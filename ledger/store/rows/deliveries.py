"""What is kept of a delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.types import Bytes32

__all__ = ["DeliveryRow"]


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery; ``state`` as in ``ledger.surface.deliveries.DeliveryState``.

    ``reserved_bytes`` of the disk are its own; ``tries`` counts those that brought nothing, one after the other, and
    ``progress_at`` is when one brought something last.
    """

    id: Bytes32
    consumer: Bytes32
    provider: Bytes32
    dataset: Bytes32
    version: int
    registration: Bytes32
    grant: Bytes32 | None
    endpoint: str
    state: str
    next_try_at: datetime
    progress_at: datetime
    created_at: datetime
    transfer: Bytes32 | None = None
    files: int | None = None
    size_bytes: int | None = None
    sealed_bytes: int | None = None
    reserved_bytes: int = 0
    error_code: str | None = None
    error: str | None = None
    tries: int = 0
    delivered_at: datetime | None = None
