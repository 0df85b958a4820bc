"""`concord policy` and `concord verify`: the auditor's own, without the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ledger.canonical import JsonValue
from ledger.client import parse_domains
from ledger.errors import MalformedError
from ledger.evidence.node import Node
from ledger.evidence.pinning import create_policy, diff_policies
from ledger.evidence.policy import Policy, parse_policy
from scripts.concord.context import context_of

app = typer.Typer(help="What an auditor trusts: made with a node of your choice, pinned by you.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(help="A policy file.", exists=True, dir_okay=False)]


def _load(path: Path) -> Policy:
    return parse_policy(path.read_bytes())


@app.command()
def create(
    context: typer.Context,
    rpc: Annotated[str, typer.Option(help="JSON-RPC URL of a node that you choose, never a gateway's word.")],
    consortium: Annotated[
        Path, typer.Option(help="consortium.json: the contracts' addresses.", exists=True, dir_okay=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.", dir_okay=False)],
    last_block: Annotated[int | None, typer.Option(min=0, help="Last block to pin; without: the head.")] = None,
    extends: Annotated[
        Path | None,
        typer.Option(help="An earlier policy, whose evidence shall stay good.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """Read genesis, code hashes, logs and block hashes from a node, and pin them."""
    given = context_of(context)
    try:
        document: JsonValue = json.loads(consortium.read_bytes())
    except ValueError as error:
        raise MalformedError(f"{consortium} is not JSON: {error}") from error
    earlier = None if extends is None else _load(extends)
    policy = create_policy(Node(rpc), parse_domains(document).contracts, last=last_block, extends=earlier)
    output.write_bytes(policy.to_bytes())
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
    found = _load(policy)
    context_of(context).show({"sha256": found.sha256, **json.loads(found.to_bytes())})


@app.command()
def diff(context: typer.Context, old: PolicyFile, new: PolicyFile) -> None:
    """What changed between two policies; exit 1 when anything did."""
    lines = diff_policies(_load(old), _load(new))
    context_of(context).show({"changes": lines}, "\n".join(lines) or "the same")
    if lines:
        raise typer.Exit(1)


def verify(context: typer.Context) -> None:
    """Verify evidence offline: as scripts/verify_provenance.py, with its arguments and exit codes."""
    from scripts.verify_provenance import main  # noqa: PLC0415 - its own program

    arguments = [*(["--json"] if context_of(context).as_json else []), *context.args]
    raise typer.Exit(main(arguments))
