"""The indexer: reads blocks in order and folds their events into the store, back and forth with the chain."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from ledger.chain import ChainEdge, Deployment, decode_events
from ledger.errors import ConflictError, FatalError
from ledger.store import Store
from ledger.store.rows import CursorRow

__all__ = ["IndexedParts", "Indexer"]

_BLOCKS_AT_ONCE: Final = 100
_logger = logging.getLogger(__name__)


class IndexedParts(Protocol):
    """What the indexer needs of a gateway, which need not run."""

    @property
    def edge(self) -> ChainEdge:
        """The chain."""
        ...

    @property
    def store(self) -> Store:
        """The database."""
        ...

    @property
    def deployment(self) -> Deployment:
        """The contracts."""
        ...


class Indexer:
    """Keeps the projections at the chain's head; `step` is called by one thread at a time."""

    def __init__(self, parts: IndexedParts) -> None:
        self._parts = parts

    def catch_up(self) -> None:
        """Fold all there is. Raises: UnavailableError, FatalError."""
        while self.step():
            pass

    def step(self) -> bool:
        """Fold the next blocks; whether there were any."""
        parts = self._parts
        cursor = parts.store.projections.cursor()
        head = parts.edge.head().number
        if cursor is not None and not self._is_canonical(cursor):
            self._roll_back()
            return True
        first = 0 if cursor is None else cursor.block + 1
        blocks = parts.edge.blocks(first, min(head, first + _BLOCKS_AT_ONCE - 1)) if first <= head else []
        if blocks:
            contracts = parts.deployment.contracts
            try:
                parts.store.projections.fold_many([(block, decode_events(block, contracts)) for block in blocks])
            except ConflictError as error:
                if error.code != "reorganised":
                    raise
                self._roll_back()
                return True
        parts.store.projections.set_final(parts.edge.final_head().number)
        return bool(blocks)

    def _is_canonical(self, cursor: CursorRow) -> bool:
        header = self._parts.edge.header(cursor.block)
        return header is not None and header.hash == cursor.hash

    def _roll_back(self) -> None:
        """Undo blocks that the chain no longer has."""
        projections = self._parts.store.projections
        cursor = projections.cursor()
        for number in projections.folded_blocks():
            header = self._parts.edge.header(number)
            if header is not None and header.hash == projections.block_hash(number):
                if cursor is not None and number < cursor.final:
                    raise FatalError(
                        f"the chain dropped block {cursor.final}, which was final: compare the node with others"
                    )
                _logger.warning("the chain went back: undoing the blocks above %d", number)
                projections.rollback(number)
                return
        projections.reset()
