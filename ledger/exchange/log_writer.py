"""The one writer of the log: groups what is waiting into batches, durable before anybody is told.

A statement is staged in the store before its entry enters the log, and gets its index after. A crash between the two
leaves an entry whose statement is staged: `LogWriter.recover` joins them again. What never entered the log was never
acknowledged, and is forgotten.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from ledger.errors import FatalError, LedgerError, UnavailableError
from ledger.exchange.parts import Parts
from ledger.statements import Entry
from ledger.store.rows import NewStatement, StatementRow
from ledger.types import Bytes32

__all__ = ["LogWriter"]

_RETRY_AFTER_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Waiting:
    statement: NewStatement
    done: Future[None] = field(default_factory=Future)


class LogWriter:
    """Takes statements from many threads and appends them in batches from one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiting: deque[_Waiting] = deque()
        self._turn = threading.Condition()
        self._has_gap = False
        self._stopped: str | None = None

    @property
    def depth(self) -> int:
        """How many statements wait."""
        return len(self._waiting)

    def append(self, statement: NewStatement) -> None:
        """Bring a checked statement into the log; returns when it is durable and has its index.

        Raises:
            UnavailableError: too much is in flight, or disk or database failed; nothing was acknowledged.
            FatalError: the log stopped.
        """
        item = _Waiting(statement)
        with self._turn:
            if self._stopped is not None:
                raise FatalError(self._stopped)
            if len(self._waiting) >= self._parts.settings.most_in_flight:
                raise UnavailableError(
                    "too many statements are in flight: come back soon", retry_after_s=_RETRY_AFTER_S
                )
            self._waiting.append(item)
            self._turn.notify()
        try:
            item.done.result(timeout=_LONGEST_WAIT_S)
        except TimeoutError as error:
            raise UnavailableError(
                "the log did not take the statement in time: ask for its outcome, or send it again",
                retry_after_s=_RETRY_AFTER_S,
            ) from error

    def recover(self) -> None:
        """Join entries that a crash left without their statement's row, and forget what never entered the log."""
        self._join_gap()
        forgotten = [row.digest for row in self._parts.store.statements.list_staged()]
        if forgotten:
            _logger.warning("forgetting %d statements that were never acknowledged", len(forgotten))
            self._parts.store.statements.discard_staged(forgotten)

    def step(self) -> bool:
        """Append one batch; whether there was any.

        Raises:
            FatalError: the log stopped: whoever waits, or comes later, is told so at once.
            UnavailableError: disk or database failed; the next batch may succeed.
        """
        batch = self._take()
        if not batch:
            return False
        try:
            self._append(batch)
        except LedgerError as error:
            self._has_gap = True
            for item in batch:
                item.done.set_exception(error)
            if isinstance(error, FatalError):
                self._stop(str(error))
            raise
        except BaseException as error:
            reason = f"the log's writer broke ({type(error).__name__}): look at the gateway's log and restart it"
            for item in batch:
                item.done.set_exception(FatalError(reason))
            self._stop(reason)
            raise
        for item in batch:
            item.done.set_result(None)
        return True

    def fail_waiting(self) -> None:
        """Tell everybody who still waits that the gateway closes."""
        with self._turn:
            while self._waiting:
                self._waiting.popleft().done.set_exception(
                    UnavailableError("the gateway is closing: send the statement again", retry_after_s=_RETRY_AFTER_S)
                )

    def _stop(self, reason: str) -> None:
        with self._turn:
            self._stopped = reason
            while self._waiting:
                self._waiting.popleft().done.set_exception(FatalError(reason))

    def _take(self) -> list[_Waiting]:
        settings = self._parts.settings
        with self._turn:
            if not self._waiting and not self._turn.wait(settings.poll_s):
                return []
        time.sleep(settings.batch_delay_s if len(self._waiting) < settings.batch_size else 0)
        with self._turn:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), settings.batch_size))]

    def _append(self, batch: list[_Waiting]) -> None:
        store, sequencer = self._parts.store, self._parts.sequencer
        statements = {item.statement.digest: item.statement for item in batch}
        with store.transaction():
            store.statements.stage(list(statements.values()))
            for digest in statements:
                store.drafts.bind(digest)
        rows = store.statements.find_many(list(statements))
        fresh = [row for row in rows.values() if row.log_index is None]
        if not fresh:
            return
        appended = sequencer.append([_entry_of(row).to_bytes() for row in fresh])
        if self._has_gap:
            self._join_gap(before=appended.first_index)
            self._has_gap = False
        indices = {row.digest: appended.first_index + place for place, row in enumerate(fresh)}
        store.statements.accept_staged(self._parts.log, indices, appended.checkpoint.size)

    def _join_gap(self, before: int | None = None) -> None:
        """Give indices to staged statements whose entries stand at the log's end (up to ``before``)."""
        store, log = self._parts.store, self._parts.log
        end = self._parts.sequencer.size if before is None else before
        first = end
        while first > 0 and store.statements.find_by_index(log, first - 1) is None:
            first -= 1
        staged = {row.digest for row in store.statements.list_staged()}
        found: dict[Bytes32, int] = {}
        for place, raw in enumerate(self._parts.sequencer.reader.entries(first, end - first)):
            digest = Entry.parse(raw).digest
            if digest in staged:
                found.setdefault(digest, first + place)
            elif digest not in found:
                _logger.error("entry %d of the log has no statement here: restore the database", first + place)
        if found:
            store.statements.accept_staged(log, found, self._parts.sequencer.size)


def _entry_of(row: StatementRow) -> Entry:
    return Entry.of(row.digest, row.participant, row.signature)
