"""`concord policy` and `concord verify`: the auditor's own, without the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ledger.client import parse_domains
from ledger.evidence.node import Node
from ledger.evidence.pinning import create_policy, diff_policies
from scripts.concord.context import context_of
from scripts.concord.files import check_place, read_object, write_file
from scripts.concord.statements import load_policy

app = typer.Typer(help="What an auditor trusts: made with a node of your choice, pinned by you.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(help="A policy file.", dir_okay=False)]


@app.command()
def create(
    context: typer.Context,
    rpc: Annotated[str, typer.Option(help="JSON-RPC URL of a node that you choose, never a gateway's word.")],
    consortium: Annotated[Path, typer.Option(help="consortium.json: the contracts' addresses.", dir_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.", dir_okay=False)],
    last_block: Annotated[int | None, typer.Option(min=0, help="Last block to pin; without: the head.")] = None,
    extends: Annotated[
        Path | None,
        typer.Option(help="An earlier policy, whose evidence shall stay good.", dir_okay=False),
    ] = None,
) -> None:
    """Read genesis, code hashes, logs and block hashes from a node, and pin them."""
    given = context_of(context)
    check_place(output)
    contracts = parse_domains(read_object(consortium)).contracts
    earlier = None if extends is None else load_policy(extends)
    warnings: list[str] = []
    with given.working(f"reading {rpc}"):
        policy = create_policy(Node(rpc), contracts, last=last_block, extends=earlier, warn=warnings.append)
    for warning in warnings:
        given.note(f"warning: {warning}")
    write_file(output, policy.to_bytes())
    pinned = policy.epochs[-1]
    words = f"pinned up to block {pinned.last}" if pinned.last is not None else f"pinned the {pinned} by their seals"
    given.show(
        {"file": str(output), "sha256": policy.sha256, "last_block": pinned.last},
        f"policy written to {output}, {words}\nSHA-256 {policy.sha256}\n"
        "Compare it with two members over another channel.",
    )


@app.command()
def show(context: typer.Context, policy: PolicyFile) -> None:
    """Show a policy and its SHA-256."""
    found = load_policy(policy)
    context_of(context).show({"sha256": found.sha256, **json.loads(found.to_bytes())})


@app.command()
def diff(context: typer.Context, old: PolicyFile, new: PolicyFile) -> None:
    """What changed between two policies; exit 1 when anything did."""
    lines = diff_policies(load_policy(old), load_policy(new))
    context_of(context).show({"changes": lines}, "\n".join(lines) or "the same")
    if lines:
        raise typer.Exit(1)


def verify(context: typer.Context) -> None:
    """Verify evidence offline: as scripts/verify_provenance.py, with its arguments and exit codes."""
    from scripts.verify_provenance import main  # noqa: PLC0415 - its own program

    arguments = [*(["--json"] if context_of(context).as_json else []), *context.args]
    raise typer.Exit(main(arguments))
