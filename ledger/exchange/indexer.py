"""The indexer: reads blocks in order and folds their events into the store, back and forth with the chain."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from typing import Final, Protocol

from ledger.chain import Block, ChainEdge, Deployment, decode_events
from ledger.errors import ConflictError, FatalError, UnavailableError
from ledger.exchange.tracing import traces
from ledger.store import Store
from ledger.types import Bytes32

__all__ = ["IndexedParts", "Indexer"]

_BLOCKS_AT_ONCE: Final = 100
_SPANS_AT_ONCE: Final = 16
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
        if cursor is not None and not self._has(cursor.block, cursor.hash):
            self._roll_back()
            return True
        first = 0 if cursor is None else cursor.block + 1
        try:
            is_any = self._fold_up_to(head, first=first)
        except ConflictError as error:
            if error.code != "reorganised":
                raise
            self._roll_back()
            return True
        if not is_any and first <= head:  # whoever starts with less than there is may sign what was signed otherwise
            raise UnavailableError(
                f"the node says that its newest block is {head}, and does not answer block {first}", retry_after_s=0.5
            )
        self._set_final()
        return is_any

    def _set_final(self) -> None:
        """What enough folded blocks stand upon is final: how long a node says that its chain is does not count."""
        projections = self._parts.store.projections
        cursor = projections.cursor()
        if cursor is None:
            return
        final = max(0, cursor.block - self._parts.edge.settings.finality_blocks)
        known = projections.block_hash(final) if final > cursor.final else None
        if known is None or self._has(final, known):  # its hash is kept, unless it is very deep
            relayed = projections.set_final(final)
            if relayed:
                self._tell(relayed)

    def _tell(self, relayed: Sequence[Bytes32]) -> None:
        """Log of statements that somebody else relayed that they are in force; of our own the submitter does."""
        for digest, effect in self._parts.store.chain.find_effects(relayed).items():
            traces.in_force(str(digest), block=effect.block, transaction=str(effect.transaction))

    def _fold_up_to(self, head: int, *, first: int) -> bool:
        """Fold what there is from ``first`` on, a good deal at most; whether there was any.

        Far behind, the next blocks are read while the last are folded: the node works meanwhile.
        """
        last = min(head, first + _SPANS_AT_ONCE * _BLOCKS_AT_ONCE - 1)  # the head is what a node says
        spans = [(start, min(last, start + _BLOCKS_AT_ONCE - 1)) for start in range(first, last + 1, _BLOCKS_AT_ONCE)]
        if len(spans) == 1:
            return self._fold(self._read(*spans[0]), first=first) > 0
        found = 0
        with ThreadPoolExecutor(1, thread_name_prefix="concord-index") as reader:
            ahead: Future[list[Block]] | None = None
            for span, following in zip_longest(spans, spans[1:]):
                blocks = self._read(*span) if ahead is None else ahead.result()
                is_whole = len(blocks) > span[1] - span[0]
                ahead = reader.submit(self._read, *following) if is_whole and following is not None else None
                found += self._fold(blocks, first=span[0])
                if not is_whole:  # the chain went back: nothing beyond follows them
                    break
        return found > 0

    def _read(self, first: int, last: int) -> list[Block]:
        return self._parts.edge.blocks(first, last, whole=False)

    def _fold(self, blocks: Sequence[Block], *, first: int) -> int:
        """Fold blocks from ``first`` on, of which none may be missing: its events would be lost."""
        if [block.number for block in blocks] != list(range(first, first + len(blocks))):
            raise UnavailableError(f"the node left out blocks after block {first - 1}", retry_after_s=1.0)
        contracts = self._parts.deployment.contracts
        self._parts.store.projections.fold_many([(block, decode_events(block, contracts)) for block in blocks])
        return len(blocks)

    def _has(self, number: int, block_hash: Bytes32) -> bool:
        """Whether the chain has this block there now."""
        header = self._parts.edge.header(number)
        return header is not None and header.hash == block_hash

    def _roll_back(self) -> None:
        """Undo blocks that the chain no longer has."""
        self._check_genesis()
        projections = self._parts.store.projections
        cursor, head = projections.cursor(), self._parts.edge.head().number
        final = 0 if cursor is None else cursor.final
        remembered = projections.folded_blocks()
        for number in (each for each in remembered if each <= head):
            header = self._parts.edge.header(number)
            if header is not None and header.hash == projections.block_hash(number):
                _check_final(number, final, head)
                _logger.warning("the chain went back: undoing the blocks above %d", number)
                projections.rollback(number)
                return
        _check_final(head if remembered and head < remembered[-1] else 0, final, head)
        projections.reset()

    def _check_genesis(self) -> None:
        """Nothing is undone because another chain answers for a while: it may be the right one again."""
        first = self._parts.edge.header(0)
        if first is None or first.hash != self._parts.deployment.genesis_hash:
            raise ConflictError(
                "the node runs another chain than this consortium's: correct its URL; statements wait meanwhile",
                code="wrong-chain",
                retry_after_s=1.0,
            )


def _check_final(common: int, final: int, head: int) -> None:
    """Check that no final block is lost where node and index have block ``common`` in common, and none after it."""
    if common >= final:
        return
    if head <= common:
        raise UnavailableError(
            f"the node is behind, at block {head}, and block {final} was final: it has to catch up first",
            retry_after_s=1.0,
        )
    raise FatalError(f"the chain dropped block {final}, which was final: compare the node with others")
