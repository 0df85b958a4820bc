"""Names in paths and queries: ids or, for a dataset, ``provider~slug``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Query

from ledger.errors import MalformedError
from ledger.types import Bytes32

__all__ = ["DatasetPath", "DigestPath", "ParticipantPath", "Since", "parse_digest"]


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
    if since is None:
        return None
    if since.tzinfo is None:
        raise MalformedError("since: needs its time zone, for instance 2026-01-31T09:00:00Z")
    try:
        return since.astimezone(UTC)
    except OverflowError as error:
        raise MalformedError("since: lies outside the years 1 to 9999 in UTC") from error


def parse_digest(text: str | None) -> Bytes32 | None:
    """A digest from a query, or None. Raises: MalformedError."""
    return None if text is None else Bytes32.parse(text)


ParticipantPath = Annotated[str, Depends(_participant)]
DatasetPath = Annotated[str, Depends(_dataset)]
DigestPath = Annotated[Bytes32, Depends(_digest)]
Since = Annotated[datetime | None, Depends(_since)]
