"""The JSON form of intents, outcomes and views: strict in, one form out.

Ids are lower-case 0x-hex, times RFC 3339 in UTC, quantities decimal strings, enumerations kebab-case words.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ledger.canonical import JsonValue
from ledger.errors import MalformedError

__all__ = ["InvalidMembersError", "adapter_of", "dump_json", "dump_value", "parse_json", "parse_object"]

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
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return InvalidMembersError({".".join(map(str, each["loc"])) or "body": each["msg"] for each in details})


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
