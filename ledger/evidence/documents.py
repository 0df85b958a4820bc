"""Strict reading of JSON documents: each member is there, of its type, in its only spelling, and none is surplus."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from ledger.canonical import JsonValue
from ledger.errors import MalformedError

__all__ = ["check_format", "each_of", "expect_members", "expect_object", "expect_text", "member_list", "parse_number"]

_T = TypeVar("_T")
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)
_MAX_UINT64: Final = 2**64 - 1

Document = dict[str, JsonValue]


def expect_object(value: JsonValue, name: str) -> Document:
    """Return ``value`` if it is an object. Raises: MalformedError."""
    if not isinstance(value, dict):
        raise MalformedError(f"{name} is not an object")
    return value


def expect_members(value: JsonValue, name: str, required: Collection[str], optional: Collection[str] = ()) -> Document:
    """Return ``value`` if it is an object with these members and no other. Raises: MalformedError: it names them."""
    document = expect_object(value, name)
    missing = sorted(set(required) - set(document))
    surplus = sorted(set(document) - set(required) - set(optional))
    if missing or surplus:
        words = [f"lacks {each}" for each in missing] + [f"has the unknown member {each[:64]!a}" for each in surplus]
        raise MalformedError(f"{name} " + ", ".join(words))
    return document


def expect_text(document: Document, name: str) -> str:
    """Return a member that is a string. Raises: MalformedError."""
    value = document[name]
    if not isinstance(value, str):
        raise MalformedError(f"{name} is not a string")
    return value


def member_list(document: Document, name: str) -> list[JsonValue]:
    """Return a member that is an array. Raises: MalformedError."""
    value = document[name]
    if not isinstance(value, list):
        raise MalformedError(f"{name} is not an array")
    return value


def each_of(document: Document, name: str, parse: Callable[[str], _T]) -> tuple[_T, ...]:
    """Return a member that is an array of strings, each read by ``parse``. Raises: MalformedError."""
    items = member_list(document, name)
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise MalformedError(f"{name} is not an array of strings")
    return tuple(map(parse, texts))


def parse_number(document: Document, name: str, most: int = _MAX_UINT64) -> int:
    """Read a member that is a decimal string without sign or leading zeros. Raises: MalformedError."""
    text = expect_text(document, name)
    if not _DECIMAL.match(text) or int(text) > most:
        raise MalformedError(f"{name} is not a decimal string from 0 to {most}")
    return int(text)


def check_format(document: JsonValue, expected: str) -> None:
    """Check a document's ``format``. Raises: MalformedError: it says which was found."""
    found = expect_object(document, "the document").get("format")
    if found != expected:
        raise MalformedError(f"the format is {ascii(found)[:64]}, not {expected!r}")
