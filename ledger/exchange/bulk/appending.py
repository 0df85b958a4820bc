"""Blocks of checked lines, appended to the log by its one writer, many blocks in a batch."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ledger.errors import FatalError, LedgerError
from ledger.exchange.bulk.admission import Admission
from ledger.exchange.bulk.answers import Appended
from ledger.exchange.bulk.batch import Block, Line
from ledger.exchange.log_writer import append_together
from ledger.exchange.parts import Parts
from ledger.exchange.turns import Turns
from ledger.store.rows import NewStatement
from ledger.types import Address, Bytes32

__all__ = ["BulkAppender"]

_PAUSE_S: Final = 0.002


class BulkAppender:
    """Implements ``ledger.exchange.log_writer.BulkWriter``: `write` is called by the log's writer alone."""

    def __init__(self, parts: Parts, turns: Turns, on_accepted: Callable[[], None]) -> None:
        self._parts = parts
        self._turns = turns
        self._on_accepted = on_accepted
        self._guard = threading.Lock()
        self._blocks: deque[Block] = deque()
        self._waiting_lines = 0
        self._since = 0.0
        self._last = 0.0
        self._streams = 1
        self._is_hurried = False
        self._failure: LedgerError | None = None

    def put(self, block: Block) -> None:
        """Let a block wait for its turn; its ``done`` tells what became of it."""
        with self._guard:
            if self._failure is None:
                self._last = time.monotonic()
                if not self._blocks:
                    self._since = self._last
                self._blocks.append(block)
                self._waiting_lines += len(block.lines)
                return
        block.done.set_exception(self._failure)

    def hurry(self) -> None:
        """A stream is at its end: what waits need not wait for company."""
        with self._guard:
            self._is_hurried = True

    def share(self, streams: int) -> None:
        """So many streams are open: a batch is due when half of what they may have on its way waits."""
        with self._guard:
            self._streams = max(1, streams)

    def due_in_s(self) -> float | None:
        """In how many seconds a batch is due; None when nothing waits.

        The larger it is, the less it costs: while more keeps coming it waits for company, but never so long that
        nothing is left to be checked meanwhile.
        """
        settings = self._parts.settings
        with self._guard:
            if not self._blocks:
                return None
            is_half = 2 * len(self._blocks) >= settings.bulk_window * self._streams
            if self._is_hurried or is_half or self._waiting_lines >= settings.bulk_batch_size:
                return 0.0
            due = min(self._last + settings.bulk_delay_s, self._since + settings.bulk_longest_s)
            return max(0.0, due - time.monotonic())

    def fail(self, error: LedgerError) -> None:
        """Tell whoever waits, and whoever comes later."""
        with self._guard:
            self._failure = error
            blocks = list(self._blocks)
            self._blocks.clear()
        for block in blocks:
            block.done.set_exception(error)

    def write(self) -> None:
        """Append one batch of what waits, as far as the rules let it; what must wait longer stays in front.

        Raises:
            LedgerError: as the log and the store; whoever waits for a block of the batch was told.
        """
        blocks = self._take()
        lines = [line for block in blocks for line in block.lines if line.answer is None]
        try:
            self._append(lines)
        except LedgerError as error:
            for block in blocks:
                block.done.set_exception(error)
            raise
        except BaseException as error:
            for block in blocks:
                block.done.set_exception(FatalError(f"the log's writer broke ({type(error).__name__})"))
            raise
        self._finish(blocks, lines)

    def _take(self) -> list[Block]:
        blocks: list[Block] = []
        count = 0
        with self._guard:
            while self._blocks and (not blocks or count < self._parts.settings.bulk_batch_size):
                block = self._blocks.popleft()
                blocks.append(block)
                count += len(block.lines)
            self._waiting_lines = sum(len(block.lines) for block in self._blocks)
            self._since = time.monotonic()
            self._is_hurried = self._is_hurried and bool(self._blocks)
        return blocks

    def _append(self, lines: Sequence[Line]) -> None:
        if self._parts.lost:
            self._bring_back(lines)
        admission = Admission(self._parts, self._turns, lines)
        try:
            admission.judge()
            if admission.admitted:
                self._write(admission)
        finally:
            admission.close()

    def _bring_back(self, lines: Sequence[Line]) -> None:
        """Texts that the database lost take their old places; they are answered as what is in the log already."""
        own = [(line.record.entry, line) for line in lines if line.record.entry[33:65] == line.block.asker.participant]
        size = self._parts.sequencer.size
        self._parts.lost.bring_back(self._parts.store, own, lambda placed: self._store(placed, size))

    def _write(self, admission: Admission) -> None:
        admitted = admission.admitted
        entries = [line.record.entry for line in admitted]
        batch = append_together(
            self._parts, entries, lambda first, size: self._store(list(enumerate(admitted, first)), size)
        )
        admission.settle(batch.first_index)
        appended = Appended(batch.note.decode(), batch.first_index, batch.count)
        last = {id(line.block.stream): line.block for line in admitted}
        for block in last.values():
            block.checkpoints.append(appended)
        self._on_accepted()

    def _store(self, placed: Sequence[tuple[int, Line]], size: int) -> None:
        store, log, now = self._parts.store, self._parts.log, self._parts.now()
        registrations = [
            (index, line.record, line.block.asker.api_key)
            for index, line in placed
            if line.record.registered is not None
        ]
        with store.transaction():
            store.bulk.append(log, registrations, size, now)
            others = [(index, self._describe(line)) for index, line in placed if line.record.registered is None]
            if others:
                store.statements.accept_at(log, others, size)
            for digest in store.bulk.find_drafts([line.digest for _, line in placed]):
                store.drafts.bind(Bytes32(digest))

    def _describe(self, line: Line) -> NewStatement:
        return NewStatement(
            digest=Bytes32(line.digest),
            statement=line.parse(),
            signature=line.record.signature,
            signer=Address(line.record.signer),
            received_at=self._parts.now(),
            executable=False,
            api_key=line.block.asker.api_key,
        )

    def _finish(self, blocks: Sequence[Block], lines: Sequence[Line]) -> None:
        unfinished = [block for block in blocks if any(line.answer is None for line in block.lines)]
        for block in blocks:
            if block not in unfinished:
                block.finish()
        if not unfinished:
            return
        with self._guard:
            self._blocks.extendleft(reversed(unfinished))
            self._waiting_lines += sum(len(block.lines) for block in unfinished)
            self._is_hurried = True
        if all(line.answer is None for line in lines):
            time.sleep(_PAUSE_S)  # all wait for a statement that came alone and is about to come here
