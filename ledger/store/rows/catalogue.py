"""What other members' gateways offer, and what of it stands on chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.types import Bytes32

__all__ = ["OfferRow", "OfferedRow", "OriginRow", "PeerRow", "RegisteredRow"]


@dataclass(frozen=True, slots=True)
class OfferRow:
    """A data set that another gateway offers; what its metadata say of ``version``."""

    dataset: Bytes32
    provider: Bytes32
    endpoint: str
    slug: str
    version: int
    registration: Bytes32
    salt: Bytes32
    body: bytes
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class OriginRow:
    """Which gateway told of a data set, when it did last, and of which version."""

    endpoint: str
    seen_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class OfferedRow:
    """A data set of this gateway's, as it tells others: metadata with the salt that opens their hash."""

    registration: Bytes32
    salt: Bytes32
    document: JsonValue


@dataclass(frozen=True, slots=True)
class PeerRow:
    """When a provider's gateway was asked, and what came of it.

    ``failures`` count from its last answer; ``left_out`` are the entries of that answer that are not so on chain.
    """

    provider: Bytes32
    endpoint: str
    asked_at: datetime
    answered_at: datetime | None
    next_ask_at: datetime
    failures: int = 0
    error_code: str | None = None
    error: str | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class RegisteredRow:
    """A registration on chain; ``is_home``: the data set has a name of this gateway's own."""

    digest: Bytes32
    dataset: Bytes32
    provider: Bytes32
    version: int
    metadata_hash: Bytes32
    is_retired: bool
    is_home: bool
