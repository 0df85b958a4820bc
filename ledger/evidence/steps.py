"""How a step is taken: what a check raises becomes its outcome, and a check may lean on another's result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.history import HistoryFold
from ledger.evidence.policy import Policy
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.report import Outcome, Step
from ledger.statements import Statement, UnknownStatementTypeError

if TYPE_CHECKING:  # HTTP is slow to import, and seldom needed
    from ledger.evidence.node import Node

__all__ = [
    "Check",
    "NotApplicable",
    "NotChecked",
    "TrustedWorld",
    "await_parents",
    "does_not_apply",
    "lean_on",
    "need",
    "take_steps",
    "verify_blocks",
]

_T = TypeVar("_T")
_SHOWN: Final = 400

Check = Callable[[], str]
"""One step: returns the words of its line, refutes by MalformedError or VerificationError, and leaves open by
UnavailableError."""


@dataclass(frozen=True)
class TrustedWorld:
    """What all evidence of a run is judged by: the policy, a node besides where one is given, and step 1 about them.

    ``fold`` remembers the history that was folded last.
    """

    policy: Policy
    node: Node | None
    policy_step: Step
    fold: HistoryFold


class NotApplicable(Exception):  # noqa: N818 - no error: nothing to check
    """The step does not apply to this evidence."""


class NotChecked(Exception):  # noqa: N818 - no error: nothing is left open by this alone
    """The step was not asked for, or builds on one that did not pass."""


def take_steps(policy_step: Step, checks: Sequence[Check]) -> tuple[Step, ...]:
    """Take the steps from 2 on, after the policy's."""
    return (policy_step, *(_take(number, check) for number, check in enumerate(checks, start=2)))


def does_not_apply(reason: str) -> Check:
    """A step that does not apply."""

    def check() -> NoReturn:
        raise NotApplicable(reason)

    return check


def await_parents(statement: Statement) -> NoReturn:
    """Step 12 as one evidence alone can take it: whether there are parents to be shown by other evidence."""
    parents = statement.message.get("parents")
    if not isinstance(parents, tuple) or not parents:
        raise NotApplicable("derived from nothing")
    raise NotChecked(f"{len(parents)} parents, whose evidence was not given")


def need(value: _T | None) -> _T:
    """What step 2 yields; without it the step that asks is not checked."""
    if value is None:
        raise NotChecked("step 2 did not pass")
    return value


def lean_on(number: int, read: Callable[[], _T]) -> _T:
    """What another step checks; where that fails, it fails there and is not checked here."""
    try:
        return read()
    except (MalformedError, VerificationError, UnavailableError) as error:
        raise NotChecked(f"step {number} did not pass") from error


def verify_blocks(events: Sequence[ProvenEvent], policy: Policy, node: Node | None) -> tuple[str, list[str]]:
    """Check the block of each event; return the words of the line, and what each rests on.

    Raises:
        MalformedError, VerificationError, UnavailableError: as `ProvenEvent.verify_block`.
    """
    words, basis = [], []
    for event in events:
        basis.append(event.verify_block(policy, node))
        words.append(f"block {event.header.number} by {basis[-1]}")
    return ", ".join(dict.fromkeys(words)), basis


def _take(number: int, check: Check) -> Step:
    try:
        return Step(number, Outcome.PASS, check())
    except NotApplicable as reason:
        return Step(number, Outcome.NOT_APPLICABLE, str(reason))
    except NotChecked as reason:
        return Step(number, Outcome.NOT_CHECKED, str(reason))
    except (UnavailableError, UnknownStatementTypeError) as error:
        return Step(number, Outcome.NOT_CHECKED, str(error), leaves_open=True)
    except VerificationError as error:
        return Step(number, Outcome.FAIL, str(error), expected=_shown(error.expected), found=_shown(error.found))
    except MalformedError as error:
        return Step(number, Outcome.FAIL, str(error)[:_SHOWN])


def _shown(value: object) -> str | None:
    if value is None:
        return None
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)[:_SHOWN]
