"""Properties of Merkle proofs over generated trees."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.merkle import (
    compute_root,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from tests.support.log import reference_root

leaf_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=600).map(lambda entries: [*map(leaf_hash, entries)])


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(leaf_lists)
def test_the_root_is_the_definitions(leaves: list[bytes]) -> None:
    assert compute_root(leaves) == reference_root(leaves)


@given(leaf_lists, st.data())
def test_every_bit_of_an_inclusion_proof_counts(leaves: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    proof, root = prove_inclusion(leaves, index, size), compute_root(leaves[:size])
    verify_inclusion(leaves[index], index, size, proof, root)
    bit = data.draw(st.integers(0, 255))
    at = data.draw(st.integers(-2, len(proof) - 1))
    mutations: dict[int, Callable[[], None]] = {
        -2: lambda: verify_inclusion(flipped(leaves[index], bit), index, size, proof, root),
        -1: lambda: verify_inclusion(leaves[index], index, size, proof, flipped(root, bit)),
    }
    changed = [flipped(value, bit) if position == at else value for position, value in enumerate(proof)]
    with pytest.raises(VerificationError):
        mutations.get(at, lambda: verify_inclusion(leaves[index], index, size, changed, root))()


@given(leaf_lists, st.data())
def test_every_bit_of_a_consistency_proof_counts(leaves: list[bytes], data: st.DataObject) -> None:
    size2 = data.draw(st.integers(1, len(leaves)))
    size1 = data.draw(st.integers(1, size2))
    proof = prove_consistency(leaves, size1, size2)
    root1, root2 = compute_root(leaves[:size1]), compute_root(leaves[:size2])
    verify_consistency(size1, size2, proof, root1, root2)
    bit = data.draw(st.integers(0, 255))
    at = data.draw(st.integers(-2, len(proof) - 1))
    roots = [flipped(root1, bit) if at == -2 else root1, flipped(root2, bit) if at == -1 else root2]
    changed = [flipped(value, bit) if position == at else value for position, value in enumerate(proof)]
    with pytest.raises(VerificationError):
        verify_consistency(size1, size2, changed, *roots)


@given(
    st.integers(-2, 40), st.integers(-2, 40), st.lists(st.sampled_from([bytes(32), b"\xff" * 32, b"short"]), max_size=8)
)
def test_whatever_is_given_the_answer_is_none_or_one_of_two_errors(a: int, b: int, proof: list[bytes]) -> None:
    with contextlib.suppress(MalformedError, VerificationError):
        verify_inclusion(bytes(32), a, b, proof, bytes(32))
        assert (a, b, proof) == (0, 1, [])  # the tree of one leaf is the only one that these hashes make
    with pytest.raises((MalformedError, VerificationError)):
        verify_consistency(a, b, proof, bytes(32), b"\xff" * 32)
