"""`concord statement` and `concord evidence`: what was said, and its proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.client import statements as flows
from ledger.evidence.policy import parse_policy
from ledger.surface.outcomes import State
from scripts.concord.context import Context, context_of
from scripts.concord.writing import Until, WaitOption, digest_of

app = typer.Typer(help="Statements and what became of them.", no_args_is_help=True)

Digest = Annotated[str, typer.Argument(help="The statement's digest.")]


@app.command()
def show(context: typer.Context, digest: Digest, wait: WaitOption = Until.ACCEPTED) -> None:
    """Show a statement: said, anchored, final; in force or not."""
    given = context_of(context)
    wanted = digest_of(digest)
    if wait is not Until.ACCEPTED:
        given.run(flows.wait(wanted, State(wait.value)))
    given.show(given.run(flows.fetch(wanted)))


@app.command()
def receipt(context: typer.Context, digest: Digest) -> None:
    """Print its receipt, a C2SP tlog-proof."""
    typer.echo(context_of(context).run(flows.receipt(digest_of(digest))), nl=False)


def evidence(
    context: typer.Context,
    digest: Digest,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.", dir_okay=False)],
    policy: Annotated[
        Path | None, typer.Option(help="The policy whose pinned blocks it must stand under.", dir_okay=False)
    ] = None,
) -> None:
    """Write a statement's evidence, for the offline verifier."""
    given = context_of(context)
    raw = fetch_evidence(given, digest, policy)
    output.write_bytes(raw)
    given.show({"file": str(output), "size_bytes": len(raw)}, f"evidence written to {output}")


def fetch_evidence(context: Context, digest: str, policy: Path | None) -> bytes:
    """Evidence under the policy's latest pinned range, or under the head, once the statement is final."""
    wanted = digest_of(digest)
    context.run(flows.wait(wanted))
    if policy is None:
        return context.run(flows.evidence(wanted))
    pinned = parse_policy(policy.read_bytes()).epochs[-1]
    return context.run(flows.evidence(wanted, first=pinned.first, last=pinned.last))
