"""What every writing command shares: waiting, and saying what became of a statement."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.client import statements
from ledger.errors import RefusedError, UnavailableError
from ledger.surface.outcomes import InForce, Outcome, State
from ledger.types import Bytes32
from scripts.concord.context import Context

__all__ = ["KeyOption", "Until", "WaitOption", "conclude", "digest_of"]


class Until(StrEnum):
    """How far to wait."""

    ACCEPTED = "accepted"
    ANCHORED = "anchored"
    FINAL = "final"


_TIMEOUT_S: Final = 600

WaitOption = Annotated[Until, typer.Option("--wait", help="Return when the statement is this far.")]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", help="Sign with this key file instead of the gateway's custodial key.", dir_okay=False),
]


def conclude(context: Context, outcome: Outcome, until: Until, sentence: str) -> Outcome:
    """Wait as asked, then say what became of it.

    Raises:
        RefusedError: the contract refused it after it was accepted.
        UnavailableError: it is not that far yet.
    """
    if until is not Until.ACCEPTED and outcome.state is not State.FINAL:
        outcome = context.run(statements.wait(outcome.digest, State(until.value), timeout_s=_TIMEOUT_S))
    if outcome.in_force is InForce.REFUSED and outcome.refusal is not None:
        raise RefusedError(
            f"{outcome.type} {outcome.digest} was said, and is not in force: {outcome.refusal.detail}",
            code=outcome.refusal.code,
            facts=outcome.refusal.facts,
        )
    if until is Until.FINAL and outcome.state is not State.FINAL:
        raise UnavailableError(
            f"{outcome.digest} is {outcome.state} and not final yet: `concord statement show` it later"
        )
    block = "" if outcome.block is None else f", block {outcome.block}"
    context.show(outcome, f"{sentence}: {outcome.digest} ({outcome.state}{block})")
    return outcome


def digest_of(text: str) -> Bytes32:
    """A digest or id from an argument. Raises: MalformedError."""
    return Bytes32.parse(text)
