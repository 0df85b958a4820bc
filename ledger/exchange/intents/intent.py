"""What all intents share, and the intent of a type that has no friendlier form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ledger.canonical import JsonValue

__all__ = ["DEFAULT_DEADLINE_S", "Intent", "RawIntent"]

DEFAULT_DEADLINE_S = 3600


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What a participant wants to state. ``deadline_s``: seconds from now until no log takes it."""

    TYPE: ClassVar[str] = ""
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "strict": True}

    deadline_s: int = DEFAULT_DEADLINE_S

    @property
    def statement_type(self) -> str:
        """Name of the statement type that it becomes."""
        return self.TYPE


@dataclass(frozen=True, kw_only=True)
class RawIntent(Intent):
    """Members of a statement as JSON values; ``participant``, ``deadline`` and ``salt`` are filled in where missing."""

    type_name: str
    members: Mapping[str, JsonValue]

    @property
    def statement_type(self) -> str:
        """Name of the statement type that it becomes."""
        return self.type_name
