"""The ABI's plain cases, fast: values of the contracts' own types, encoded as every compiler encodes them.

https://docs.soliditylang.org/en/latest/abi-spec.html. What is not plain (text, an odd pointer, padding that is not
zero, a value that is not of its type) is ``NotPlainError``: the caller asks eth_abi, whose verdict counts. A property
test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.types import Address, Bytes32

__all__ = ["NotPlainError", "Plan", "plan_of"]

Abi = Mapping[str, Any]

_WORD: Final = 32
_NO_ADDRESS: Final = bytes(12)


class NotPlainError(ValueError):
    """Not one of the plain cases, which says nothing about whether it is well formed."""


@dataclass(frozen=True)
class Plan:
    """How values of one type are read and written.

    Attributes:
        size: bytes in the head; of what is dynamic, its pointer.
        is_dynamic: whether the head is a pointer to the value.
        read: the value that begins at a position of the data, which have ``size`` bytes from there on, or a word where
            it is dynamic.
        write: the value's bytes.
    """

    size: int
    is_dynamic: bool
    read: Callable[[bytes, int], Any]
    write: Callable[[Any], bytes]


def plan_of(items: Sequence[Abi]) -> Plan:
    """The plan of a parameter list; reads and takes a dict by name. Raises: NotPlainError: a type has none."""
    return _struct([each["name"] or str(place) for place, each in enumerate(items)], [_plan(each) for each in items])


def _plan(item: Abi) -> Plan:
    kind: str = item["type"]
    if kind.endswith("[]"):
        return _array(_plan({**item, "type": kind[:-2]}))
    if kind == "tuple":
        members = item["components"]
        return _struct([each["name"] for each in members], [_plan(each) for each in members])
    if kind.startswith("uint"):
        return _uint(int(kind.removeprefix("uint")))
    if kind not in _ELEMENTARY:
        raise NotPlainError(f"no plan for {kind}")
    return _ELEMENTARY[kind]


# Elementary types


def _uint(bits: int) -> Plan:
    end = 1 << bits

    def read(data: bytes, position: int) -> int:
        value = int.from_bytes(data[position : position + _WORD])
        if value >= end:
            raise NotPlainError("a number is too large")
        return value

    def write(value: Any) -> bytes:
        if type(value) is not int or not 0 <= value < end:
            raise NotPlainError("not such a number")
        return value.to_bytes(_WORD)

    return Plan(_WORD, False, read, write)


def _read_address(data: bytes, position: int) -> Address:
    if data[position : position + 12] != _NO_ADDRESS:
        raise NotPlainError("an address is too large")
    return Address(data[position + 12 : position + _WORD])


def _write_address(value: Any) -> bytes:
    if not isinstance(value, Address):
        raise NotPlainError("not an Address")
    return _NO_ADDRESS + value


def _read_bytes32(data: bytes, position: int) -> Bytes32:
    # Its length is known: this is Bytes32() without the check, in C.
    return bytes.__new__(Bytes32, data[position : position + _WORD])


def _write_bytes32(value: Any) -> bytes:
    if not isinstance(value, Bytes32):
        raise NotPlainError("not a Bytes32")
    return value


def _read_bool(data: bytes, position: int) -> bool:
    value = int.from_bytes(data[position : position + _WORD])
    if value > 1:
        raise NotPlainError("neither true nor false")
    return value == 1


def _write_bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise NotPlainError("neither true nor false")
    return int(value).to_bytes(_WORD)


def _read_bytes(data: bytes, position: int) -> bytes:
    length, start = int.from_bytes(data[position : position + _WORD]), position + _WORD
    padded = start + length + -length % _WORD
    if padded > len(data) or any(data[start + length : padded]):
        raise NotPlainError("the data end early, or are not padded with zeros")
    return data[start : start + length]


def _write_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise NotPlainError("not bytes")
    return len(value).to_bytes(_WORD) + value + bytes(-len(value) % _WORD)


_ELEMENTARY: Final = {
    "address": Plan(_WORD, False, _read_address, _write_address),
    "bytes32": Plan(_WORD, False, _read_bytes32, _write_bytes32),
    "bool": Plan(_WORD, False, _read_bool, _write_bool),
    "bytes": Plan(_WORD, True, _read_bytes, _write_bytes),
}


# What is made of others


_Head = tuple[int, bool, Callable[[bytes, int], Any]]


def _heads_of(plans: Iterable[Plan]) -> Iterator[_Head]:
    """Of each where its head begins, whether that is a pointer, and how the value is read."""
    position = 0
    for plan in plans:
        yield position, plan.is_dynamic, plan.read
        position += plan.size


def _read_heads(data: bytes, base: int, heads: Iterable[_Head], head_size: int) -> list[Any]:
    if base + head_size > len(data):
        raise NotPlainError("the data end early")
    values = []
    for position, is_dynamic, read in heads:
        if is_dynamic:
            offset = int.from_bytes(data[base + position : base + position + _WORD])
            if offset < head_size or base + offset + _WORD > len(data):
                raise NotPlainError("a pointer leads elsewhere")
            values.append(read(data, base + offset))
        else:
            values.append(read(data, base + position))
    return values


def _write_heads(values: Sequence[Any], plans: Sequence[Plan], head_size: int) -> bytes:
    heads, tails, end = [], [], head_size
    for plan, value in zip(plans, values, strict=True):
        raw = plan.write(value)
        if plan.is_dynamic:
            heads.append(end.to_bytes(_WORD))
            tails.append(raw)
            end += len(raw)
        else:
            heads.append(raw)
    return b"".join(heads + tails)


def _struct(names: Sequence[str], plans: Sequence[Plan]) -> Plan:
    head_size, is_dynamic = sum(plan.size for plan in plans), any(plan.is_dynamic for plan in plans)
    heads = tuple(_heads_of(plans))

    def read(data: bytes, position: int) -> dict[str, Any]:
        return dict(zip(names, _read_heads(data, position, heads, head_size), strict=True))

    def write(value: Any) -> bytes:
        if not isinstance(value, Mapping) or len(value) != len(names) or any(name not in value for name in names):
            raise NotPlainError("other members")
        return _write_heads([value[name] for name in names], plans, head_size)

    return Plan(_WORD if is_dynamic else head_size, is_dynamic, read, write)


def _array(each: Plan) -> Plan:
    def read(data: bytes, position: int) -> tuple[Any, ...]:
        length, start = int.from_bytes(data[position : position + _WORD]), position + _WORD
        if start + length * each.size > len(data):
            raise NotPlainError("the data end early")
        return tuple(_read_heads(data, start, _heads_of([each] * length), length * each.size))

    def write(value: Any) -> bytes:
        if not isinstance(value, list | tuple):
            raise NotPlainError("not a list")
        return len(value).to_bytes(_WORD) + _write_heads(value, [each] * len(value), len(value) * each.size)

    return Plan(_WORD, True, read, write)
