"""Names in paths and queries: ids or, for a dataset, ``provider~slug``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Path, Query

from ledger.errors import MalformedError
from ledger.exchange.evidence import Pin, parse_pins
from ledger.types import Bytes32

__all__ = ["DatasetPath", "DigestPath", "ParticipantPath", "PinsOf", "Since", "parse_digest", "to_utc"]

_MOST_BLOCKS: Final = 2**53


def _name(text: str) -> str:
    return text.replace("~", "/")


def _participant(participant: Annotated[str, Path(max_length=200, description="id or handle")]) -> str:
    return _name(participant)


def _dataset(dataset: Annotated[str, Path(max_length=200, description="id, or `provider~slug`")]) -> str:
    return _name(dataset)


def _digest(digest: Annotated[str, Path(description="digest, 0x-hex")]) -> Bytes32:
    return Bytes32.parse(digest)


def _since(
    since: Annotated[datetime | None, Query(description="RFC 3339 with its zone: what came at or after it")] = None,
) -> datetime | None:
    return to_utc("since", since)


def to_utc(name: str, moment: datetime | None) -> datetime | None:
    """A moment of a query in UTC. Raises: MalformedError: it has no zone, or no year from 1 to 9999 in UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise MalformedError(f"{name}: needs its time zone, for instance 2026-01-31T09:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise MalformedError(f"{name}: lies outside the years 1 to 9999 in UTC") from error


def _pins(
    ranges: Annotated[
        list[str] | None,
        Query(
            alias="range",
            max_length=256,
            description="blocks that your policy pins, `0-581`, or `582-` for an open epoch of validators; repeatable, "
            "or with commas between; each block is shown under the one that holds it",
        ),
    ] = None,
    first: Annotated[int, Query(ge=0, le=_MOST_BLOCKS, description="first block, of one range alone")] = 0,
    last: Annotated[
        int | None, Query(ge=0, le=_MOST_BLOCKS, description="last block, of one range alone; without: the head")
    ] = None,
) -> tuple[Pin, ...]:
    return parse_pins(ranges) if ranges else (Pin(first, last),)


def parse_digest(text: str | None) -> Bytes32 | None:
    """A digest from a query, or None. Raises: MalformedError."""
    return None if text is None else Bytes32.parse(text)


ParticipantPath = Annotated[str, Depends(_participant)]
PinsOf = Annotated[tuple[Pin, ...], Depends(_pins)]
DatasetPath = Annotated[str, Depends(_dataset)]
DigestPath = Annotated[Bytes32, Depends(_digest)]
Since = Annotated[datetime | None, Depends(_since)]
