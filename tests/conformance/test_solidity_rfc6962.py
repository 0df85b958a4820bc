"""``Rfc6962.sol`` agrees with Python case by case, on generated valid and mutated proofs."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from web3.contract import Contract
from web3.exceptions import Web3Exception

from ledger.errors import MalformedError, VerificationError
from ledger.merkle import (
    compute_root,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from tests.support.ethereum_tester import deploy_harness

LEAVES = [leaf_hash(bytes([number])) for number in range(130)]


@cache
def harness() -> Contract:
    return deploy_harness("Rfc6962Harness")


def accepted_by_python(verify: Any, *arguments: object) -> bool:
    try:
        verify(*arguments)
    except (MalformedError, VerificationError):
        return False
    return True


def accepted_by_solidity(function: str, *arguments: object) -> bool:
    from eth_tester.exceptions import TransactionFailed

    try:
        harness().functions[function](*arguments).call()
    except (Web3Exception, TransactionFailed):
        return False
    return True


@st.composite
def mutated(draw: st.DrawFn, proof: list[bytes]) -> list[bytes]:
    """The proof as it is, or one hash changed, dropped, doubled, added or swapped."""
    hashes = list(proof)
    change = draw(st.sampled_from(["none", "none", "flip", "drop", "double", "add", "swap"]))
    if change == "add":
        hashes.insert(draw(st.integers(0, len(hashes))), draw(st.binary(min_size=32, max_size=32)))
    elif change != "none" and hashes:
        at = draw(st.integers(0, len(hashes) - 1))
        other = draw(st.integers(0, len(hashes) - 1))
        if change == "flip":
            hashes[at] = bytes([hashes[at][0] ^ 1]) + hashes[at][1:]
        elif change == "drop":
            del hashes[at]
        elif change == "double":
            hashes.insert(at, hashes[at])
        else:
            hashes[at], hashes[other] = hashes[other], hashes[at]
    return hashes


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_inclusion_agrees(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    proof = data.draw(mutated(prove_inclusion(LEAVES, index, size)))
    claimed_index = index + data.draw(st.sampled_from([0, 0, 0, 1, size]))
    claimed_size = data.draw(st.sampled_from([size, size, size, size + 1, max(size - 1, 0), 0]))
    root = compute_root(LEAVES[:size])
    arguments = (LEAVES[index], claimed_index, claimed_size, proof, root)
    assert accepted_by_python(verify_inclusion, *arguments) == accepted_by_solidity("verifyInclusion", *arguments)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_consistency_agrees(data: st.DataObject) -> None:
    size2 = data.draw(st.integers(1, len(LEAVES)))
    size1 = data.draw(st.integers(1, size2))
    proof = data.draw(mutated(prove_consistency(LEAVES, size1, size2)))
    claimed1 = data.draw(st.sampled_from([size1, size1, size1, size1 + 1, 0]))
    claimed2 = data.draw(st.sampled_from([size2, size2, size2, size2 + 1, 0]))
    roots = compute_root(LEAVES[:size1]), compute_root(LEAVES[:size2])
    arguments = (claimed1, claimed2, proof, *roots)
    assert accepted_by_python(verify_consistency, *arguments) == accepted_by_solidity("verifyConsistency", *arguments)


def test_both_accept_what_is_right() -> None:
    """The comparisons above would pass if both refused everything."""
    proof = prove_inclusion(LEAVES, 5, 11)
    assert accepted_by_solidity("verifyInclusion", LEAVES[5], 5, 11, proof, compute_root(LEAVES[:11]))
    extension = prove_consistency(LEAVES, 5, 11)
    roots = compute_root(LEAVES[:5]), compute_root(LEAVES[:11])
    assert accepted_by_solidity("verifyConsistency", 5, 11, extension, *roots)
