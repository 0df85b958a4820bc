"""Lifting: how far the gateway is with bringing a registration into force that only its log holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.surface.outcomes import Refusal
from ledger.types import Bytes32

__all__ = ["LiftState", "LiftView"]


class LiftState(StrEnum):
    """How far a registration is on its way into force."""

    PENDING = "pending"  # on its way to the chain
    FINAL = "final"  # in force, in a final block
    FAILED = "failed"  # this time it did not come into force: ask again


@dataclass(frozen=True, slots=True)
class LiftView:
    """A registration on its way into force; ``transaction`` and ``block`` are those that brought it."""

    dataset: Bytes32
    version: int
    registration: Bytes32
    state: LiftState
    transaction: Bytes32
    block: int | None
    refusal: Refusal | None
    as_of_block: int
