"""What a verification found: one line a step, the verdict, and what a sentence can say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ledger.canonical import JsonValue
from ledger.statements import Statement
from ledger.types import Bytes32

__all__ = ["STEP_NAMES", "InForce", "Outcome", "Report", "Step", "Verdict", "summarize"]

STEP_NAMES = (
    "policy",
    "statement",
    "signature",
    "entry",
    "inclusion",
    "log signature",
    "contract event",
    "receipt",
    "block",
    "signer",
    "data",
    "lineage",
)
"""The twelve steps in order (DESIGN, section 7)."""


class Outcome(StrEnum):
    """What became of a step."""

    PASS = "PASS"  # noqa: S105 - not a password
    FAIL = "FAIL"
    NOT_APPLICABLE = "N/A"
    NOT_CHECKED = "NOT CHECKED"


class Verdict(StrEnum):
    """What became of the evidence."""

    VERIFIED = "verified"
    REFUTED = "refuted"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Step:
    """One step's line. ``leaves_open``: without it there is no verdict (a step not asked for leaves nothing open)."""

    number: int
    outcome: Outcome
    detail: str
    leaves_open: bool = False
    expected: str | None = None
    found: str | None = None

    @property
    def name(self) -> str:
        """The step's name: ``log signature``."""
        return STEP_NAMES[self.number - 1]

    def to_line(self) -> str:
        """The line as it is printed."""
        values = f" (expected {self.expected}, found {self.found})" if self.expected is not None else ""
        return f"{self.number:>2} {self.outcome:<11} {self.name}: {self.detail}{values}"

    def to_document(self) -> dict[str, JsonValue]:
        """The step as JSON values."""
        document: dict[str, JsonValue] = {
            "number": self.number,
            "name": self.name,
            "outcome": self.outcome.value,
            "detail": self.detail,
        }
        if self.expected is not None:
            document |= {"expected": self.expected, "found": self.found}
        return document


@dataclass(frozen=True, slots=True)
class InForce:
    """The contract event that shows that a statement took effect; the time is UTC seconds."""

    event: str
    block: int
    time: int


@dataclass(frozen=True)
class Report:
    """The steps of one evidence file, and what they established as far as they got.

    ``time`` is that of the block that anchored the entry (UTC seconds): it was stated no later. ``rests_on`` names what
    had to be believed, ``signer`` is the key in words, ``dataset`` its provider's handle and ``slug@version`` where the
    registered metadata say so.
    """

    source: str
    steps: tuple[Step, ...]
    statement: Statement | None = None
    digest: Bytes32 | None = None
    time: int | None = None
    signer: str | None = None
    in_force: InForce | None = None
    rests_on: tuple[str, ...] = ()
    dataset: tuple[str, str] | None = None

    @property
    def verdict(self) -> Verdict:
        """Refuted outranks undetermined."""
        if any(step.outcome is Outcome.FAIL for step in self.steps):
            return Verdict.REFUTED
        if any(step.leaves_open for step in self.steps):
            return Verdict.UNDETERMINED
        return Verdict.VERIFIED

    def with_step(self, step: Step) -> Report:
        """The same report with its step of that number replaced."""
        return replace(self, steps=tuple(step if each.number == step.number else each for each in self.steps))


def summarize(reports: tuple[Report, ...]) -> Verdict:
    """The verdict over several evidence files: refuted outranks undetermined outranks verified."""
    verdicts = {report.verdict for report in reports}
    for verdict in (Verdict.REFUTED, Verdict.UNDETERMINED):
        if verdict in verdicts:
            return verdict
    return Verdict.VERIFIED
