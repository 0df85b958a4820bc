"""Canonical JSON (RFC 8785) and the salted hashes of documents.

Reading is strict: what is accepted as canonical re-encodes to the same bytes, so a document has one form and a changed
byte is never ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from itertools import accumulate
from typing import Annotated, Final, NoReturn

import rfc8785

from ledger.errors import MalformedError
from ledger.types import Bytes32

__all__ = ["JsonValue", "check_depth", "encode_canonical", "hash_document", "parse_canonical", "parse_json"]


class _AnyJson:
    """Tells pydantic, where it is installed, to take any JSON value instead of following the recursive alias."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> object:
        from pydantic_core import core_schema  # noqa: PLC0415 - asked for by pydantic alone; the verifier has none

        return core_schema.any_schema()


JsonValue = Annotated[bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None, _AnyJson()]
"""What JSON can say."""

_BEYOND_PLAIN: Final = re.compile("[\ud800-\U0010ffff]")
_MAX_DEPTH: Final = 64
_MAX_INTEGER: Final = 2**53 - 1
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_encode_plain: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def encode_canonical(value: JsonValue) -> bytes:
    """Encode as RFC 8785 canonical JSON, UTF-8.

    Raises:
        MalformedError: an integer beyond 2^53, a NaN, a lone surrogate or a value that JSON can not say.
    """
    plain = _encode_if_plain(value)
    if plain is not None:
        return plain
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise MalformedError(f"not expressible as canonical JSON: {error}") from error


def parse_canonical(raw: bytes, *, max_size_bytes: int | None = None) -> JsonValue:
    """Parse RFC 8785 canonical JSON, strictly: encoding the result again gives ``raw``.

    Raises:
        MalformedError: too large, not UTF-8, not JSON, a repeated member, nested beyond 64 levels, or not canonical.
    """
    if max_size_bytes is not None and len(raw) > max_size_bytes:
        raise MalformedError(f"{len(raw)} bytes of JSON, at most {max_size_bytes} are taken")
    numbers = _Numbers()
    value, text = _parse(raw, numbers), raw.decode()
    is_plain = numbers.are_plain and _is_plain(text)
    if (_encode_plain(value) != text) if is_plain else (encode_canonical(value) != raw):
        raise MalformedError("JSON is not in canonical form (RFC 8785)")
    return value


def parse_json(raw: bytes) -> JsonValue:
    """Parse JSON in whatever form, as strictly otherwise as `parse_canonical`.

    Raises:
        MalformedError: not UTF-8, not JSON, a repeated member, or nested beyond 64 levels.
    """
    return _parse(raw, _Numbers())


def _parse(raw: bytes, numbers: _Numbers) -> JsonValue:
    check_depth(raw)
    try:
        value: JsonValue = json.loads(
            raw.decode(),
            object_pairs_hook=_members,
            parse_constant=_refuse_constant,
            parse_int=numbers.parse_integer,
            parse_float=numbers.parse_fraction,
        )
    except ValueError as error:
        raise MalformedError(f"not JSON: {error}") from error
    return value


def _encode_if_plain(value: JsonValue) -> bytes | None:
    """The form of a value of plain text and plain integers, which Python's own encoder, in C, writes as RFC 8785 asks.

    What it wrote is read again: whatever it wrote as something else, as keys that are no strings, is not plain.
    """
    numbers = _Numbers()
    try:
        text = _encode_plain(value)
        if not _is_plain(text):
            return None
        again = json.loads(text, parse_int=numbers.parse_integer, parse_float=numbers.parse_fraction)
    except (ValueError, TypeError):
        return None
    return text.encode() if numbers.are_plain and again == value else None


def _is_plain(text: str) -> bool:
    """Whether code points sort as UTF-16 does, and no surrogate stands alone."""
    return text.isascii() or _BEYOND_PLAIN.search(text) is None


def hash_document(salt: Bytes32, document: JsonValue) -> Bytes32:
    """SHA-256(salt || RFC 8785 form): what a statement carries of a document (docs/spec/statements.md).

    Raises:
        MalformedError: the document is not expressible as canonical JSON.
    """
    return Bytes32(hashlib.sha256(salt + encode_canonical(document)).digest())


def _members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("a member name stands twice in one JSON object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not JSON")


def check_depth(raw: bytes) -> None:
    """Bound the nesting before the parser sees it. Raises: MalformedError: it is nested too deep.

    CPython's parser recurses on the C stack as deep as the recursion limit lets it, and other libraries raise that
    limit: a megabyte of brackets would end the process.
    """
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > _MAX_DEPTH:
        raise MalformedError(f"JSON is nested beyond {_MAX_DEPTH} levels")


class _Numbers:
    """Parses a document's numbers; ``are_plain`` while all are integers that RFC 8785 writes as they are."""

    def __init__(self) -> None:
        self.are_plain = True

    def parse_integer(self, text: str) -> int:
        number = int(text)
        self.are_plain = self.are_plain and abs(number) <= _MAX_INTEGER
        return number

    def parse_fraction(self, text: str) -> float:
        self.are_plain = False
        return float(text)
