"""The fast way through the ABI and eth_abi's agree on every function, error and event of the contracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.abi import NotPlainError, plan_of
from ledger.chain.contracts import CONTRACT_NAMES, Abi, _decoder, _from_abi, _to_abi, _type_of, load_artifact
from ledger.types import Address, Bytes32


def lists_of() -> Iterator[list[Abi]]:
    for name in CONTRACT_NAMES:
        artifact = load_artifact(name)
        for each in artifact.functions.values():
            yield from (each["inputs"], each["outputs"])
        for each in (*artifact.errors.values(), *artifact.events.values()):
            yield each["inputs"]


def is_plain(items: list[Abi]) -> bool:
    try:
        plan_of(items)
    except NotPlainError:
        return False
    return True


PLAIN = [items for items in lists_of() if is_plain(items)]


def values_of(item: Abi) -> st.SearchStrategy[Any]:
    kind: str = item["type"]
    if kind.endswith("[]"):
        return st.lists(values_of({**item, "type": kind[:-2]}), max_size=3).map(tuple)
    if kind == "tuple":
        return st.fixed_dictionaries({each["name"]: values_of(each) for each in item["components"]})
    if kind.startswith("uint"):
        return st.integers(0, 2 ** int(kind.removeprefix("uint")) - 1)
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "address": st.binary(min_size=20, max_size=20).map(Address),
        "bytes32": st.binary(min_size=32, max_size=32).map(Bytes32),
        "bool": st.booleans(),
        "bytes": st.binary(max_size=70),
    }
    return drawn[kind]


def all_values(items: list[Abi]) -> st.SearchStrategy[dict[str, Any]]:
    named = {each["name"] or str(place): values_of(each) for place, each in enumerate(items)}
    return st.fixed_dictionaries(named)


def slow_write(items: list[Abi], values: dict[str, Any]) -> bytes:
    named = [_to_abi(each, values[each["name"] or str(place)]) for place, each in enumerate(items)]
    return bytes(encode([_type_of(each) for each in items], named))


def slow_read(items: list[Abi], data: bytes) -> dict[str, Any]:
    values = _decoder.decode([_type_of(each) for each in items], data)
    named = enumerate(zip(items, values, strict=True))
    return {each["name"] or str(place): _from_abi(each, value) for place, (each, value) in named}


def test_most_of_what_the_contracts_say_is_plain() -> None:
    every = list(lists_of())
    assert len(PLAIN) > 0.9 * len(every)
    assert next(iter(load_artifact("DatasetRegistry").events.values()))["inputs"] in PLAIN


@given(st.data())
def test_both_ways_write_and_read_the_same(data: st.DataObject) -> None:
    items = data.draw(st.sampled_from(PLAIN))
    values, plan = data.draw(all_values(items)), plan_of(items)
    raw = plan.write(values)
    assert raw == slow_write(items, values)
    assert plan.read(raw, 0) == slow_read(items, raw) == values


@given(st.data())
def test_what_the_fast_way_reads_of_damaged_data_the_slow_way_reads_too(data: st.DataObject) -> None:
    items = data.draw(st.sampled_from(PLAIN))
    raw = bytearray(slow_write(items, data.draw(all_values(items))))
    for place in data.draw(st.lists(st.integers(0, max(0, len(raw) - 1)), max_size=3)):
        if raw:
            raw[place] ^= data.draw(st.sampled_from([1, 0x20, 0x80, 0xFF]))
    damaged = bytes(raw[: data.draw(st.integers(0, len(raw)))]) if data.draw(st.booleans()) else bytes(raw)
    try:
        found = plan_of(items).read(damaged, 0)
    except NotPlainError:
        return
    assert found == slow_read(items, damaged)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256), ("uint8", -1), ("uint8", True), ("uint8", "1"), ("address", bytes(20)), ("bool", 1),
        ("bytes32", bytes(32)), ("bytes", "0x"), ("uint8[]", 5), ("uint8[]", [1, 300]),
    ],
)  # fmt: skip
def test_what_is_not_of_its_type_is_left_to_the_slow_way(kind: str, value: object) -> None:
    with pytest.raises(NotPlainError):
        plan_of([{"name": "x", "type": kind}]).write({"x": value})


def test_other_members_are_left_to_the_slow_way() -> None:
    plan = plan_of([{"name": "x", "type": "tuple", "components": [{"name": "a", "type": "bool"}]}])
    for value in ({"b": True}, {"a": True, "b": True}, {}, [True]):
        with pytest.raises(NotPlainError):
            plan.write({"x": value})


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("bool", bytes(31) + b"\x02"), ("bool", bytes(31)), ("uint8", bytes(30) + b"\x01\x00"),
        ("address", b"\x01" * 32),
        ("bytes", bytes(32)), ("bytes", bytes(31) + b"\x20" + bytes(31) + b"\x01"),
        ("bytes", bytes(31) + b"\x20" + bytes(31) + b"\x01" + b"\xff" * 32),
        ("uint8[]", bytes(31) + b"\x20" + bytes(31) + b"\x02" + bytes(32)),
        ("uint8[]", bytes(31) + b"\x20" + b"\xff" * 32), ("bytes", b"\xff" * 64),
    ],
)  # fmt: skip
def test_odd_data_are_left_to_the_slow_way(kind: str, raw: bytes) -> None:
    items: list[Abi] = [{"name": "x", "type": kind}]
    with pytest.raises(NotPlainError):
        plan_of(items).read(raw, 0)
    with pytest.raises((DecodingError, OverflowError)):
        slow_read(items, raw)
