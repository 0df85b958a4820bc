"""The JSON form of transfers: what a consumer asks for, and what it is offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from ledger.canonical import JsonValue
from ledger.types import Address, Bytes32

__all__ = [
    "AccessView",
    "CustodialReceipt",
    "StatedView",
    "TransferRequest",
    "TransferState",
    "TransferView",
]


class TransferState(StrEnum):
    """How far a transfer has come."""

    OPEN = "open"
    """the sealed data are there to be fetched"""
    RECEIPTED = "receipted"
    """the consumer's receipt is in the log; the key is to follow"""
    RELEASED = "released"
    """the key is in the log, wrapped: it counts as delivered"""


@dataclass(frozen=True, kw_only=True)
class TransferRequest:
    """A version to be delivered; its transfer's id is keccak256(abi.encode(consumer, transfer_salt)).

    ``version`` None: the latest; ``grant`` None: any that permits it.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    dataset: str
    transfer_salt: Bytes32
    version: int | None = None
    grant: Bytes32 | None = None


@dataclass(frozen=True, slots=True)
class StatedView:
    """A signed statement, whole."""

    digest: Bytes32
    type: str
    message: Mapping[str, JsonValue]
    signature: str
    signer: Address


@dataclass(frozen=True, slots=True)
class TransferView:
    """A transfer with all that its consumer checks what it receives against."""

    id: Bytes32
    state: TransferState
    consumer: Bytes32
    provider: Bytes32
    dataset: Bytes32
    version: int
    registration: Bytes32
    content_hash: Bytes32
    version_salt: Bytes32
    grant: Bytes32
    sealing: StatedView
    size_bytes: int
    """of the ciphertext"""
    receipt: Bytes32 | None
    release: StatedView | None
    block: int
    """the newest one; of an offer and a release, that after which the grant was found to permit it"""


@dataclass(frozen=True, slots=True)
class AccessView:
    """One access, and the block after which the grant was found to permit it; ``at`` is when it was first."""

    at: datetime
    block: int
    what: str
    first_byte: int | None
    last_byte: int | None


@dataclass(frozen=True, kw_only=True)
class CustodialReceipt:
    """The consumer has the sealed data; the gateway signs the ``TransferReceipt`` with its custodial key."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    transfer_salt: Bytes32
    recipient_key: str
    """0x and 64 hex digits: a fresh X25519 public key"""
    ciphertext_root: Bytes32
    deadline_s: int = 3600
    """within which the provider owes the key"""
