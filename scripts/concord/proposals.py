"""`concord proposal`: what governors vote on."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.client import participants as flows
from ledger.types import Bytes32
from scripts.concord.arguments import parse_digest
from scripts.concord.context import context_of
from scripts.concord.participants import ControlKey
from scripts.concord.writing import Until, WaitOption, conclude

app = typer.Typer(help="Admissions, suspensions, recoveries: proposed and voted on by governors.", no_args_is_help=True)

ProposalId = Annotated[
    Bytes32, typer.Argument(parser=parse_digest, metavar="PROPOSAL", help="Its id (`concord proposal list`).")
]


@app.command("list")
def list_proposals(
    context: typer.Context,
    status: Annotated[str | None, typer.Option("--state", help="open, executed, rejected or lapsed")] = None,
) -> None:
    """List the proposals."""
    given = context_of(context)
    columns = {
        "decision": "DECISION", "subject_handle": "SUBJECT", "state": "STATE", "threshold": "NEEDS",
        "opened_at": "OPENED", "id": "ID",
    }  # fmt: skip
    given.show_list(given.run(flows.proposals(status=status)), columns)


@app.command()
def show(context: typer.Context, proposal: ProposalId) -> None:
    """Show one with its votes so far."""
    given = context_of(context)
    given.show(given.run(flows.proposal(proposal)))


@app.command()
def approve(
    context: typer.Context, proposal: ProposalId, control_key: ControlKey, wait: WaitOption = Until.FINAL
) -> None:
    """Vote for it with a governor's control key."""
    given = context_of(context)
    outcome = given.run(flows.vote(proposal, given.require_identity(control_key)))
    conclude(given, outcome, wait, "approved")


@app.command()
def reject(
    context: typer.Context, proposal: ProposalId, control_key: ControlKey, wait: WaitOption = Until.FINAL
) -> None:
    """Vote against it with a governor's control key."""
    given = context_of(context)
    outcome = given.run(flows.vote(proposal, given.require_identity(control_key), approve=False))
    conclude(given, outcome, wait, "rejected")


@app.command()
def propose(
    context: typer.Context,
    decision: Annotated[
        str, typer.Argument(help="suspend, reinstate, retire, appoint-governor, dismiss-governor, ...")
    ],
    subject: Annotated[str, typer.Argument(help="The participant's handle or id.")],
    control_key: ControlKey,
    argument: Annotated[
        Bytes32 | None,
        typer.Option(
            parser=parse_digest,
            metavar="BYTES32",
            help="set-threshold: the number; revoke-key: the address, each left-padded to 0x and 64 digits.",
        ),
    ] = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Propose a decision by casting its first vote."""
    given = context_of(context)
    flow = flows.propose(decision, subject, given.require_identity(control_key), argument=argument)
    conclude(given, given.run(flow), wait, "proposed")
