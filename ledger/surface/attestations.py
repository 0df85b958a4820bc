"""Attestations: what the chain was asked to say of a grant or a log, as an event that shows it offline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.surface.outcomes import Refusal
from ledger.types import Bytes32

__all__ = ["AttestationState", "AttestationView"]


class AttestationState(StrEnum):
    """How far an attestation is."""

    PENDING = "pending"  # on its way to the chain
    FINAL = "final"  # its event is in a final block
    FAILED = "failed"  # it will not come: ask again


@dataclass(frozen=True, slots=True)
class AttestationView:
    """An attestation of a grant (``subject`` is its digest) or of a log (its id).

    ``time`` is its block's: of a grant it shows what was permitted at any moment before, of a log how large it was.
    """

    kind: str
    """grant or log"""
    subject: Bytes32
    state: AttestationState
    transaction: Bytes32
    block: int | None
    time: datetime | None
    refusal: Refusal | None
    as_of_block: int
