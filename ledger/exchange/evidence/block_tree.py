"""An RFC 6962 tree over block hashes that grows with the chain: a proof costs its depth, not the chain's length."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.evidence import BlockProof
from ledger.merkle import complete_subtrees, inclusion_subtrees, leaf_hash, node_hash
from ledger.types import Bytes32

__all__ = ["BlockTree"]


class BlockTree:
    """The blocks from ``first`` on; keeps the root of every complete subtree."""

    def __init__(self, first: int) -> None:
        self.first = first
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def extend(self, block_hashes: Iterable[Bytes32]) -> None:
        """Append blocks, in order."""
        for block_hash in block_hashes:
            self._push(0, leaf_hash(block_hash))

    def prove(self, number: int, last: int) -> BlockProof:
        """Prove block ``number`` under the root of the blocks ``first`` to ``last``.

        Raises:
            ValueError: the blocks are not all there, or the block is not among them.
        """
        size = last - self.first + 1
        if not 0 < size <= len(self):
            raise ValueError(f"blocks {self.first} to {last} are asked for, {len(self)} are there")
        proof = [Bytes32(self._root(*subtree)) for subtree in inclusion_subtrees(number - self.first, size)]
        return BlockProof(self.first, last, Bytes32(self._root(0, size)), tuple(proof))

    def _push(self, level: int, value: bytes) -> None:
        while True:
            if level == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            row.append(value)
            if len(row) % 2:
                return
            level, value = level + 1, node_hash(row[-2], row[-1])

    def _root(self, first: int, end: int) -> bytes:
        *rest, root = [self._levels[level][index] for level, index in complete_subtrees(first, end)]
        for left in reversed(rest):
            root = node_hash(left, root)
        return root
