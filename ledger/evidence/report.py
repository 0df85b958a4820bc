"""What a verification found: one line a step, the verdict, and what a sentence can say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ledger.canonical import JsonValue
from ledger.evidence.history import History
from ledger.statements import Statement
from ledger.types import Bytes32

__all__ = [
    "STEP_NAMES",
    "Attestation",
    "Claim",
    "InForce",
    "Outcome",
    "Report",
    "ShownEvent",
    "Step",
    "Verdict",
    "judge_together",
    "summarize",
]

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
"""The twelve steps in order (docs/spec/evidence.md)."""


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


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A contract's event as it is shown; the time is its block's, UTC seconds."""

    contract: str
    name: str
    members: dict[str, JsonValue]
    block: int
    time: int


@dataclass(frozen=True, slots=True)
class Attestation:
    """A grant's slot as `GrantAttested` recorded it, and the registry's history up to then; times are UTC seconds.

    ``granted_at``, ``revoked_at`` and ``retired_at`` are zero where that did not happen.
    """

    grant: Bytes32
    provider: Bytes32
    consumer: Bytes32
    valid_from: int
    valid_until: int
    granted_at: int
    revoked_at: int
    retired_at: int
    attested_at: int
    history: History
    dataset: Bytes32


@dataclass(frozen=True, slots=True)
class Claim:
    """What was asked of evidence besides its steps, and what became of that.

    ``question`` is what was asked, in words; ``sentence`` the answer; ``facts`` the values it rests on.
    """

    question: str
    verdict: Verdict
    sentence: str
    facts: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The steps of one evidence file, and what they established as far as they got.

    ``time`` is that of the block that anchored the entry (UTC seconds): it was stated no later. ``rests_on`` names what
    had to be believed, ``signer`` is the key in words, ``dataset`` its provider's handle and ``slug@version`` where the
    registered metadata say so. ``existed`` is the time of a later anchored checkpoint that extends the first one: the
    entry existed no later, whether the first one's block is known or not. ``shown`` and ``attestation`` belong to the
    evidence of an event, ``claim`` to what was asked of it, or of a log's breach.
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
    existed: int | None = None
    shown: ShownEvent | None = None
    attestation: Attestation | None = None
    claim: Claim | None = None

    @property
    def verdict(self) -> Verdict:
        """The steps' and the claim's: refuted outranks undetermined."""
        verdicts = {self.steps_verdict} if self.claim is None else {self.steps_verdict, self.claim.verdict}
        return _worst(verdicts)

    @property
    def steps_verdict(self) -> Verdict:
        """The verdict of the steps alone: of the evidence, whatever was asked of it."""
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
    return _worst({report.verdict for report in reports})


def judge_together(reports: Sequence[Report]) -> Verdict:
    """The verdict on one statement of which there are several evidence files: one that is verified shows it.

    A file that fails shows nothing against it: anybody can write one about any statement. Raises: ValueError: none.
    """
    verdicts = {report.verdict for report in reports}
    return min(verdicts, key=(Verdict.VERIFIED, Verdict.UNDETERMINED, Verdict.REFUTED).index)


def _worst(verdicts: set[Verdict]) -> Verdict:
    for verdict in (Verdict.REFUTED, Verdict.UNDETERMINED):
        if verdict in verdicts:
            return verdict
    return Verdict.VERIFIED
