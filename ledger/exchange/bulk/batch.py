"""Lines on their way into the log, and what became of them."""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import dataclass, field

from ledger.checking import Checked, Record, Rejected
from ledger.errors import LedgerError
from ledger.exchange.asker import Asker
from ledger.exchange.bulk.answers import Answers, Appended, LineAnswer, Refused, Taken, error_of
from ledger.statements import Statement

__all__ = ["Block", "Line"]


@dataclass(slots=True, eq=False)
class Line:
    """One checked statement of a block: answered once, with its place in the log or with an error."""

    block: Block
    number: int
    record: Checked
    digest: bytes
    answer: LineAnswer | None = None
    is_retried: bool = False

    def take(self, index: int, *, repeated: bool = False) -> None:
        """It stands at ``index``."""
        self.answer = Taken(self.number, self.digest, index, repeated)

    def repeat(self, first: LineAnswer) -> None:
        """It stands in the batch twice: what became of the first became of it."""
        if isinstance(first, Taken):
            self.take(first.index, repeated=True)
        else:
            self.refuse(first.error)

    def parse(self) -> Statement:
        """The statement itself."""
        return Statement.parse(self.record.type, json.loads(self.record.message))

    def refuse(self, error: LedgerError) -> None:
        """It does not enter the log."""
        self.answer = Refused(self.number, self.digest, error)


@dataclass(slots=True, eq=False)
class Block:
    """Checked lines of one stream, numbered from ``first_line``."""

    stream: object
    asker: Asker
    first_line: int
    records: list[Record]
    done: Future[Answers] = field(default_factory=Future)
    lines: list[Line] = field(default_factory=list)
    checkpoints: list[Appended] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.done.set_running_or_notify_cancel()  # whoever waits may go, the block stays
        self.lines = [
            Line(self, self.first_line + place, record, record.entry[1:33])
            for place, record in enumerate(self.records)
            if isinstance(record, Checked)
        ]

    def finish(self) -> None:
        """Tell whoever waits for the block."""
        answers: list[LineAnswer] = []
        lines = iter(self.lines)
        for place, record in enumerate(self.records):
            if isinstance(record, Rejected):
                answers.append(Refused(self.first_line + place, record.digest, error_of(record)))
            elif record is not None:
                answer = next(lines).answer
                if answer is None:
                    raise RuntimeError("a line was not answered")
                answers.append(answer)
        # Lines know their block: without this only the collector would free them, megabytes later.
        self.lines, self.records = [], []
        self.done.set_result(Answers(answers, self.checkpoints))
