"""The catalogue across gateways: what one tells another of a data set, and where an entry comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.canonical import JsonValue
from ledger.types import Bytes32

__all__ = ["MOST_METADATA_BYTES", "OfferView", "OfferedProfileView", "OriginView", "format_age"]

MOST_METADATA_BYTES: Final = 64 << 10
"""Of metadata or a profile that is told to other gateways, in canonical form."""

_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class OriginView:
    """Which gateway told of a data set, as of when, and of which version its texts are."""

    endpoint: str
    as_of: datetime
    age_s: int
    version: int

    def __str__(self) -> str:
        return f"{self.endpoint}, as of {format_age(self.age_s)}"


@dataclass(frozen=True, slots=True)
class OfferView:
    """A data set in force, as its provider's gateway tells it others: metadata, and the salt that opens their hash."""

    registration: Bytes32
    salt: Bytes32
    document: JsonValue


@dataclass(frozen=True, slots=True)
class OfferedProfileView:
    """A participant's present profile, as a gateway that knows it tells it others, and the salt of its hash."""

    participant: Bytes32
    salt: Bytes32
    document: JsonValue


def format_age(seconds: int) -> str:
    """``3 minutes ago``."""
    for size, unit in _UNITS:
        count = seconds // size
        if count > 0:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
