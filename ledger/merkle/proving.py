"""Proofs over leaf hashes in memory. A log on disk builds the same ones from its tiles (`ledger.log`)."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.merkle.hashing import compute_root
from ledger.merkle.subtrees import consistency_subtrees, inclusion_subtrees

__all__ = ["prove_consistency", "prove_inclusion"]


def prove_inclusion(leaf_hashes: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """Return the inclusion proof of leaf ``index`` in the tree over the first ``size`` leaf hashes.

    Hashes run from the leaf's sibling up to the root's child. RFC 9162, section 2.1.3.1.

    Raises:
        ValueError: not 0 <= index < size <= len(leaf_hashes), or a leaf hash is not 32 bytes long.
    """
    _check_size(leaf_hashes, size)
    return [compute_root(leaf_hashes[first:end]) for first, end in inclusion_subtrees(index, size)]


def prove_consistency(leaf_hashes: Sequence[bytes], size1: int, size2: int) -> list[bytes]:
    """Return the proof that the tree of ``size2`` leaves begins with the tree of ``size1``; empty when they are equal.

    RFC 9162, section 2.1.4.1.

    Raises:
        ValueError: not 0 < size1 <= size2 <= len(leaf_hashes), or a leaf hash is not 32 bytes long.
    """
    _check_size(leaf_hashes, size2)
    return [compute_root(leaf_hashes[first:end]) for first, end in consistency_subtrees(size1, size2)]


def _check_size(leaf_hashes: Sequence[bytes], size: int) -> None:
    if size > len(leaf_hashes):
        raise ValueError(f"a tree of size {size} needs as many leaf hashes, found {len(leaf_hashes)}")
