"""What the service answers to a bulk transfer, line by line, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from ledger.canonical import JsonValue
from ledger.client.bulk_source import Feed
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.log.checkpoint import Checkpoint, verify_checkpoint
from ledger.log.note import SignedNote, VerifierKey
from ledger.types import Bytes32

__all__ = ["Accepted", "Answer", "BulkAnswers", "Checkpointed", "Done", "Refused", "Restarted"]

_LONGEST_ANSWER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Accepted:
    """The statement of a line is durably in the log at ``index``; ``repeated``: it was before."""

    line: int
    digest: Bytes32
    index: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is not in the log: why (problem+json, RFC 9457), and its text."""

    line: int
    digest: Bytes32 | None
    problem: Mapping[str, JsonValue]
    text: bytes


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The signed checkpoint that covers the entries from ``first_index`` on."""

    note: str
    first_index: int
    count: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """The transfer was cut off and begins again after ``pause_s``: every line is answered anew."""

    reason: str
    pause_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """Every line was answered; as the service counts."""

    lines: int
    accepted: int
    repeated: int
    refused: int


Answer = Accepted | Refused | Checkpointed | Restarted | Done


class BulkAnswers:
    """Reads one answer's bytes as they arrive."""

    def __init__(self, feed: Feed, log_keys: Sequence[VerifierKey]) -> None:
        self._feed = feed
        self._log_keys = log_keys
        self._unfinished = b""
        self._newest = -1
        self._covered = 0
        self.last_line = 0
        """The highest line answered so far."""
        self.is_done = False
        self.failure: UnavailableError | None = None
        """Why the service ended before every line was answered."""

    def read(self, piece: bytes) -> list[Answer]:
        """The answers that ``piece`` completes; ``failure`` says why no more will come.

        Raises:
            MalformedError: what arrived is no answer to what was sent.
            VerificationError: as ``bulk.send``.
        """
        if not piece:
            self.failure = UnavailableError("the service's answer was cut off before its end")
            return []
        lines = (self._unfinished + piece).split(b"\n")
        self._unfinished = lines.pop()
        if len(self._unfinished) > _LONGEST_ANSWER_BYTES:
            raise MalformedError("the service answered a line that does not end: is CONCORD_URL right?")
        answers: list[Answer] = []
        try:
            answers.extend(self._parse(line) for line in lines if line)
        except UnavailableError as error:
            self.failure = error
        return answers

    def _parse(self, line: bytes) -> Answer:
        try:
            return self._read_object(from_json(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MalformedError(f"the service answered a line that is none: {line[:80]!r}") from error

    def _read_object(self, answer: Mapping[str, Any]) -> Answer:
        if "index" in answer:
            return self._accept(answer)
        if "line" in answer:
            return self._refuse(answer)
        if "checkpoint" in answer:
            return self._cover(answer)
        if "problem" in answer:
            problem = answer["problem"]
            reason = str(problem.get("detail") or problem.get("title"))
            raise UnavailableError(reason, retry_after_s=_seconds(answer.get("retry_after_s")))
        return self._end(answer)

    def _accept(self, answer: Mapping[str, Any]) -> Accepted:
        line, index, repeated = int(answer["line"]), int(answer["index"]), bool(answer.get("repeated", False))
        self._take(line)
        if not repeated:
            self._newest = max(self._newest, index)
        return Accepted(line, Bytes32.parse(answer["digest"]), index, repeated)

    def _refuse(self, answer: Mapping[str, Any]) -> Refused:
        line, digest = int(answer["line"]), answer.get("digest")
        text = self._take(line)
        return Refused(line, None if digest is None else Bytes32.parse(digest), dict(answer["problem"]), text)

    def _take(self, line: int) -> bytes:
        text = self._feed.answered(line)
        if text is None:
            raise MalformedError(f"the service answered line {line}, which was not sent or has its answer already")
        self.last_line = max(self.last_line, line)
        return text

    def _cover(self, answer: Mapping[str, Any]) -> Checkpointed:
        found = Checkpointed(str(answer["checkpoint"]), int(answer["first_index"]), int(answer["count"]))
        if self._log_keys:
            checkpoint = _verify(found.note, self._log_keys)
            needed = found.first_index + found.count
            if checkpoint.size < needed:
                raise VerificationError(
                    f"a checkpoint of {checkpoint.size} entries does not cover entry {needed - 1}, as the service says",
                    expected=needed,
                    found=checkpoint.size,
                )
            self._covered = max(self._covered, needed)
        return found

    def _end(self, answer: Mapping[str, Any]) -> Done:
        numbers = (int(answer[name]) for name in ("lines", "accepted", "repeated", "refused"))
        done = Done(*numbers)
        if not answer["done"] or done.lines != self._feed.lines or self._feed.owed:
            raise UnavailableError(
                f"the service answered {done.lines} lines of {self._feed.lines} and left {self._feed.owed} open"
            )
        if self._log_keys and self._newest >= self._covered:
            raise VerificationError(
                f"entry {self._newest} was accepted and no signed checkpoint covers it: keep the service's answer",
                expected=self._newest + 1,
                found=self._covered,
            )
        self.is_done = True
        return done


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _verify(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Check a checkpoint with whichever of a log's keys it names. Raises: MalformedError, VerificationError."""
    raw = note.encode()
    named = {(line.name, line.key_id) for line in SignedNote.parse(raw).signatures}
    chosen = next((key for key in keys if (key.name, key.key_id) in named), keys[-1])
    return verify_checkpoint(raw, chosen)
