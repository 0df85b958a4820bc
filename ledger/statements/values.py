"""Values of a statement's members: checked Python values inside, strict JSON at the edge.

| EIP-712 type     | Python                    | JSON                                             |
|------------------|---------------------------|--------------------------------------------------|
| uintN            | int                       | decimal string without leading zeros             |
| bytes32, address | Bytes32, Address          | lower-case 0x-hex                                |
| bytes            | bytes, at most 4096       | lower-case 0x-hex                                |
| string           | str, NFC, 1 to 255 bytes  | string                                           |
| bytes32[]        | tuple of Bytes32          | array of at most 64                              |
| Parent[]         | tuple of mappings         | array of at most 64 objects                      |
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.statements.vocabulary import PARENT, Field
from ledger.types import Address, Bytes32, parse_hex

__all__ = ["MAX_ITEMS", "Value", "check_members", "check_value", "dump_value", "parse_members", "parse_value"]

_T = TypeVar("_T")

Value = int | str | bytes | tuple["Value", ...] | Mapping[str, "Value"]

MAX_ITEMS: Final = 64
_MAX_BYTES: Final = 4096
_MAX_STRING_BYTES: Final = 255
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)


def check_value(kind: str, value: object) -> Value:
    """Check a Python value against an EIP-712 type and return it in its frozen form.

    Raises:
        MalformedError: of another type, out of range or too long.
    """
    if kind.endswith("[]"):
        if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) > MAX_ITEMS:
            raise MalformedError(f"expected a list of at most {MAX_ITEMS} of {kind[:-2]}")
        return tuple(check_value(kind[:-2], item) for item in value)
    if kind == "Parent":
        if not isinstance(value, Mapping):
            raise MalformedError("expected a parent: dataset, version, registration")
        return check_members(PARENT, value)
    return _SCALARS[kind.rstrip("0123456789") if kind.startswith("uint") else kind](kind, value)


def _check_uint(kind: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << int(kind[4:]):
        raise MalformedError(f"expected a {kind}: a whole number from 0 to 2^{kind[4:]}-1")
    return int(value)


def _check_bytes32(_kind: str, value: object) -> Bytes32:
    if not isinstance(value, bytes):
        raise MalformedError("expected 32 bytes")
    return Bytes32(value)


def _check_address(_kind: str, value: object) -> Address:
    if not isinstance(value, bytes):
        raise MalformedError("expected an address of 20 bytes")
    return Address(value)


def _check_bytes(_kind: str, value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) > _MAX_BYTES:
        raise MalformedError(f"expected at most {_MAX_BYTES} bytes")
    return bytes(value)


def _check_string(_kind: str, value: object) -> str:
    if not isinstance(value, str) or not unicodedata.is_normalized("NFC", value):
        raise MalformedError("expected a string in Unicode's normal form C")
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError as error:
        raise MalformedError("expected a string without lone surrogates") from error
    if not 1 <= size_bytes <= _MAX_STRING_BYTES:
        raise MalformedError(f"expected a string of 1 to {_MAX_STRING_BYTES} bytes of UTF-8")
    return value


_SCALARS: Final[Mapping[str, Callable[[str, object], Value]]] = {
    "uint": _check_uint,
    "bytes32": _check_bytes32,
    "address": _check_address,
    "bytes": _check_bytes,
    "string": _check_string,
}


def check_members(fields: Sequence[Field], given: Mapping[str, object]) -> Mapping[str, Value]:
    """Check that ``given`` has exactly the members ``fields`` and return them in order, frozen.

    Raises:
        MalformedError: a member is missing, unknown or not of its type; the message names it.
    """
    _require_same_names(fields, given)
    return MappingProxyType({field.name: _named(field, check_value, given[field.name]) for field in fields})


def parse_members(fields: Sequence[Field], given: JsonValue) -> Mapping[str, Value]:
    """Like ``check_members``, from JSON values. Raises: MalformedError."""
    if not isinstance(given, dict):
        raise MalformedError("expected a JSON object")
    _require_same_names(fields, given)
    return MappingProxyType({field.name: _named(field, parse_value, given[field.name]) for field in fields})


def _require_same_names(fields: Sequence[Field], given: Mapping[str, object]) -> None:
    names = [field.name for field in fields]
    unknown, missing = sorted(set(given) - set(names)), [name for name in names if name not in given]
    if unknown or missing:
        raise MalformedError(
            "; ".join(
                f"{word} {', '.join(group)}" for word, group in (("unknown:", unknown), ("missing:", missing)) if group
            )
        )


def _named(field: Field, check: Callable[[str, _T], Value], value: _T) -> Value:
    try:
        return check(field.type, value)
    except MalformedError as error:
        raise MalformedError(f"{field.name}: {error}") from error


def parse_value(kind: str, value: JsonValue) -> Value:
    """Read one member from its JSON form, strictly. Raises: MalformedError."""
    if kind.endswith("[]"):
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise MalformedError(f"expected a list of at most {MAX_ITEMS} of {kind[:-2]}")
        return tuple(parse_value(kind[:-2], item) for item in value)
    if kind == "Parent":
        return parse_members(PARENT, value)
    if not isinstance(value, str):
        raise MalformedError(f"expected a {kind} as a JSON string")
    if kind.startswith("uint"):
        if not _DECIMAL.match(value):
            raise MalformedError("expected a decimal string without sign or leading zeros")
        return check_value(kind, int(value))
    return check_value(kind, value if kind == "string" else parse_hex(value))


def dump_value(value: Value) -> JsonValue:
    """The JSON form of a checked value; ``parse_value`` reads it back."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple):
        return [dump_value(item) for item in value]
    return {name: dump_value(item) for name, item in value.items()}
