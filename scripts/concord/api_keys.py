"""`concord api-key`: keys to the service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ledger.client import operations
from scripts.concord.arguments import parse_time
from scripts.concord.context import context_of

app = typer.Typer(help="API keys to the service: created, listed, revoked.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    scope: Annotated[
        list[str], typer.Option(metavar="SCOPE", help="read, write, audit, operate or apply; repeatable.")
    ],
    participant: Annotated[str | None, typer.Option(help="Handle or id; without: your own.")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, metavar="TIME", help="2026-12-31, RFC 3339, or from now: 90d."),
    ] = None,
) -> None:
    """Create a key; it is shown this once."""
    given = context_of(context)
    token = given.run(operations.create_api_key(scope, participant=participant, label=label, expires_at=expires))
    given.show({"token": token}, token)


@app.command("list")
def list_keys(context: typer.Context) -> None:
    """List keys without their secrets."""
    given = context_of(context)
    columns = {
        "id": "ID", "participant": "PARTICIPANT", "scopes": "SCOPES", "label": "LABEL", "expires_at": "EXPIRES",
        "revoked_at": "REVOKED",
    }  # fmt: skip
    given.show_list(given.run(operations.api_keys()), columns)


@app.command()
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(help="Its id, of the list.")]) -> None:
    """End a key at once."""
    given = context_of(context)
    given.run(operations.revoke_api_key(key_id))
    given.show({"revoked": key_id}, f"API key {key_id} revoked")


@app.command()
def whoami(context: typer.Context) -> None:
    """What your API key is."""
    given = context_of(context)
    given.show(given.run(operations.whoami()))
