"""The rules for many statements at once: what the single path asks of each, asked together.

What is said in a batch counts for the lines after it: a registration may be derived from one before it, and of two that
claim the same version the first one gets it. Types whose rules look at what others have said are checked against what
the log holds: a line that is refused is asked once more when the lines before it are in, and of two about the same
agreement, request or report the second waits for the first.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import ConflictError, LedgerError, NotFoundError, RefusedError
from ledger.exchange.bulk.batch import Line
from ledger.exchange.bulk.memory import RememberingDirectory
from ledger.exchange.bulk.registrations import VersionBook
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.intake import check_deadline, claim_names
from ledger.exchange.parts import Parts
from ledger.exchange.rules import check_route, check_rules, contended_by
from ledger.exchange.signatures import check_signing_key, check_status
from ledger.exchange.turns import Turns
from ledger.types import Address, Bytes32

__all__ = ["Admission"]


class Admission:
    """One round: which lines may enter the log now, which are answered already, which wait for the next round."""

    def __init__(self, parts: Parts, turns: Turns, lines: Sequence[Line]) -> None:
        """Look up what all lines need. Raises: UnavailableError, FatalError."""
        self._parts = parts
        self._turns = turns
        self._lines = lines
        self._now_s = int(parts.clock())
        self._directory = RememberingDirectory(parts.store, parts.now)
        self._standing: dict[tuple[bytes, bytes, str], LedgerError | None] = {}
        # In a writing transaction, because the connection that writes keeps the pages that the batch will change.
        with parts.store.transaction():
            self._book = VersionBook(parts.store, [line.record for line in lines])
            others = [line.digest for line in lines if line.record.registered is None]
            self._known = self._book.places | parts.store.bulk.find_places(others)
            fresh = [line.digest for line in lines if line.digest not in self._known]
            self._drafts = parts.store.bulk.find_drafts(fresh)
        self._first: dict[bytes, Line] = {}
        self._held: set[Bytes32] = set()
        self.admitted: list[Line] = []
        self._twins: list[tuple[Line, Line]] = []

    def judge(self) -> None:
        """Answer what is refused or repeated, and fill ``admitted``. What is left unanswered besides waits."""
        known, first = self._known, self._first
        for line in self._lines:
            digest = line.digest
            if line.record.participant != line.block.asker.participant:
                line.refuse(ForbiddenError("this key is another participant's", code="not-yours"))
            elif digest in known:
                self._repeat(line)
            elif digest in first:
                self._twins.append((line, first[digest]))
            else:
                first[digest] = line
                self._admit(line)

    def settle(self, first_index: int) -> None:
        """Answer those that were admitted: they stand in the log from ``first_index`` on."""
        for index, line in enumerate(self.admitted, first_index):
            line.take(index)

    def close(self) -> None:
        """Answer what stood in the batch twice as its first occurrence was, and end the turns."""
        for line, first in self._twins:
            if first.answer is not None:
                line.repeat(first.answer)
        for key in self._held:
            self._turns.let_go(key)
        self._held.clear()

    def _repeat(self, line: Line) -> None:
        """That it is known excuses nobody from signing: with what was kept, or with a key that is active now."""
        index, signature = self._known[line.digest]
        error = None if signature == line.record.signature else self._find_standing_error(line)
        if error is None:
            line.take(index, repeated=True)
        else:
            line.refuse(error)

    def _admit(self, line: Line) -> None:
        try:
            check_route(line.record.type)
            check_deadline(line.record.deadline, self._now_s)
            error = self._find_standing_error(line)
            if error is not None:
                raise error
            if line.record.registered is not None:
                self._book.enter(line.record, line.record.registered)
            elif not self._check_rules(line):
                return
            if line.digest in self._drafts:
                claim_names(self._parts, line.parse(), Bytes32(line.digest))
        except LedgerError as error:
            line.refuse(error)
        else:
            self.admitted.append(line)

    def _check_rules(self, line: Line) -> bool:
        """Whether it may enter in this round; False: it waits. Raises: LedgerError: it may not."""
        statement = line.parse()
        key = contended_by(statement)
        if key is not None and (key in self._held or not self._turns.hold_if_free(key)):
            return False
        if key is not None:
            self._held.add(key)
        try:
            check_rules(self._directory, statement, self._now_s)
        except (NotFoundError, RefusedError, ConflictError):
            if line.is_retried or not self.admitted:
                raise
            line.is_retried = True
            return False
        return True

    def _find_standing_error(self, line: Line) -> LedgerError | None:
        record = line.record
        key = record.participant, record.signer, record.type
        if key not in self._standing:
            try:
                check_status(self._directory, record.type, Bytes32(record.participant))
                check_signing_key(self._directory, Bytes32(record.participant), Address(record.signer))
            except RefusedError as error:
                self._standing[key] = error
            else:
                self._standing[key] = None
        return self._standing[key]
