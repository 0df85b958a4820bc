"""Merkle-Patricia tries: known roots, proofs for every key, and every changed node refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.evidence.rlp import encode_rlp
from ledger.evidence.trie import (
    EMPTY_TRIE_ROOT,
    compute_trie_root,
    prove_receipt,
    receipt_key,
    verify_branch,
    verify_receipt,
)
from ledger.keccak import keccak256

# From ethereum/tests, TrieTests/trieanyorder.json.
KNOWN = [
    ({b"A": b"a" * 50}, "d23786fb4a010da3ce639d66d5e904a11dbc02746d1ce25029e53290cabf28ab"),
    (
        {b"doe": b"reindeer", b"dog": b"puppy", b"dogglesworth": b"cat"},
        "8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3",
    ),
    ({b"foo": b"bar", b"food": b"bass"}, "17beaa1648bafa633cda809c90c04af50fc8aed3cb40d16efbddee6fdf63c4c3"),
]


@pytest.mark.parametrize(("entries", "root"), KNOWN)
def test_known_roots(entries: dict[bytes, bytes], root: str) -> None:
    assert compute_trie_root(entries).hex() == root


def test_empty_trie() -> None:
    assert compute_trie_root({}) == EMPTY_TRIE_ROOT
    assert EMPTY_TRIE_ROOT.hex().startswith("56e81f171bcc55a6")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=90), min_size=1, max_size=300), st.data())
def test_each_receipt_is_proved(receipts: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(receipts) - 1))
    root, proof = prove_receipt(receipts, index)
    assert root == compute_trie_root({receipt_key(at): value for at, value in enumerate(receipts)})
    verify_receipt(root, index, receipts[index], proof)
    with pytest.raises(VerificationError):
        verify_receipt(root, index, receipts[index] + b"\0", proof)
    with pytest.raises(LedgerError):
        verify_receipt(root, index + 1, receipts[index] + b"\0", proof)


@pytest.mark.parametrize("count", [1, 2, 17, 130, 260])
def test_changed_proofs_are_refused(count: int) -> None:
    receipts = [bytes([at % 251]) * 40 for at in range(count)]
    index = count - 1
    root, proof = prove_receipt(receipts, index)
    for at, node in enumerate(proof):
        changed = [*proof[:at], node[:-1] + bytes([node[-1] ^ 1]), *proof[at + 1 :]]
        with pytest.raises(VerificationError):
            verify_receipt(root, index, receipts[index], changed)
        with pytest.raises(LedgerError):
            verify_receipt(root, index, receipts[index], proof[:at] + proof[at + 1 :])
    with pytest.raises(MalformedError, match="surplus"):
        verify_receipt(root, index, receipts[index], [*proof, proof[-1]])
    with pytest.raises(MalformedError, match="ends after 0"):
        verify_receipt(root, index, receipts[index], [])


def test_no_such_receipt() -> None:
    for index in (-1, 1):
        with pytest.raises(ValueError, match="no receipt"):
            prove_receipt([b"a"], index)


def _verify_node(node: list[object], key: bytes = b"\x12") -> bytes:
    encoded = encode_rlp(node)  # type: ignore[arg-type]  # bytes and lists
    return verify_branch(keccak256(encoded), key, [encoded])


def test_embedded_nodes_are_followed() -> None:
    leaf = [b"\x32", b"short"]  # a leaf with the last nibble, 2, in its parent's branch
    branch: list[object] = [leaf if nibble == 1 else b"" for nibble in range(17)]
    assert _verify_node(branch) == b"short"


@pytest.mark.parametrize(
    ("node", "error", "match"),
    [
        ([b"\x20", b"x", b"y"], MalformedError, "items"),
        ([b"", b"x"], MalformedError, "hex-prefix"),
        ([b"\x40\x12", b"x"], MalformedError, "hex-prefix"),
        ([b"\x21\x12", b"x"], MalformedError, "hex-prefix"),
        ([b"\x00", b"x" * 32], MalformedError, "hex-prefix"),  # an extension by nothing
        ([b"\x11", b"short"], MalformedError, "32 bytes"),
        ([b"\x20\x13", b"x"], VerificationError, "no such key"),
        ([b"\x31", b"x"], VerificationError, "no such key"),  # a leaf that ends too early
        ([b""] * 17, VerificationError, "no such key"),
        ([b"\x00\x12", [b"\x20", [b"x"]]], MalformedError, "where bytes belong"),
    ],
)
def test_odd_nodes_are_refused(node: list[object], error: type[LedgerError], match: str) -> None:
    with pytest.raises(error, match=match):
        _verify_node(node)


def test_value_in_a_branch() -> None:
    node: list[object] = [*([b""] * 16), b"here"]
    assert _verify_node([b"\x00\x12", node]) == b"here"
    with pytest.raises(VerificationError, match="no such key"):
        _verify_node([b"\x00\x12", [b""] * 17])
