"""Which bytes, in which version, derived from what: intents of the dataset registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.canonical import JsonValue
from ledger.exchange.intents.intent import Intent

__all__ = ["DatasetRegistrationIntent", "DatasetRetirementIntent", "ParentName"]


@dataclass(frozen=True, slots=True)
class ParentName:
    """A version that another is derived from: ``ParentName("utility/power", 2)``; None means the latest."""

    dataset: str
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRegistrationIntent(Intent):
    """Register the next version of the asker's dataset ``slug``.

    ``manifest`` and ``chunks`` are the JSON documents of docs/spec/manifest.md (chunks None: every file has at most
    one chunk); ``metadata`` has title, description, licence, contact, keywords and may have a schema; ``version`` is
    the expected number, None means the next.
    """

    TYPE: ClassVar[str] = "DatasetRegistration"

    slug: str
    metadata: Mapping[str, JsonValue]
    manifest: JsonValue
    chunks: JsonValue | None = None
    parents: tuple[ParentName, ...] = ()
    version: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRetirementIntent(Intent):
    """No further versions; its grants end."""

    TYPE: ClassVar[str] = "DatasetRetirement"

    dataset: str
