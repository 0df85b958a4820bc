"""RLP: the Yellow Paper's examples, round trips, and every other spelling refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.rlp import encode_int, encode_rlp, expect_bytes, expect_list, parse_int, parse_rlp

items: st.SearchStrategy[Any] = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=20
)

EXAMPLES = [
    (b"dog", "83646f67"),
    ([b"cat", b"dog"], "c88363617483646f67"),
    (b"", "80"),
    ([], "c0"),
    (b"\x0f", "0f"),
    (b"\x04\x00", "820400"),
    ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    (b"a" * 56, "b838" + "61" * 56),
    ([b"a" * 60], "f83eb83c" + "61" * 60),
]


@pytest.mark.parametrize(("item", "encoded"), EXAMPLES)
def test_examples(item: Any, encoded: str) -> None:
    assert encode_rlp(item).hex() == encoded
    assert parse_rlp(bytes.fromhex(encoded)) == item


@given(items)
def test_round_trip(item: Any) -> None:
    assert parse_rlp(encode_rlp(item)) == item


@given(st.binary(max_size=60))
def test_what_is_accepted_encodes_back(raw: bytes) -> None:
    try:
        item = parse_rlp(raw)
    except MalformedError:
        return
    assert encode_rlp(item) == raw


@pytest.mark.parametrize(
    "encoded",
    [
        "",  # nothing
        "8100",  # a single byte with a prefix
        "817f",
        "b801ff",  # a long form for a short string
        "b800",
        "b90001" + "61" * 1,  # leading zero in a length
        "b90038" + "61" * 56,
        "f800",  # a long form for a short list
        "b8",  # cut short
        "b838" + "61" * 55,
        "83646f",
        "c3",
        "c28364",  # an item beyond its list
        "8080",  # left over
        "bf" + "ff" * 8,  # a length beyond everything
        "d0" * 17 + "c0",  # cut short deep inside
    ],
)
def test_other_spellings_are_refused(encoded: str) -> None:
    with pytest.raises(MalformedError):
        parse_rlp(bytes.fromhex(encoded))


def test_nesting_is_bounded() -> None:
    item: Any = []
    for _ in range(15):
        item = [item]
    assert parse_rlp(encode_rlp(item)) == item
    with pytest.raises(MalformedError, match="nested"):
        parse_rlp(encode_rlp([item]))


def test_scalars() -> None:
    assert encode_int(0) == b""
    assert parse_int(b"") == 0
    assert parse_int(encode_int(2**64 - 1), 8) == 2**64 - 1
    for wrong in (b"\0", b"\0\1", b"\1" * 9):
        with pytest.raises(MalformedError):
            parse_int(wrong, 8)
    with pytest.raises(MalformedError):
        parse_int([])


def test_expectations() -> None:
    assert expect_bytes(b"ab", 2) == b"ab"
    assert expect_list([b"a"], 1) == [b"a"]
    for call in (
        lambda: expect_bytes([]),
        lambda: expect_bytes(b"ab", 3),
        lambda: expect_list(b""),
        lambda: expect_list([b"a"], 2),
    ):
        with pytest.raises(MalformedError):
            call()
