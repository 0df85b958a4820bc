"""Who may have it: intents about access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ledger.canonical import JsonValue
from ledger.exchange.intents.intent import Intent
from ledger.types import Bytes32

__all__ = ["AccessDenialIntent", "AccessGrantIntent", "AccessRequestIntent", "AccessRevocationIntent"]


@dataclass(frozen=True, kw_only=True)
class AccessRequestIntent(Intent):
    """Ask a provider for access. ``purpose`` is an IRI or a short word of the DPV vocabulary, ``rights`` ODRL actions.

    ``policy`` is an ODRL policy without ids, target, parties and time; None: built from purpose and rights.
    """

    TYPE: ClassVar[str] = "AccessRequest"

    dataset: str
    purpose: str
    rights: tuple[str, ...]
    valid_until: datetime
    valid_from: datetime | None = None
    first_version: int = 1
    last_version: int = 0
    policy: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, kw_only=True)
class AccessDenialIntent(Intent):
    """Deny a request."""

    TYPE: ClassVar[str] = "AccessDenial"

    request: Bytes32
    reason: str


@dataclass(frozen=True, kw_only=True)
class AccessGrantIntent(Intent):
    """Permit a consumer: by ``request``, whose terms it takes, or by dataset, consumer and terms."""

    TYPE: ClassVar[str] = "AccessGrant"

    request: Bytes32 | None = None
    dataset: str | None = None
    consumer: str | None = None
    purpose: str | None = None
    rights: tuple[str, ...] = ()
    valid_until: datetime | None = None
    valid_from: datetime | None = None
    first_version: int = 1
    last_version: int = 0
    policy: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, kw_only=True)
class AccessRevocationIntent(Intent):
    """End a grant, named by its digest."""

    TYPE: ClassVar[str] = "AccessRevocation"

    grant: Bytes32
