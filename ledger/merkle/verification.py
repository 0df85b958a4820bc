"""Verification of proofs: RFC 9162, sections 2.1.3.2 and 2.1.4.2.

``MalformedError`` says that no tree of that size has a proof of that shape; ``VerificationError`` that the shape is
right and the hashes do not lead to the root. Neither is ever a return value.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from ledger.errors import MalformedError, VerificationError
from ledger.merkle.hashing import HASH_SIZE_BYTES

__all__ = ["compute_root_from_inclusion", "verify_consistency", "verify_inclusion"]

_MAX_SIZE: Final = 2**64 - 1
_NODE: Final = b"\x01"


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf_hash`` is leaf ``index`` of the tree of ``size`` leaves with ``root``.

    Raises:
        MalformedError: size 0, index out of range, surplus or missing hashes, a hash that is not 32 bytes.
        VerificationError: the proof leads to another root; both are attributes.
    """
    _check_hash("root", root)
    found = compute_root_from_inclusion(leaf_hash, index, size, proof)
    if found != root:
        raise VerificationError(
            f"the inclusion proof of leaf {index} leads to another root than that of the tree of size {size}",
            expected=root,
            found=found,
        )


def compute_root_from_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root to which an inclusion proof leads.

    Raises:
        MalformedError: as `verify_inclusion`.
    """
    _check_size("tree size", size)
    if not _is_uint64(index) or index >= size:
        raise MalformedError(f"the leaf index is not a number below the tree size {size}")
    _check_hash("leaf hash", leaf_hash)
    _check_proof(proof)
    # 2.1.3.2, step 3: fn counts the leaf's position up the tree, sn that of the last leaf.
    fn, sn, r = index, size - 1, leaf_hash
    for p in proof:
        if sn == 0:
            raise MalformedError(f"surplus hashes: leaf {index} of {size} has a shorter inclusion proof")
        if fn & 1 or fn == sn:
            r = sha256(_NODE + p + r).digest()
            while not fn & 1 and fn:  # the last node of an odd level moves up as it is
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(_NODE + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise MalformedError(f"missing hashes: leaf {index} of {size} has a longer inclusion proof")
    return r


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Check that the tree of ``size2`` leaves with ``root2`` begins with the tree of ``size1`` with ``root1``.

    Equal sizes take an empty proof and equal roots.

    Raises:
        MalformedError: a size of 0, size1 above size2, surplus or missing hashes, a hash that is not 32 bytes.
        VerificationError: the proof leads to another root; both are attributes.
    """
    _check_size("first size", size1)
    _check_size("second size", size2)
    if size1 > size2:
        raise MalformedError(f"the first size {size1} is above the second {size2}")
    _check_hash("first root", root1)
    _check_hash("second root", root2)
    _check_proof(proof)
    if size1 == size2:
        if proof:
            raise MalformedError("surplus hashes: equal sizes take an empty consistency proof")
        found1, found2 = root2, root2
    else:
        found1, found2 = _fold_consistency(size1, size2, proof, root1)
    for name, size, root, found in (("first", size1, root1, found1), ("second", size2, root2, found2)):
        if found != root:
            raise VerificationError(
                f"the consistency proof leads to another {name} root than that of size {size}",
                expected=root,
                found=found,
            )


def _fold_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes) -> tuple[bytes, bytes]:
    """Return both roots to which the proof leads, for size1 < size2 (2.1.4.2, steps 1 to 6)."""
    # Step 2: a complete first tree is a node of the second, so its root is known and not in the proof.
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    if not path:
        raise MalformedError(f"missing hashes: sizes {size1} and {size2} have a longer consistency proof")
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            raise MalformedError(f"surplus hashes: sizes {size1} and {size2} have a shorter consistency proof")
        if fn & 1 or fn == sn:
            fr = sha256(_NODE + c + fr).digest()
            sr = sha256(_NODE + c + sr).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = sha256(_NODE + sr + c).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise MalformedError(f"missing hashes: sizes {size1} and {size2} have a longer consistency proof")
    return fr, sr


def _is_uint64(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_SIZE  # bool is an int to isinstance, and no index


def _check_size(name: str, value: object) -> None:
    if not _is_uint64(value) or not value:
        raise MalformedError(f"the {name} is not a number from 1 to 2^64 - 1")


def _check_hash(name: str, value: object) -> None:
    if not isinstance(value, bytes) or len(value) != HASH_SIZE_BYTES:
        raise MalformedError(f"the {name} is not a hash of 32 bytes")


def _check_proof(proof: object) -> None:
    if not isinstance(proof, list | tuple):
        raise MalformedError("the proof is not a list of hashes")
    for position, value in enumerate(proof):
        _check_hash(f"proof's hash {position}", value)
