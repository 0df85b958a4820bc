"""`concord statement`: what was said, what became of it, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Final

import typer

from ledger.client import datasets
from ledger.client import statements as flows
from ledger.errors import MalformedError, NotFoundError
from ledger.evidence.policy import Policy, parse_policy
from ledger.surface.outcomes import InForce, State
from ledger.types import Bytes32
from scripts.concord.arguments import parse_digest
from scripts.concord.context import Context, context_of
from scripts.concord.files import check_place, write_file
from scripts.concord.writing import Until, WaitOption, wait_for

app = typer.Typer(help="Statements and what became of them.", no_args_is_help=True)

Digest = Annotated[Bytes32, typer.Argument(parser=parse_digest, metavar="DIGEST", help="The statement's digest.")]
_HIDDEN: Final = ("receipt", "links")
_KEPT: Final = ("type", "message", "signature", "signer", "digest", "receipt")


@app.command("list")
def list_statements(
    context: typer.Context,
    type_name: Annotated[str | None, typer.Option("--type", help="Of this type alone: AccessGrant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many, the newest.")] = 100,
    everything: Annotated[bool, typer.Option("--all", help="All of them, however many there are.")] = False,
) -> None:
    """List the newest statements that you signed or that name you; with scope audit, everybody's."""
    given = context_of(context)
    most = None if everything else limit + 1
    with given.working("reading statements") as tell:
        read = given.run(
            flows.list_all(type_name=type_name, most=most, tell=lambda count: tell(f"{count:,} statements read"))
        )
    found = read if everything else read[:limit]
    if len(read) > len(found):
        given.note(f"the newest {limit:,}; there are more: --limit N lists N, --all lists all")
    columns = {
        "index": "INDEX", "type": "TYPE", "state": "STATE", "in_force": "IN FORCE", "accepted_at": "ACCEPTED",
        "digest": "DIGEST",
    }  # fmt: skip
    rows = [SimpleNamespace(**{name: each.get(name) for name in columns}) for each in found]
    given.show_list(found if given.as_json else rows, columns)


@app.command()
def show(context: typer.Context, digest: Digest, wait: WaitOption = Until.ACCEPTED) -> None:
    """Show a statement: said, anchored, final; in force or not."""
    given = context_of(context)
    if wait is not Until.ACCEPTED:
        wait_for(given, digest, State(wait.value))
    found = given.run(flows.fetch(digest))
    if given.as_json:
        given.show(found)
        return
    shown = {name: value for name, value in found.items() if name not in _HIDDEN}
    if (found["type"], found["in_force"]) == ("DatasetRegistration", InForce.NOT_APPLICABLE):
        shown["lift"] = f"the log alone holds it; `concord dataset lift {digest}` brings it into force on chain"
    given.show(shown)


@app.command()
def receipt(context: typer.Context, digest: Digest) -> None:
    """Print its receipt, a C2SP tlog-proof."""
    given = context_of(context)
    text = given.run(flows.receipt(digest))
    given.show({"receipt": text}, text.rstrip("\n"))


@app.command()
def keep(
    context: typer.Context,
    digest: Digest,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.", dir_okay=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite what is there.")] = False,
) -> None:
    """Keep a statement with its signature and receipt: what shows later that the gateway took it.

    `concord log breach` makes evidence of it, should the gateway drop the statement or put another in its place.
    """
    given = context_of(context)
    check_place(output)
    if output.exists() and not replace:
        raise MalformedError(f"{output} is there already, and may be what you kept before: name another, or --replace")
    found = given.run(flows.fetch(digest))
    kept = {name: found[name] for name in _KEPT}
    write_file(output, (json.dumps(kept, ensure_ascii=False, indent=1) + "\n").encode())
    given.show({"file": str(output), "digest": str(digest)}, f"statement and receipt kept in {output}")


def split_version(context: Context, name: str) -> tuple[str, int]:
    """Dataset and version of ``provider/slug@2``; without @2, the latest version. Raises: LedgerError."""
    dataset, at, number = name.partition("@")
    if not at:
        return dataset, context.run(datasets.show(dataset)).latest_version
    if not number.isdecimal() or int(number) < 1:
        raise MalformedError(f"{name!r} names no version: they are numbers from 1, as in utility/power@2")
    return dataset, int(number)


def load_policy(path: Path) -> Policy:
    """The policy of a file. Raises: NotFoundError, MalformedError."""
    try:
        return parse_policy(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no policy {path}: `concord policy create` makes one") from error
    except MalformedError as error:
        raise MalformedError(f"{path} is no policy: {error}") from error


def fetch_evidence(context: Context, digest: Bytes32, policy: Policy | None) -> bytes:
    """Evidence under the policy's pinned ranges, or under the head, once the statement is final."""
    wait_for(context, digest)
    return context.run(flows.evidence(digest, pins=pins_of(policy)))


def pins_of(policy: Policy | None) -> list[tuple[int, int | None]]:
    """The ranges of blocks that a policy pins; none: the service chooses, as of its head."""
    return [] if policy is None else [(epoch.first, epoch.last) for epoch in policy.epochs]
