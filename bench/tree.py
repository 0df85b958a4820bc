"""A Merkle tree in memory that keeps every level, so that proofs at a million entries take no time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from ledger.merkle import complete_subtrees, consistency_subtrees, inclusion_subtrees, node_hash

__all__ = ["KeptTree"]


class KeptTree:
    """The RFC 6962 tree over ``leaf_hashes``; any first part of it is the tree of that size."""

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        self._levels = [list(leaf_hashes)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = zip(below[0::2], below[1::2], strict=False)
            self._levels.append([node_hash(left, right) for left, right in pairs])

    def root(self, size: int) -> bytes:
        """Root of the first ``size`` leaves. Raises: ValueError: no such tree."""
        self._check(size)
        return self._root_of(0, size)

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """Proof of leaf ``index`` in the tree of ``size``. Raises: ValueError: no such leaf."""
        self._check(size)
        return [self._root_of(first, end) for first, end in inclusion_subtrees(index, size)]

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """Proof that the tree of ``size2`` begins with that of ``size1``. Raises: ValueError: no such trees."""
        self._check(size2)
        return [self._root_of(first, end) for first, end in consistency_subtrees(size1, size2)]

    def _root_of(self, first: int, end: int) -> bytes:
        parts = [self._levels[level][index] for level, index in complete_subtrees(first, end)]
        return reduce(lambda right, left: node_hash(left, right), reversed(parts))

    def _check(self, size: int) -> None:
        if not 0 < size <= len(self._levels[0]):
            raise ValueError(f"there are trees of 1 to {len(self._levels[0])} leaves, not of {size}")
