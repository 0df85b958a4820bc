"""The JSON form of sealings that a provider makes on its own machine, and of the keys that it releases itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.types import Bytes32

__all__ = ["ReleaseGiven", "SealingStated", "SealingView"]


@dataclass(frozen=True, slots=True)
class SealingView:
    """What a gateway keeps of a sealing. ``statement`` None: it is not stated yet; nothing is delivered under it."""

    id: Bytes32
    """the key commitment"""
    registration: Bytes32
    dataset: Bytes32
    version: int
    ciphertext_root: Bytes32
    ciphertext_size: int
    statement: Bytes32 | None
    is_current: bool
    is_key_here: bool
    """whether the gateway holds the key, and so can release it and see plaintext"""
    is_due: bool = False
    """whether somebody was given of it under a grant that is over: it is time to seal the version anew"""


@dataclass(frozen=True, kw_only=True)
class SealingStated:
    """The ``Sealing`` that is in the log, by its digest; without one the gateway signs it with the custodial key."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    statement: Bytes32 | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseGiven:
    """Either the digest of the ``KeyRelease`` that is in the log, or the wrapped key, for the gateway to state it."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    statement: Bytes32 | None = None
    wrapped_key: str | None = None
    """0x and 160 hex digits"""
