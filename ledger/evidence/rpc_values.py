"""Values in JSON-RPC answers (execution-apis): quantities as 0x-hex without leading zeros, data as 0x-hex.

Nodes differ in case and some write leading zeros, so reading is lenient where the value is clear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast

from ledger.errors import MalformedError

__all__ = ["read_bytes", "read_int", "read_list", "read_object"]

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")


def read_int(answer: Mapping[str, object], name: str) -> int:
    """Read a quantity. Raises: MalformedError."""
    value = answer.get(name)
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise MalformedError(f"JSON-RPC: {name} is not a quantity")
    return int(value, 16)


def read_bytes(answer: Mapping[str, object], name: str, size_bytes: int | None = None) -> bytes:
    """Read data, of that size where one is given. Raises: MalformedError."""
    value = answer.get(name)
    if not isinstance(value, str) or not _DATA.match(value):
        raise MalformedError(f"JSON-RPC: {name} is not data")
    raw = bytes.fromhex(value[2:])
    if size_bytes is not None and len(raw) != size_bytes:
        raise MalformedError(f"JSON-RPC: {name} has {len(raw)} bytes instead of {size_bytes}")
    return raw


def read_list(answer: Mapping[str, object], name: str) -> list[object]:
    """Read an array. Raises: MalformedError."""
    value = answer.get(name)
    if not isinstance(value, list):
        raise MalformedError(f"JSON-RPC: {name} is not an array")
    return value


def read_object(value: object, name: str) -> Mapping[str, object]:
    """Return ``value`` if it is an object. Raises: MalformedError."""
    if not isinstance(value, dict):
        raise MalformedError(f"JSON-RPC: {name} is not an object")
    return cast("Mapping[str, object]", value)
