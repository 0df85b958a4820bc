"""`concord join`: from a consortium's document to an admitted participant, and to a gateway of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.canonical import JsonValue, encode_canonical
from ledger.client import operations, parse_domains
from ledger.client import participants as flows
from ledger.errors import ConflictError, NotFoundError
from ledger.keyfiles import read_key_file
from ledger.types import Bytes32
from scripts.concord.arguments import HOME, DatabaseOption, FinalityOption, GasPriceOption, HomeOption, parse_digest
from scripts.concord.context import Context, consortium_file, context_of, load_key, read_first_line, read_passphrase
from scripts.concord.files import read_object, write_file
from scripts.concord.founding import PRIVATE
from scripts.concord.participants import ControlKey, profile_of, read_profile
from scripts.concord.writing import Until, WaitOption, conclude

if TYPE_CHECKING:
    from ledger.chain import Deployment
    from ledger.exchange import Joined, KnownProfile

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


@app.command()
def gateway(
    context: typer.Context,
    rpc: Annotated[str, typer.Option(metavar="URL", help="A node of the consortium's chain, best your own.")],
    participant: Annotated[
        Bytes32, typer.Option(parser=parse_digest, metavar="ID", help="Who runs it: an admitted participant's id.")
    ],
    signing_key: Annotated[
        Path, typer.Option(help="The file of an active signing key of it; the gateway keeps a copy.", dir_okay=False)
    ],
    origin: Annotated[str, typer.Option(help="The log's name, for instance log.example.org/concord.")],
    home: HomeOption = HOME,
    gas_price: GasPriceOption = 0,
    finality: FinalityOption = 0,
    profile: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A profile that `concord participant profile` wrote: yours, a partner's; repeatable.",
            dir_okay=False,
        ),
    ] = None,
    key_passphrase_file: Annotated[
        Path | None,
        typer.Option(help="First line: what opens the signing key, where the keystore's does not.", dir_okay=False),
    ] = None,
    database_url: DatabaseOption = None,
) -> None:
    """Make a gateway of your own on the consortium's chain; prints its first API key once.

    For a participant that was admitted through a member's gateway, with the document that `concord join import` kept.
    Interrupted, it goes on with the same command.
    """
    from ledger.exchange import ExistingChain, JoiningPlan, join  # noqa: PLC0415 - loads the EVM

    os.umask(PRIVATE)
    given = context_of(context)
    deployment = _load_deployment(given)
    passphrase = read_passphrase("the gateway's keystore", is_new=True)
    opens = passphrase if key_passphrase_file is None else read_first_line(key_passphrase_file)
    plan = JoiningPlan(
        deployment=deployment,
        chain=ExistingChain(rpc, gas_price, finality),
        participant=participant,
        signing_key=read_key_file(signing_key, opens),
        origin=origin,
        passphrase=passphrase,
        profiles=_read_profiles(profile or []),
        database_url=database_url,
    )
    _show_joined(given, home, join(home, plan, on_step=lambda step: typer.echo(f"  {step}", err=True)))


def _load_deployment(given: Context) -> Deployment:
    from ledger.chain import Deployment  # noqa: PLC0415 - loads the EVM

    path = given.consortium or consortium_file()
    if not path.is_file():
        raise NotFoundError(
            f"a gateway joins by the consortium's document, and {path} is not there: run `concord join import` first, "
            "and compare its SHA-256 with another member's"
        )
    return Deployment.parse(path.read_bytes())


def _read_profiles(paths: Sequence[Path]) -> tuple[KnownProfile, ...]:
    from ledger.exchange import KnownProfile  # noqa: PLC0415 - loads the EVM

    views = [read_profile(path) for path in paths]
    return tuple(KnownProfile(each.participant, each.document.salt, profile_of(each)) for each in views)


def _show_joined(given: Context, home: Path, joined: Joined) -> None:
    """What was made; the API key, this once."""
    answer = {
        "home": str(home),
        "chain_id": str(joined.chain_id),
        "participant": str(joined.participant),
        "log": str(joined.log),
        "relay": str(joined.relay),
        "api_key": joined.api_key,
    }
    given.show(
        answer,
        f"gateway of {joined.participant} in {home}, chain {joined.chain_id}, log {joined.log}\n"
        f"API key, shown this once:\n  {joined.api_key}\n"
        f"relay account, which sends the transactions: {joined.relay}\n"
        f"next: concord serve --home {home}",
    )
