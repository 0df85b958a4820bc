"""The one writer of the log: groups what is waiting into batches, durable before anybody is told.

Statements and the checkpoint that covers them are stored in one transaction, after their entries are on the disk: a
crash leaves both or neither, and what it leaves beyond the last checkpoint the log discards. Statements that come one
by one and those that come in bulk take turns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from ledger.errors import FatalError, LedgerError, RefusedError, UnavailableError
from ledger.exchange.parts import Parts
from ledger.log import Batch, Checkpoint
from ledger.statements import Entry, Statement, compute_dataset_id
from ledger.store.rows import NewStatement
from ledger.types import Bytes32

__all__ = ["BulkWriter", "LogWriter", "append_together"]

_RETRY_AFTER_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_MOST_NAMED: Final = 5
_logger = logging.getLogger(__name__)


class BulkWriter(Protocol):
    """What comes in bulk, as the log's writer sees it."""

    def due_in_s(self) -> float | None:
        """In how many seconds a batch is due; None when nothing waits."""
        ...

    def write(self) -> None:
        """Append what waits, at most one batch; whoever waits is told, of an error as well. Raises: LedgerError."""
        ...

    def fail(self, error: LedgerError) -> None:
        """Tell whoever waits that nothing is taken any more."""
        ...


def append_together(parts: Parts, entries: Sequence[bytes], store: Callable[[int, int], None]) -> Batch:
    """Append entries; ``store`` is given their first index and the checkpoint's size, in the transaction that commits.

    Raises:
        ConflictError: the log takes no more entries (``loss-accepted``).
        Others as `Sequencer.append`, and what ``store`` raises: nothing is in the log then.
    """
    parts.check_log_goes_on()

    def commit(checkpoint: Checkpoint) -> None:
        store(checkpoint.size - len(entries), checkpoint.size)

    with parts.store.checkpoints.together(commit):
        return parts.sequencer.append(entries)


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
        self._stopped: str | None = None
        self._bulk: BulkWriter | None = None

    @property
    def depth(self) -> int:
        """How many statements wait."""
        return len(self._waiting)

    def attach(self, bulk: BulkWriter) -> None:
        """Let ``bulk`` take turns with what comes one by one."""
        self._bulk = bulk

    def wake(self) -> None:
        """Say that something waits in bulk."""
        with self._turn:
            if self._stopped is not None and self._bulk is not None:
                self._bulk.fail(FatalError(self._stopped))
            self._turn.notify()

    def append(self, statement: NewStatement) -> None:
        """Bring a checked statement into the log; returns when it is durable and has its index.

        Raises:
            ConflictError: the log takes no more entries (``loss-accepted``).
            UnavailableError: too much is in flight, or disk or database failed; nothing was acknowledged.
            FatalError: the log stopped.
        """
        self._parts.check_log_goes_on()
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
        """Join entries that a crash of version 0.1.0 left without their statement's row; forget what never entered.

        What has no text here is known from then on: it takes its place when it comes again.
        """
        store, log, lost = self._parts.store, self._parts.log, self._parts.lost
        lost.find(store, self._parts.sequencer, log)
        staged = store.statements.list_staged()
        if staged:
            size = self._parts.sequencer.size
            entries = [(Entry.of(row.digest, row.participant, row.signature).to_bytes(), row.digest) for row in staged]
            lost.bring_back(
                store,
                entries,
                lambda found: store.statements.accept_staged(log, {each: at for at, each in found}, size),
            )
        forgotten = [row.digest for row in store.statements.list_staged()]
        if forgotten:
            _logger.warning("forgetting %d statements that were never acknowledged", len(forgotten))
            store.statements.discard_staged(forgotten)
        if lost:
            _logger.error(
                "%d entries of the log have no statement here (the first: %s): their signers send them again, "
                "or restore the database",
                len(lost),
                ", ".join(map(str, lost.first_indexes(_MOST_NAMED))),
            )

    def step(self) -> bool:
        """Append one batch of each kind; whether there was any.

        Raises:
            ConflictError: the log takes no more entries (``loss-accepted``); readiness tells it.
            FatalError: the log stopped: whoever waits, or comes later, is told so at once.
            UnavailableError: disk or database failed; the next batch may succeed.
        """
        self._guard(self._parts.check_log_goes_on, [])
        batch = self._take()
        if batch:
            self._guard(lambda: self._append(batch), batch)
            for item in batch:
                if not item.done.done():
                    item.done.set_result(None)
        else:
            self._guard(self._settle, [])
        if self._bulk is None or self._bulk_due_in_s() != 0:
            return bool(batch)
        self._guard(self._bulk.write, [])
        return True

    def _guard(self, act: Callable[[], None], batch: Sequence[_Waiting]) -> None:
        try:
            act()
        except LedgerError as error:
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
            if isinstance(error, Exception):
                _logger.exception("the log's writer broke")
                raise FatalError(reason) from error
            raise

    def fail_waiting(self) -> None:
        """Tell everybody who still waits that the gateway closes."""
        closing = UnavailableError("the gateway is closing: send the statement again", retry_after_s=_RETRY_AFTER_S)
        with self._turn:
            while self._waiting:
                self._waiting.popleft().done.set_exception(closing)
        if self._bulk is not None:
            self._bulk.fail(closing)

    def _stop(self, reason: str) -> None:
        with self._turn:
            self._stopped = reason
            while self._waiting:
                self._waiting.popleft().done.set_exception(FatalError(reason))
        if self._bulk is not None:
            self._bulk.fail(FatalError(reason))

    def _take(self) -> list[_Waiting]:
        settings = self._parts.settings
        with self._turn:
            if not self._waiting:
                due_in_s = self._bulk_due_in_s()
                if due_in_s != 0:
                    self._turn.wait(settings.poll_s if due_in_s is None else due_in_s)
            if not self._waiting:
                return []
        if len(self._waiting) < settings.batch_size and self._bulk_due_in_s() != 0:
            time.sleep(settings.batch_delay_s)
        with self._turn:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), settings.batch_size))]

    def _bulk_due_in_s(self) -> float | None:
        return None if self._bulk is None else self._bulk.due_in_s()

    def _settle(self) -> None:
        """What a commit without an answer left open is found out though nothing else comes."""
        if self._parts.sequencer.settle():
            _logger.warning("the log's last batch was committed after all: its statements are in the log")

    def _append(self, batch: list[_Waiting]) -> None:
        self._settle()  # before it is asked what is in the log
        store, log = self._parts.store, self._parts.log
        statements = {item.statement.digest: item.statement for item in batch}
        known = store.bulk.find_places(list(statements))
        fresh = [each for digest, each in statements.items() if digest not in known]
        taken = self._find_taken(fresh)
        for item in batch:
            if item.statement.digest in taken:
                item.done.set_exception(taken[item.statement.digest])
        fresh = [each for each in fresh if each.digest not in taken]
        if not fresh:
            return

        def commit(first_index: int, size: int) -> None:
            store.statements.accept(log, fresh, first_index, size)
            for each in fresh:
                store.drafts.bind(each.digest)

        append_together(self._parts, [_entry_of(each).to_bytes() for each in fresh], commit)

    def _find_taken(self, statements: Sequence[NewStatement]) -> dict[bytes, LedgerError]:
        """Registrations whose version this log holds with another root: said in bulk, where no contract sees it."""
        claims: dict[tuple[bytes, int], NewStatement] = {}
        for each in statements:
            if each.statement.type.name == "DatasetRegistration":
                claims[_version_of(each.statement)] = each
        said = self._parts.store.bulk.find_versions(claims, alone=True) if claims else {}
        return {claims[version].digest: _version_taken(version, digest) for version, digest in said.items()}


def _version_of(statement: Statement) -> tuple[bytes, int]:
    """Dataset and version of a registration."""
    salt, version = statement.message["datasetSalt"], statement.message["version"]
    return compute_dataset_id(statement.participant, cast("Bytes32", salt)), cast("int", version)


def _version_taken(version: tuple[bytes, int], digest: bytes) -> RefusedError:
    dataset, number = version
    return RefusedError(
        f"this gateway's log holds version {number} of the dataset with another root: register the next one",
        code="dataset-registry-version-taken",
        facts={"dataset": "0x" + dataset.hex(), "version": str(number), "registered": "0x" + digest.hex()},
    )


def _entry_of(statement: NewStatement) -> Entry:
    return Entry.of(statement.digest, statement.statement.participant, statement.signature)
