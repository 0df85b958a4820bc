"""`concord join`: from a consortium's document to an admitted participant."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from ledger.canonical import JsonValue, encode_canonical
from ledger.client import operations, parse_domains
from ledger.client import participants as flows
from ledger.errors import ConflictError
from scripts.concord.context import consortium_file, context_of, load_key
from scripts.concord.files import read_object, write_file
from scripts.concord.participants import ControlKey
from scripts.concord.writing import Until, WaitOption, conclude

app = typer.Typer(help="Join a consortium.", no_args_is_help=True)


@app.command("import")
def import_consortium(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="consortium.json; without: the service's own.", dir_okay=False)
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another consortium that was imported before.")
    ] = False,
) -> None:
    """Keep the consortium's document: your key signs for its chain and contracts alone."""
    given = context_of(context)
    document: dict[str, JsonValue] = given.run(operations.consortium()) if file is None else read_object(file)
    domains = parse_domains(document)
    raw = encode_canonical(document)
    place = given.consortium or consortium_file()
    if place.exists() and place.read_bytes() != raw and not replace:
        raise ConflictError(f"{place} holds another consortium: give --replace, or another --consortium")
    place.parent.mkdir(parents=True, exist_ok=True)
    write_file(place, raw)
    digest = hashlib.sha256(raw).hexdigest()
    given.show(
        {"file": str(place), "chain_id": str(domains.chain_id), "sha256": digest},
        f"chain {domains.chain_id} imported to {place}\nSHA-256 {digest}\n"
        "Compare it with two members over another channel before you sign anything.",
    )


@app.command()
def request(
    context: typer.Context,
    control_key: ControlKey,
    handle: Annotated[str, typer.Option(help="Short name: a-z, 0-9 and dashes.")],
    name: Annotated[str, typer.Option(help="The enterprise's name.")],
    signing_key: Annotated[
        Path | None,
        typer.Option(help="Your first signing key's file; without: the gateway keeps one for you.", dir_okay=False),
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="URL under which you serve.")] = None,
    did: Annotated[str | None, typer.Option(help="Decentralized identifier.")] = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Ask to be admitted; governors then vote (`concord proposal approve`)."""
    given = context_of(context)
    profile: dict[str, JsonValue] = {"handle": handle, "name": name}
    profile |= {word: value for word, value in (("endpoint", endpoint), ("did", did)) if value is not None}
    identity = given.require_identity(control_key, None if signing_key is None else load_key(signing_key))
    outcome = given.run(flows.apply(profile, identity))
    conclude(
        given, outcome, wait, f"application of {handle} ({outcome.ids.get('participant')}) filed, governors vote on it"
    )
