"""Canonical JSON: strict in, one form out."""

from __future__ import annotations

import hashlib

import pytest

from ledger.canonical import JsonValue, encode_canonical, hash_document, parse_canonical, parse_json
from ledger.errors import MalformedError
from ledger.types import Bytes32


def test_members_are_sorted_by_utf16_and_nothing_is_escaped_needlessly() -> None:
    # RFC 8785 section 3.2.3: U+1F600 is a surrogate pair and sorts before U+FB33.
    document: dict[str, JsonValue] = {"\ufb33": 1, "\U0001f600": 2, "ö": "é", "1": [True, None, 0.5]}
    raw = encode_canonical(document)
    assert raw == '{"1":[true,null,0.5],"ö":"é","\U0001f600":2,"\ufb33":1}'.encode()
    assert parse_canonical(raw) == document


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b"1.0",
        b"NaN",
        b"-Infinity",
        b'"\\u0061"',
        b'"\\ud800"',
        b"9007199254740993",
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
    ],
)
def test_what_is_not_canonical_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_canonical(raw)


def test_json_of_any_form_is_parsed_strictly_otherwise() -> None:
    assert parse_json(b' {"b": 1.0, "a": "\\u0061"}\n') == {"b": 1.0, "a": "a"}
    assert parse_json(b"[" * 64 + b"]" * 64)
    for raw, words in {
        b"{": "not JSON",
        b"\xff": "not JSON",
        b"9" * 20_000: "not JSON",
        b'{"a":1,"a":1}': "stands twice",
        b"[NaN]": "NaN is not JSON",
        b"[" * 65 + b"]" * 65: "nested beyond 64 levels",
        b"[" * 100_000: "nested beyond 64 levels",
    }.items():
        with pytest.raises(MalformedError, match=words):
            parse_json(raw)


def test_size_is_bounded() -> None:
    assert parse_canonical(b"[1]", max_size_bytes=3) == [1]
    with pytest.raises(MalformedError, match="4 bytes of JSON, at most 3"):
        parse_canonical(b"[10]", max_size_bytes=3)


@pytest.mark.parametrize("value", [2**53 + 1, float("nan"), "\ud800"])
def test_what_json_can_not_say_is_refused(value: JsonValue) -> None:
    with pytest.raises(MalformedError):
        encode_canonical(value)


def test_a_documents_hash_is_salted() -> None:
    salt = Bytes32(bytes(32))
    assert hash_document(salt, {"a": 1}) == hashlib.sha256(bytes(32) + b'{"a":1}').digest()
