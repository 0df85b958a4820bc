"""ledger.merkle: RFC 9162, section 2.1, for every tree up to 256 leaves and every way to get a proof wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from hashlib import sha256

import pytest

import ledger.merkle
from ledger.errors import MalformedError, VerificationError
from ledger.merkle import (
    EMPTY_ROOT,
    begin_leaf_hash,
    complete_subtrees,
    compute_root,
    compute_root_from_inclusion,
    consistency_subtrees,
    inclusion_subtrees,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from tests.support.measuring import unmeasured

LEAVES = [leaf_hash(bytes([number])) for number in range(256)]
OTHER = sha256(b"other").digest()


@cache
def reference(first: int, end: int) -> bytes:
    """MTH(D[first:end]), word by word (RFC 9162, section 2.1.1)."""
    count = end - first
    if count == 1:
        return LEAVES[first]
    k = max(1 << power for power in range(8) if 1 << power < count)
    return sha256(b"\x01" + reference(first, first + k) + reference(first + k, end)).digest()


def reference_path(m: int, first: int, end: int) -> list[bytes]:
    """PATH(m, D[first:end]) (section 2.1.3.1)."""
    count = end - first
    if count == 1:
        return []
    k = max(1 << power for power in range(8) if 1 << power < count)
    if m < k:
        return [*reference_path(m, first, first + k), reference(first + k, end)]
    return [*reference_path(m - k, first + k, end), reference(first, first + k)]


def reference_subproof(m: int, first: int, end: int, *, known: bool) -> list[bytes]:
    """SUBPROOF(m, D[first:end], known) (section 2.1.4.1)."""
    count = end - first
    if m == count:
        return [] if known else [reference(first, end)]
    k = max(1 << power for power in range(8) if 1 << power < count)
    if m <= k:
        return [*reference_subproof(m, first, first + k, known=known), reference(first + k, end)]
    return [*reference_subproof(m - k, first + k, end, known=False), reference(first, first + k)]


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 70_000])
def test_a_leaf_hash_is_the_same_however_the_entry_comes(size: int) -> None:
    entry = bytes(range(256)) * (size // 256 + 1)
    entry = entry[:size]
    begun = begin_leaf_hash()
    for place in range(0, size, 5_000):
        begun.update(memoryview(entry)[place : place + 5_000])
    assert leaf_hash(entry) == begun.digest() == sha256(b"\x00" + entry).digest()


def test_the_room_has_one_door() -> None:
    assert sorted(ledger.merkle.__all__) == list(ledger.merkle.__all__)
    assert all(hasattr(ledger.merkle, name) for name in ledger.merkle.__all__)


def test_hashes_of_rfc_6962() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert compute_root([]) == EMPTY_ROOT
    assert compute_root(LEAVES[:1]) == LEAVES[0]
    # The tree of seven leaves that certificate-transparency-go uses.
    data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    root = compute_root([leaf_hash(bytes.fromhex(text)) for text in data])
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", range(1, 257))
def test_every_tree_of_up_to_256_leaves(size: int) -> None:
    with unmeasured() if size > 65 else nullcontext():  # they go no other ways than the smaller ones
        check_tree(size)


def check_tree(size: int) -> None:
    root = reference(0, size)
    assert compute_root(LEAVES[:size]) == root
    for index in range(size):
        proof = reference_path(index, 0, size)
        assert [compute_root(LEAVES[a:b]) for a, b in inclusion_subtrees(index, size)] == proof
        verify_inclusion(LEAVES[index], index, size, proof, root)
    for size1 in range(1, size + 1):
        proof = reference_subproof(size1, 0, size, known=True)
        assert [reference(a, b) for a, b in consistency_subtrees(size1, size)] == proof
        verify_consistency(size1, size, proof, reference(0, size1), root)


def test_provers_over_lists() -> None:
    for size in (1, 2, 3, 7, 8, 200, 256):
        for other in {1, size // 2 or 1, size - 1 or 1, size}:
            assert prove_inclusion(LEAVES, other - 1, size) == reference_path(other - 1, 0, size)
            assert prove_consistency(LEAVES, other, size) == reference_subproof(other, 0, size, known=True)


@pytest.mark.parametrize("size", [*range(1, 18), 33, 65])
def test_a_proof_holds_for_its_leaf_alone(size: int) -> None:
    root = reference(0, size)
    for index in range(size):
        proof = reference_path(index, 0, size)
        for other in range(size):
            if other != index:
                with pytest.raises((VerificationError, MalformedError)):
                    verify_inclusion(LEAVES[index], other, size, proof, root)
        with pytest.raises(VerificationError):
            verify_inclusion(OTHER, index, size, proof, root)


@pytest.mark.parametrize("size", [*range(1, 18), 33, 65])
def test_missing_and_surplus_hashes_of_inclusion_proofs(size: int) -> None:
    root = reference(0, size)
    for index in range(size):
        proof = reference_path(index, 0, size)
        for at in range(len(proof)):
            with pytest.raises(MalformedError):
                verify_inclusion(LEAVES[index], index, size, proof[:at] + proof[at + 1 :], root)
            with pytest.raises(VerificationError):
                verify_inclusion(LEAVES[index], index, size, [*proof[:at], OTHER, *proof[at + 1 :]], root)
        for at in range(len(proof) + 1):
            with pytest.raises(MalformedError):
                verify_inclusion(LEAVES[index], index, size, [*proof[:at], OTHER, *proof[at:]], root)


@pytest.mark.parametrize("size2", [*range(1, 18), 33, 65])
def test_missing_surplus_and_changed_hashes_of_consistency_proofs(size2: int) -> None:
    root2 = reference(0, size2)
    for size1 in range(1, size2 + 1):
        root1 = reference(0, size1)
        proof = reference_subproof(size1, 0, size2, known=True)
        for at in range(len(proof)):
            with pytest.raises(MalformedError):
                verify_consistency(size1, size2, proof[:at] + proof[at + 1 :], root1, root2)
            with pytest.raises(VerificationError):
                verify_consistency(size1, size2, [*proof[:at], OTHER, *proof[at + 1 :]], root1, root2)
        for at in range(len(proof) + 1):
            with pytest.raises(MalformedError):
                verify_consistency(size1, size2, [*proof[:at], OTHER, *proof[at:]], root1, root2)
        for roots in ((OTHER, root2), (root1, OTHER)):
            with pytest.raises(VerificationError):
                verify_consistency(size1, size2, proof, *roots)


def test_a_finding_carries_both_roots() -> None:
    with pytest.raises(VerificationError) as finding:
        verify_inclusion(LEAVES[0], 0, 2, [LEAVES[1]], OTHER)
    assert (finding.value.expected, finding.value.found) == (OTHER, reference(0, 2))
    with pytest.raises(VerificationError) as finding:
        verify_consistency(1, 2, [LEAVES[1]], LEAVES[0], OTHER)
    assert (finding.value.expected, finding.value.found) == (OTHER, reference(0, 2))


BAD_NUMBERS: list[object] = [-1, 2**64, True, False, 1.0, "1", None]
BAD_HASHES: list[object] = [b"", bytes(31), bytes(33), "0" * 32, bytearray(32), None]
BAD_PROOFS: list[object] = [b"", LEAVES[1], None, {LEAVES[1]}, iter(LEAVES[1:2])]
PAIR = reference(0, 2)


@pytest.mark.parametrize("bad", [*BAD_NUMBERS, 0])
def test_sizes_that_are_none(bad: int) -> None:
    refused: list[Callable[[], None]] = [
        lambda: verify_inclusion(LEAVES[0], 0, bad, [LEAVES[1]], PAIR),
        lambda: verify_consistency(bad, 2, [LEAVES[1]], LEAVES[0], PAIR),
        lambda: verify_consistency(1, bad, [LEAVES[1]], LEAVES[0], PAIR),
    ]
    for call in refused:
        with pytest.raises(MalformedError):
            call()


@pytest.mark.parametrize("bad", [*BAD_NUMBERS, 2, 3])
def test_indexes_that_are_none(bad: int) -> None:
    with pytest.raises(MalformedError):
        verify_inclusion(LEAVES[0], bad, 2, [LEAVES[1]], PAIR)


@pytest.mark.parametrize("bad", BAD_HASHES)
def test_hashes_that_are_none(bad: bytes) -> None:
    refused: list[Callable[[], None]] = [
        lambda: verify_inclusion(bad, 0, 2, [LEAVES[1]], PAIR),
        lambda: verify_inclusion(LEAVES[0], 0, 2, [bad], PAIR),
        lambda: verify_inclusion(LEAVES[0], 0, 2, [LEAVES[1]], bad),
        lambda: verify_consistency(1, 2, [bad], LEAVES[0], PAIR),
        lambda: verify_consistency(1, 2, [LEAVES[1]], bad, PAIR),
        lambda: verify_consistency(1, 2, [LEAVES[1]], LEAVES[0], bad),
    ]
    for call in refused:
        with pytest.raises(MalformedError):
            call()


@pytest.mark.parametrize("bad", BAD_PROOFS)
def test_proofs_that_are_none(bad: Sequence[bytes]) -> None:
    with pytest.raises(MalformedError):
        verify_inclusion(LEAVES[0], 0, 2, bad, PAIR)
    with pytest.raises(MalformedError):
        verify_consistency(1, 2, bad, LEAVES[0], PAIR)


def test_sizes_in_the_wrong_order() -> None:
    with pytest.raises(MalformedError, match="above"):
        verify_consistency(2, 1, [LEAVES[1]], PAIR, LEAVES[0])


def test_the_root_to_which_a_proof_leads() -> None:
    assert compute_root_from_inclusion(LEAVES[1], 1, 2, (LEAVES[0],)) == PAIR
    # A root does not commit to its size: the proof of (6, 7) leads there from (3, 4) too.
    proof = reference_path(6, 0, 7)
    assert compute_root_from_inclusion(LEAVES[6], 3, 4, proof) == reference(0, 7)


def test_the_largest_tree() -> None:
    size = 2**64 - 1
    proof = [OTHER] * 64
    root = compute_root_from_inclusion(LEAVES[0], 0, size, proof)
    verify_inclusion(LEAVES[0], 0, size, proof, root)


def test_callers_mistakes() -> None:
    mistakes: list[Callable[[], object]] = [
        lambda: prove_inclusion(LEAVES, 2, 2),
        lambda: prove_inclusion(LEAVES, -1, 2),
        lambda: prove_inclusion(LEAVES, 0, 257),
        lambda: prove_consistency(LEAVES, 0, 2),
        lambda: prove_consistency(LEAVES, 3, 2),
        lambda: prove_consistency(LEAVES, 1, 257),
        lambda: compute_root([LEAVES[0], bytes(31)]),
        lambda: node_hash(bytes(31), bytes(33)),
        lambda: node_hash(bytes(32), bytes(33)),
        lambda: complete_subtrees(1, 1),
        lambda: complete_subtrees(1, 3),
        lambda: complete_subtrees(-1, 1),
    ]
    for mistake in mistakes:
        with pytest.raises(ValueError, match=r"\w"):
            mistake()


def test_complete_subtrees_cover_the_range() -> None:
    assert complete_subtrees(0, 7) == [(2, 0), (1, 2), (0, 6)]
    assert complete_subtrees(4, 7) == [(1, 2), (0, 6)]
    for size in range(1, 257):
        *rest, last = complete_subtrees(0, size)
        root = reference(last[1] << last[0], (last[1] + 1) << last[0])
        for level, index in reversed(rest):
            root = node_hash(reference(index << level, (index + 1) << level), root)
        assert root == reference(0, size)
