"""Any of the contracts' events, decoded to its members: strictly, so that no byte of its data is left unread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.evidence.documents import Document
from ledger.evidence.events import STRUCTS, Event, find_event
from ledger.evidence.members import format_hex
from ledger.evidence.receipt import EventLog

__all__ = ["DecodedEvent", "decode_event"]

_WORD: Final = 32
_ADDRESS_SIZE: Final = 20
_DYNAMIC: Final = ("string", "[]")


@dataclass(frozen=True)
class DecodedEvent:
    """An event with its members by name: numbers as decimal strings, bytes as lower-case 0x-hex."""

    event: Event
    members: Document


def decode_event(log: EventLog) -> DecodedEvent:
    """Decode an event of Concord's contracts; which contract emitted it is not looked at.

    Raises:
        MalformedError: an event that this version does not know, or not of its layout.
    """
    event = find_event(log)
    if event is None:
        raise MalformedError("an event that this version does not know")
    values = [_read_word(kind, topic) for kind, topic in zip(event.indexed, log.topics[1:], strict=True)]
    plain, size = _read_tuple(event.data, log.data)
    if size != len(log.data):
        raise MalformedError(f"{event.name} has {len(log.data)} bytes of data, {size} belong to it")
    return DecodedEvent(event, dict(zip(event.names.split(), values + plain, strict=True)))


def _read_tuple(kinds: Sequence[str], raw: bytes) -> tuple[list[JsonValue], int]:
    """The values at the beginning of ``raw``, encoded as Solidity does it (no gap, no overlap), and their size."""
    head = sum(map(_head_size, kinds))
    values: list[JsonValue] = []
    at, end = 0, head
    for kind in kinds:
        if _is_dynamic(kind):
            if _read_int(raw, at) != end:
                raise MalformedError("an event's data are not laid out as Solidity lays them out")
            value, size = _read_dynamic(kind, raw[end:])
            end += size
        else:
            value = _read_static(kind, raw[at : at + _head_size(kind)])
        values.append(value)
        at += _head_size(kind)
    return values, end


def _read_dynamic(kind: str, raw: bytes) -> tuple[JsonValue, int]:
    if kind == "string":
        return _read_string(raw)
    if not kind.endswith("[]"):
        fields = STRUCTS[kind]
        values, size = _read_tuple([field.type for field in fields], raw)
        return dict(zip([field.name for field in fields], values, strict=True)), size
    inner = kind.removesuffix("[]")
    count = _read_int(raw, 0)
    if count * _head_size(inner) > len(raw) - _WORD:
        raise MalformedError("an event's list is longer than its data")
    items, size = _read_tuple([inner] * count, raw[_WORD:])
    return items, _WORD + size


def _read_string(raw: bytes) -> tuple[JsonValue, int]:
    length = _read_int(raw, 0)
    size = _WORD + -(-length // _WORD) * _WORD
    text, padding = raw[_WORD : _WORD + length], raw[_WORD + length : size]
    if size > len(raw) or any(padding):
        raise MalformedError("an event's text is not laid out as Solidity lays it out")
    try:
        return text.decode(), size
    except UnicodeDecodeError as error:
        raise MalformedError("an event's text is not UTF-8") from error


def _read_static(kind: str, raw: bytes) -> JsonValue:
    if not kind.startswith("("):
        return _read_word(kind, raw)
    fields = STRUCTS[kind]
    values, _ = _read_tuple([field.type for field in fields], raw)
    return dict(zip([field.name for field in fields], values, strict=True))


def _read_word(kind: str, word: bytes) -> JsonValue:
    if len(word) != _WORD:
        raise MalformedError("an event's data end early")
    if kind == "bytes32":
        return format_hex(word)
    size = _ADDRESS_SIZE if kind == "address" else int(kind.removeprefix("uint")) // 8
    if any(word[:-size]):
        raise MalformedError(f"an event's {kind} is out of range")
    return format_hex(word[-size:]) if kind == "address" else str(int.from_bytes(word, "big"))


def _read_int(raw: bytes, at: int) -> int:
    word = raw[at : at + _WORD]
    if len(word) != _WORD:
        raise MalformedError("an event's data end early")
    return int.from_bytes(word, "big")


def _head_size(kind: str) -> int:
    is_flat = kind.startswith("(") and not _is_dynamic(kind)
    return _WORD * len(STRUCTS[kind]) if is_flat else _WORD


def _is_dynamic(kind: str) -> bool:
    return any(each in kind for each in _DYNAMIC)
