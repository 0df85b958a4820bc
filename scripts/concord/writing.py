"""What every writing command shares: waiting, and saying what became of a statement."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from ledger.client import statements
from ledger.errors import RefusedError, UnavailableError
from ledger.surface.outcomes import InForce, Outcome, State
from ledger.types import Bytes32
from scripts.concord.context import Context

__all__ = ["Until", "WaitOption", "conclude", "wait_for"]


class Until(StrEnum):
    """How far to wait."""

    ACCEPTED = "accepted"
    ANCHORED = "anchored"
    FINAL = "final"


_TIMEOUT_S: Final = 180

WaitOption = Annotated[
    Until,
    typer.Option("--wait", help="Return when the statement is this far: accepted (it has a receipt), anchored, final."),
]


def wait_for(context: Context, digest: Bytes32, until: State = State.FINAL) -> Outcome:
    """Wait for a statement, with a sign of life where a person watches. Raises: LedgerError."""
    with context.working(f"waiting until it is {until}"):
        return context.run(statements.wait(digest, until, timeout_s=_TIMEOUT_S))


def conclude(context: Context, outcome: Outcome, until: Until, sentence: str) -> Outcome:
    """Wait as asked, then say what became of it.

    Raises:
        RefusedError: the contract refused it after it was accepted.
        UnavailableError: it is not that far yet.
    """
    if until is not Until.ACCEPTED and outcome.state is not State.FINAL:
        outcome = wait_for(context, outcome.digest, State(until.value))
    if outcome.in_force is InForce.REFUSED and outcome.refusal is not None:
        raise RefusedError(
            f"{outcome.type} {outcome.digest} was said, and is not in force: {outcome.refusal.detail}",
            code=outcome.refusal.code,
            facts=outcome.refusal.facts,
        )
    if until is Until.FINAL and outcome.state is not State.FINAL:
        raise UnavailableError(
            f"{outcome.digest} is {outcome.state} and not final after {_TIMEOUT_S} s; it is not lost: "
            f"`concord statement show {outcome.digest} --wait final` waits on"
        )
    block = "" if outcome.block is None else f", block {outcome.block}"
    context.show(outcome, f"{sentence}: {outcome.digest} ({outcome.state}{block})")
    return outcome
