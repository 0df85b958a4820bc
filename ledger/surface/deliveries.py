"""The JSON form of deliveries: what a consumer has its own gateway fetch from another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ledger.types import Bytes32

__all__ = ["DeliveredFileView", "DeliveryErrorView", "DeliveryRequest", "DeliveryState", "DeliveryView"]


class DeliveryState(StrEnum):
    """How far a delivery is."""

    QUEUED = "queued"
    """it begins, or goes on, as soon as the gateway comes to it"""
    RUNNING = "running"
    WAITING = "waiting"
    """it could not go on now, and is tried again by itself: ``error`` says why, ``next_try_at`` when"""
    DELIVERED = "delivered"
    """all files are there, as registered"""
    FAILED = "failed"
    """it does not go on by itself: ``error`` says why; started again, it goes on with what was received"""
    CANCELLED = "cancelled"
    """about to be removed"""


@dataclass(frozen=True, kw_only=True)
class DeliveryRequest:
    """A version to be fetched from its provider's gateway, with requests and a receipt by the custodial key.

    ``version`` None: the latest; ``grant`` None: any that permits it; ``from`` None: the endpoint that the provider's
    profile names.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    dataset: str
    version: int | None = None
    grant: Bytes32 | None = None
    source: Annotated[str | None, Field(validation_alias="from")] = None


@dataclass(frozen=True, slots=True)
class DeliveryErrorView:
    """Why a delivery did not go on, and what to do."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery, and how far it is."""

    id: Bytes32
    state: DeliveryState
    consumer: Bytes32
    provider: Bytes32
    dataset: Bytes32
    name: str | None
    version: int
    registration: Bytes32
    grant: Bytes32 | None
    """the one that was asked for; None: any that permits"""
    endpoint: str
    """the gateway that it is fetched from"""
    transfer: Bytes32 | None
    """its id there, once it began"""
    received_bytes: int
    """of the sealed data: checked, and on this gateway's disk"""
    total_bytes: int | None
    """of the sealed data; None: not told yet"""
    files: int | None
    size_bytes: int | None
    """of the files"""
    error: DeliveryErrorView | None
    next_try_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveredFileView:
    """A file of a delivery."""

    path: str
    size_bytes: int
    sha256: Bytes32
    root: Bytes32
