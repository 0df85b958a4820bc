"""What a report is about: a period, a data set, or all that was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ledger.errors import MalformedError
from ledger.evidence.signing import format_time

__all__ = ["Period", "Scope", "parse_time"]

_LAST_SECOND: Final = 2**62


def parse_time(text: str) -> int:
    """Read a time in UTC as seconds: ``2026-11-21T09:30:00Z``, or a date, which is its midnight.

    Raises:
        MalformedError: no time, or one whose offset is not UTC.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedError(f"{text!a} is no time such as 2026-11-21T09:30:00Z or 2026-11-21") from error
    if time.tzinfo is not None and time.utcoffset() != UTC.utcoffset(None):
        raise MalformedError(f"{text!a} is no time in UTC: write it with Z at its end")
    return int(time.replace(tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Period:
    """From the first moment to before the last one, in UTC seconds; None: without that bound."""

    first: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        """Raise MalformedError for a period without a moment in it."""
        if self.first is not None and self.end is not None and self.first >= self.end:
            raise MalformedError(f"no moment is from {format_time(self.first)} until {format_time(self.end)}")

    def __bool__(self) -> bool:
        return self.first is not None or self.end is not None

    def holds(self, time: int) -> bool:
        """Whether a moment lies in it."""
        return (self.first or 0) <= time < (_LAST_SECOND if self.end is None else self.end)

    def __str__(self) -> str:
        first = None if self.first is None else f"from {format_time(self.first)}"
        end = None if self.end is None else f"until {format_time(self.end)}, that moment not included"
        return ", ".join(filter(None, [first, end])) or "without bounds"


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked for: ``dataset`` is ``provider/slug`` or a dataset's id."""

    period: Period = Period()
    dataset: str | None = None

    def __str__(self) -> str:
        parts = [f"the data set {self.dataset}"] if self.dataset else []
        parts += [f"the period {self.period}"] if self.period else []
        return " in ".join(parts) or "all evidence that was given"
