"""Folding and rolling back, with the cursor in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.store.rows import BlockHeader, ChainEvent, CursorRow
from ledger.types import Bytes32

__all__ = ["Projections"]


class Projections:
    """What the chain's events add up to.

    Every row is a fact of one event and carries its block, so rolling back is deleting, and the same chain always
    gives the same rows. Standing (status, state) is computed from the facts when it is read.
    """

    def fold(self, block: BlockHeader, events: Sequence[ChainEvent]) -> None:
        """Fold a block's events, in order, and move the cursor to it. Blocks without events may be left out.

        Raises:
            ValueError: the block is not above the cursor, or an event is of another block.
            ConflictError: it follows the cursor's block by number but not by hash: roll back first (code
                ``reorganised``).
        """
        raise NotImplementedError

    def fold_many(self, blocks: Sequence[tuple[BlockHeader, Sequence[ChainEvent]]]) -> None:
        """Fold several blocks in one transaction, to catch up. Raises: as `fold`."""
        raise NotImplementedError

    def rollback(self, to_block: int) -> None:
        """Undo every block above ``to_block``, one that was folded (or 0: before the first)."""
        raise NotImplementedError

    def reset(self) -> None:
        """Drop all projections, to fold the chain again from its first block (reindex)."""
        raise NotImplementedError

    def cursor(self) -> CursorRow | None:
        """How far the chain is folded; None before the first block."""
        raise NotImplementedError

    def set_final(self, block: int) -> None:
        """Blocks up to here are final. Never moves back; above the cursor it counts as the cursor's block."""
        raise NotImplementedError

    def block_hash(self, number: int) -> Bytes32 | None:
        """Hash of a folded block, while it is remembered (the last 4,096 that were folded)."""
        raise NotImplementedError

    def folded_blocks(self) -> tuple[int, ...]:
        """Numbers of the remembered blocks, newest first: where a rollback may go to."""
        raise NotImplementedError
