"""API keys and idempotency keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger.canonical import JsonValue
from ledger.types import Bytes32

__all__ = ["ApiKeyRow", "IdempotencyRow"]


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """An API key; ``secret_hash`` is the SHA-256 of its secret, which is not kept. ``maker``: the key that made it."""

    id: str
    secret_hash: bytes
    participant: Bytes32 | None
    scopes: frozenset[str]
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    maker: str | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyRow:
    """A request seen under an idempotency key; ``response`` is None until it was answered."""

    api_key: str
    key: str
    body_hash: bytes
    response: Mapping[str, JsonValue] | None
    created_at: datetime
