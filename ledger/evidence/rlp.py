"""Recursive Length Prefix, strictly canonical: what is accepted encodes back to itself (Yellow Paper, appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from ledger.errors import MalformedError

__all__ = ["RlpItem", "encode_int", "encode_rlp", "expect_bytes", "expect_list", "parse_int", "parse_rlp"]

RlpItem: TypeAlias = "bytes | list[RlpItem]"

_MAX_DEPTH: Final = 16  # a receipt nests five deep, a trie node with embedded nodes no deeper than this
_SHORT: Final = 55


def encode_rlp(item: bytes | Sequence[RlpItem]) -> bytes:
    """Encode bytes, or a list of items."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefix(len(item), 0x80) + item
    payload = b"".join(encode_rlp(each) for each in item)
    return _prefix(len(payload), 0xC0) + payload


def encode_int(value: int) -> bytes:
    """The bytes of a scalar: big-endian without leading zeros, empty for zero."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def parse_rlp(raw: bytes) -> RlpItem:
    """Read one item that takes all of ``raw``.

    Raises:
        MalformedError: cut short, bytes left over, a length or single byte not in its shortest form, nested too deep.
    """
    item, end = _parse_item(raw, 0, len(raw), 0)
    if end != len(raw):
        raise MalformedError(f"RLP: {len(raw) - end} bytes left over")
    return item


def parse_int(item: RlpItem, size_bytes: int = 32) -> int:
    """Read a scalar of at most ``size_bytes``. Raises: MalformedError: a list, too long, or leading zeros."""
    raw = expect_bytes(item)
    if len(raw) > size_bytes or raw[:1] == b"\0":
        raise MalformedError(f"RLP: not a scalar of at most {size_bytes} bytes without leading zeros")
    return int.from_bytes(raw, "big")


def expect_bytes(item: RlpItem, size_bytes: int | None = None) -> bytes:
    """Return ``item`` if it is bytes, of that size where one is given. Raises: MalformedError."""
    if not isinstance(item, bytes):
        raise MalformedError("RLP: a list where bytes belong")
    if size_bytes is not None and len(item) != size_bytes:
        raise MalformedError(f"RLP: expected {size_bytes} bytes, found {len(item)}")
    return item


def expect_list(item: RlpItem, length: int | None = None) -> list[RlpItem]:
    """Return ``item`` if it is a list, of that length where one is given. Raises: MalformedError."""
    if not isinstance(item, list):
        raise MalformedError("RLP: bytes where a list belongs")
    if length is not None and len(item) != length:
        raise MalformedError(f"RLP: expected a list of {length} items, found {len(item)}")
    return item


def _prefix(size: int, offset: int) -> bytes:
    if size <= _SHORT:
        return bytes([offset + size])
    length = encode_int(size)
    return bytes([offset + _SHORT + len(length)]) + length


def _parse_item(raw: bytes, at: int, limit: int, depth: int) -> tuple[RlpItem, int]:
    if at >= limit:
        raise MalformedError("RLP: cut short")
    first = raw[at]
    if first < 0x80:
        return raw[at : at + 1], at + 1
    is_list = first >= 0xC0
    start, end = _parse_span(raw, at, limit, first - (0xC0 if is_list else 0x80))
    if is_list:
        return _parse_list(raw, start, end, depth + 1), end
    if end - start == 1 and raw[start] < 0x80:
        raise MalformedError("RLP: a single byte below 0x80 stands for itself")
    return raw[start:end], end


def _parse_span(raw: bytes, at: int, limit: int, size: int) -> tuple[int, int]:
    """Return where the payload of the item at ``at`` starts and ends."""
    start = at + 1
    if size > _SHORT:
        start += size - _SHORT
        length = raw[at + 1 : min(start, limit)]
        size = int.from_bytes(length, "big")
        if size <= _SHORT or length[0] == 0:
            raise MalformedError("RLP: a length that is not in its shortest form")
    if start + size > limit:
        raise MalformedError("RLP: cut short")
    return start, start + size


def _parse_list(raw: bytes, at: int, end: int, depth: int) -> list[RlpItem]:
    if depth > _MAX_DEPTH:
        raise MalformedError(f"RLP: nested beyond {_MAX_DEPTH} levels")
    items: list[RlpItem] = []
    while at < end:
        item, at = _parse_item(raw, at, end, depth)
        items.append(item)
    return items
