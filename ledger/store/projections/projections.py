"""Folding and rolling back, with the cursor in the same transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, exists, func, insert, select, update

from ledger.errors import ConflictError
from ledger.store.columns import to_moment
from ledger.store.database import Database
from ledger.store.projections.facts import facts_of
from ledger.store.projections.inserting import insert_rows
from ledger.store.queries.standing import read_cursor
from ledger.store.rows import BlockHeader, ChainEvent, CursorRow
from ledger.store.schema.chain import BLOCKS, CURSOR, EFFECTS, FACTS
from ledger.store.schema.gateway import SUBMISSIONS
from ledger.types import Bytes32

__all__ = ["REMEMBERED_BLOCKS", "Projections"]

REMEMBERED_BLOCKS: Final = 4096
"""How far back, by number, hashes of folded blocks are kept: a reorganisation deeper than that is a reindex."""


class Projections:
    """What the chain's events add up to.

    Every row is a fact of one event and carries its block, so rolling back is deleting, and the same chain always
    gives the same rows. Standing (status, state) is computed from the facts when it is read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def fold(self, block: BlockHeader, events: Sequence[ChainEvent]) -> None:
        """Fold a block's events, in order, and move the cursor to it. Blocks without events may be left out.

        Raises:
            ValueError: the block is not above the cursor, or an event is of another block.
            ConflictError: it follows the cursor's block by number but not by hash: roll back first (code
                ``reorganised``).
        """
        self.fold_many([(block, events)])

    def fold_many(self, blocks: Sequence[tuple[BlockHeader, Sequence[ChainEvent]]]) -> None:
        """Fold several blocks in one transaction, to catch up. Raises: as `fold`."""
        if not blocks:
            return
        rows: defaultdict[Table, list[dict[str, Any]]] = defaultdict(list)
        with self._database.write() as connection:
            cursor = read_cursor(connection)
            before = None if cursor is None else (cursor.block, cursor.hash)
            for block, events in blocks:
                _check_order(before, block, events)
                rows[BLOCKS].append({"number": block.number, "hash": block.hash, "time": to_moment(block.timestamp)})
                for event in events:
                    for table, row in facts_of(event):
                        rows[table].append(row)
                before = block.number, Bytes32(block.hash)
            for table, values in rows.items():
                insert_rows(connection, table, values)
            last = blocks[-1][0]
            _set_cursor(connection, last.number, Bytes32(last.hash), last.timestamp, fresh=cursor is None)
            connection.execute(delete(BLOCKS).where(BLOCKS.c.number <= last.number - REMEMBERED_BLOCKS))

    def rollback(self, to_block: int) -> None:
        """Undo every block above ``to_block``, one that is remembered (or 0: all of them).

        Raises:
            ConflictError: ``to_block`` is not remembered: reset, and fold the chain again (code ``block-forgotten``).
        """
        with self._database.write() as connection:
            if to_block <= 0:
                _drop(connection)
                return
            target = connection.execute(select(BLOCKS).where(BLOCKS.c.number == to_block)).one_or_none()
            if target is None:
                raise ConflictError(
                    f"the hash of block {to_block} is not kept: rebuild the projections from the chain (reindex)",
                    code="block-forgotten",
                )
            for table in FACTS:
                connection.execute(delete(table).where(table.c.block > to_block))
            connection.execute(delete(BLOCKS).where(BLOCKS.c.number > to_block))
            _set_cursor(connection, to_block, target.hash, int(target.time.timestamp()), fresh=False)
            lowered = update(CURSOR).where(CURSOR.c.final > to_block).values(final=to_block)
            connection.execute(lowered)

    def reset(self) -> None:
        """Drop all projections, to fold the chain again from its first block (reindex)."""
        with self._database.write() as connection:
            _drop(connection)

    def cursor(self) -> CursorRow | None:
        """How far the chain is folded; None before the first block."""
        with self._database.read() as connection:
            return read_cursor(connection)

    def set_final(self, block: int) -> tuple[Bytes32, ...]:
        """Record that blocks up to here are final. Never moves back; what is not folded yet counts once it is.

        The digests of those statements come back that waited for a transaction and that somebody else had relayed.
        """
        with self._database.write() as connection:
            connection.execute(update(CURSOR).where(CURSOR.c.final < block).values(final=block))
            # What somebody else relayed needs no submission; before it is final it may still be undone.
            in_force = exists().where(EFFECTS.c.digest == SUBMISSIONS.c.digest, EFFECTS.c.block <= block)
            digests = tuple(connection.scalars(select(SUBMISSIONS.c.digest).where(in_force)))
            if digests:
                connection.execute(delete(SUBMISSIONS).where(in_force))
            return digests

    def block_hash(self, number: int) -> Bytes32 | None:
        """Hash of a folded block, while it is remembered (the last 4,096)."""
        with self._database.read() as connection:
            return connection.scalar(select(BLOCKS.c.hash).where(BLOCKS.c.number == number))

    def folded_blocks(self) -> tuple[int, ...]:
        """Numbers of the remembered blocks, newest first: where a rollback may go to."""
        with self._database.read() as connection:
            return tuple(connection.scalars(select(BLOCKS.c.number).order_by(BLOCKS.c.number.desc())))

    def count_rows(self) -> int:
        """How many facts there are, for reports."""
        with self._database.read() as connection:
            return sum(connection.scalar(select(func.count()).select_from(table)) or 0 for table in FACTS)


def _check_order(before: tuple[int, Bytes32] | None, block: BlockHeader, events: Sequence[ChainEvent]) -> None:
    if before is not None:
        number, known_hash = before
        if block.number <= number:
            raise ValueError(f"block {block.number} is not above the last folded one, {number}")
        if block.number == number + 1 and block.parent_hash != known_hash:
            raise ConflictError(
                f"block {block.number} does not follow the folded block {number}: the chain was reorganised",
                code="reorganised",
                retry_after_s=1.0,
            )
    if any(event.block_number != block.number or event.block_hash != block.hash for event in events):
        raise ValueError(f"an event to be folded is not of block {block.number}")


def _set_cursor(connection: Connection, number: int, block_hash: Bytes32, timestamp: int, *, fresh: bool) -> None:
    values = {"block": number, "hash": block_hash, "time": to_moment(timestamp)}
    if fresh:
        connection.execute(insert(CURSOR).values(id=1, final=0, **values))
    else:
        connection.execute(update(CURSOR).values(**values))


def _drop(connection: Connection) -> None:
    for table in (*FACTS, BLOCKS, CURSOR):
        connection.execute(delete(table))
