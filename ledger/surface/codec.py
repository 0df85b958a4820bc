"""The JSON form of intents, outcomes and views: strict in, one form out.

Ids are lower-case 0x-hex, times RFC 3339 in UTC, quantities decimal strings, enumerations kebab-case words.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from ledger.canonical import JsonValue
from ledger.errors import MalformedError

__all__ = [
    "MOST_IN_LIST",
    "InvalidMembersError",
    "adapter_of",
    "dump_json",
    "dump_value",
    "parse_json",
    "parse_object",
]

MOST_IN_LIST: Final = 64
"""The most items of a list that a statement or an intent names: parents, parties, rights."""
_MOST_TOLD: Final = 20
_MOST_LOOKED_AT: Final = 1000
_MOST_MEMBERS: Final = 64
_SMALL_BYTES: Final = 64 << 10

T = TypeVar("T")


class InvalidMembersError(MalformedError):
    """A request's members are not as they must be; ``members`` says for each what is wrong with it."""

    def __init__(self, members: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in members.items()))
        self.members = members


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def adapter_of(kind: type[T]) -> TypeAdapter[T]:
    """The pydantic adapter of a dataclass."""
    return cast("TypeAdapter[T]", _adapter(cast(Any, kind)))


def parse_json(kind: type[T], raw: bytes) -> T:
    """Read one object from JSON bytes.

    Raises:
        InvalidMembersError: not JSON, a member is missing, unknown or not of its type, or a time without its zone.
    """
    _check_breadth(raw)
    try:
        value = adapter_of(kind).validate_json(raw)
    except ValidationError as error:
        raise _invalid(error) from error
    return _in_utc(value)


def parse_object(kind: type[T], value: JsonValue) -> T:
    """Read one object from parsed JSON. Raises: InvalidMembersError."""
    try:
        return adapter_of(kind).validate_python(value, strict=False)
    except ValidationError as error:
        raise _invalid(error) from error


def dump_json(value: object) -> bytes:
    """The JSON form of a dataclass."""
    return adapter_of(type(value)).dump_json(value)


def dump_value(value: object) -> JsonValue:
    """The JSON form of a dataclass as parsed JSON."""
    return cast(JsonValue, adapter_of(type(value)).dump_python(value, mode="json"))


def _invalid(error: ValidationError) -> InvalidMembersError:
    """The first errors alone: telling each of a million takes the memory and the time of everybody else."""
    count = error.error_count()
    if count > _MOST_LOOKED_AT:
        return InvalidMembersError({"body": f"{count} members are not as they must be"})
    details = error.errors(include_url=False, include_input=False, include_context=False)[:_MOST_TOLD]
    told = {".".join(map(str, each["loc"]))[:120] or "body": each["msg"] for each in details}
    if count > _MOST_TOLD:
        told["body"] = f"{count - _MOST_TOLD} more members are not as they must be"
    return InvalidMembersError(told)


def _check_breadth(raw: bytes) -> None:
    """Refuse a large body with more members than anything has, before each is looked at."""
    if len(raw) <= _SMALL_BYTES:
        return
    try:
        value = from_json(raw)
    except ValueError:
        return  # whoever reads it says what is wrong
    if isinstance(value, dict) and len(value) > _MOST_MEMBERS:
        raise InvalidMembersError({"body": f"has {len(value)} members, more than {_MOST_MEMBERS}"})


def _in_utc(value: T) -> T:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, value)):
        member = getattr(value, field.name)
        if not isinstance(member, datetime):
            continue
        if member.tzinfo is None:
            raise InvalidMembersError({field.name: "needs its time zone, for instance 2026-01-31T09:00:00Z"})
        try:
            changes[field.name] = member.astimezone(UTC)
        except OverflowError as error:
            raise InvalidMembersError({field.name: "lies outside the years 1 to 9999 in UTC"}) from error
    return cast(T, dataclasses.replace(cast(Any, value), **changes))
