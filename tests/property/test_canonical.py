"""The fast encoder and parser of canonical JSON do exactly what the RFC's does."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.canonical import encode_canonical, parse_canonical
from ledger.errors import MalformedError

TEXTS = st.text() | st.sampled_from(["\ufb33", "\U0001f600", "\ud7ff", "\x7f", "\ud800"])
NUMBERS = st.integers() | st.integers(2**53 - 2, 2**53 + 2) | st.floats() | st.sampled_from([1e16, -0.0, 1.0])
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
KEYS = TEXTS | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def encode_by_the_rfc(value: Any) -> bytes | None:
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return None


def parse_by_the_rfc(raw: bytes) -> bool:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    def refuse(_: str) -> NoReturn:
        raise ValueError

    try:
        value = json.loads(raw.decode(), object_pairs_hook=members, parse_constant=refuse)
        return encode_by_the_rfc(value) == raw
    except ValueError:
        return False


def is_taken(raw: bytes) -> bool:
    try:
        parse_canonical(raw)
    except MalformedError:
        return False
    return True


@given(VALUES)
@example(float("inf"))
@example({1: 2, "1": 2})
@example({True: (1,)})
def test_every_value_is_encoded_as_the_rfc_says(value: Any) -> None:
    try:
        found = encode_canonical(value)
    except MalformedError:
        found = None
    assert found == encode_by_the_rfc(value)


@given(VALUES, st.integers(0, 1 << 20), st.integers(0, 255), st.booleans())
def test_bytes_are_taken_that_the_rfc_would_write_and_no_others(
    value: Any, place: int, byte: int, is_python: bool
) -> None:
    encoded = None if is_python else encode_by_the_rfc(value)
    try:
        raw = json.dumps(value).encode() if encoded is None else encoded
    except TypeError:
        raw = b"{}"
    changed = bytearray(raw)
    changed[place % len(raw)] = byte
    for each in (raw, bytes(changed)):
        assert is_taken(each) == parse_by_the_rfc(each)
