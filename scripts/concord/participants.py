"""`concord participant`: who belongs, and by which keys it speaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.canonical import JsonValue, encode_canonical
from ledger.client import participants as flows
from ledger.client import statements
from ledger.errors import MalformedError
from ledger.surface.codec import dump_value, parse_object
from ledger.surface.views import ProfileView
from ledger.types import Address
from scripts.concord.arguments import KeyOption, parse_address
from scripts.concord.context import context_of, load_key
from scripts.concord.files import check_place, read_object, write_file
from scripts.concord.writing import Until, WaitOption, conclude

app = typer.Typer(help="Participants, their profiles and keys.", no_args_is_help=True)

Participant = Annotated[str, typer.Argument(help="Its handle or id.")]
ControlKey = Annotated[Path, typer.Option("--control-key", help="The participant's control key file.", dir_okay=False)]


@app.command("list")
def list_participants(
    context: typer.Context,
    status: Annotated[str | None, typer.Option("--state", help="applied, active, suspended or retired")] = None,
    text: Annotated[str | None, typer.Option(help="part of the handle or name")] = None,
) -> None:
    """List members and applicants."""
    given = context_of(context)
    columns = {"handle": "HANDLE", "name": "NAME", "status": "STATE", "governor": "GOVERNOR", "id": "ID"}
    given.show_list(given.run(flows.list_all(status=status, text=text)), columns)


@app.command()
def show(context: typer.Context, participant: Participant) -> None:
    """Show one."""
    given = context_of(context)
    given.show(given.run(flows.show(participant)))


@app.command()
def keys(context: typer.Context, participant: Participant) -> None:
    """List its keys, past and present."""
    given = context_of(context)
    columns = {
        "key": "KEY", "role": "ROLE", "custody": "CUSTODY", "active_from": "FROM", "active_until": "UNTIL",
    }  # fmt: skip
    given.show_list(given.run(flows.keys(participant)), columns)


@app.command()
def profile(
    context: typer.Context,
    participant: Participant,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it to this file, salt and all.", dir_okay=False)
    ] = None,
) -> None:
    """Show its profile document, or write it for `concord participant learn` at another gateway."""
    given = context_of(context)
    check_place(output)
    found = given.run(flows.profile(participant))
    if output is None:
        given.show(found)
        return
    write_file(output, encode_canonical(dump_value(found)))
    given.show(
        {"file": str(output), "participant": str(found.participant)}, f"the profile of {participant} is in {output}"
    )


@app.command()
def learn(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="What `concord participant profile -o` wrote at another gateway.", dir_okay=False)
    ],
) -> None:
    """Let your gateway know a participant who came through another one: by handle, and where it serves."""
    given = context_of(context)
    known = given.run(flows.bring_profile(read_profile(file)))
    if known.handle is None:
        given.note("another participant has its handle at your gateway: name this one by its id")
    given.show(known, f"{known.handle or known.id}: {known.name}, {known.endpoint or 'without an endpoint'}")


def read_profile(path: Path) -> ProfileView:
    """A profile that `concord participant profile` wrote. Raises: NotFoundError, MalformedError."""
    return parse_object(ProfileView, read_object(path))


def profile_of(view: ProfileView) -> dict[str, JsonValue]:
    """The document itself. Raises: MalformedError: it is no object."""
    document = view.document.document
    if not isinstance(document, dict):
        raise MalformedError(f"the profile of {view.participant} is no JSON object")
    return document


@app.command("update-profile")
def update_profile(
    context: typer.Context,
    profile: Annotated[Path, typer.Argument(help="JSON file with handle, name, endpoint, did, ...", dir_okay=False)],
    key: KeyOption = None,
    wait: WaitOption = Until.FINAL,
) -> None:
    """State a new profile."""
    given = context_of(context)
    intent: dict[str, JsonValue] = {"profile": read_object(profile)}
    outcome = given.run(statements.state("ProfileUpdate", intent, given.identity(key)))
    conclude(given, outcome, wait, "profile updated")


@app.command("add-key")
def add_key(
    context: typer.Context,
    control_key: ControlKey,
    new_key: Annotated[
        Path | None, typer.Option(help="The new signing key's file: you sign with it.", dir_okay=False)
    ] = None,
    custodial: Annotated[
        bool, typer.Option("--custodial", help="The gateway draws the key, keeps it and signs for you.")
    ] = False,
    wait: WaitOption = Until.FINAL,
) -> None:
    """Add a signing key, your own (--new-key) or one that the gateway draws (--custodial).

    The control key and the new key sign.
    """
    if (new_key is None) != custodial:
        raise MalformedError("say which key is added: --new-key FILE, or --custodial")
    given = context_of(context)
    identity = given.require_identity(control_key, None if new_key is None else load_key(new_key))
    outcome = given.run(flows.add_key(identity, custody="custodial" if custodial else "own"))
    conclude(given, outcome, wait, "key added")


@app.command("rotate-control-key")
def rotate_control_key(
    context: typer.Context,
    control_key: ControlKey,
    new_key: Annotated[Path, typer.Option(help="The new control key's file.", dir_okay=False)],
    wait: WaitOption = Until.FINAL,
) -> None:
    """Replace your control key, for instance one that somebody else drew for you; both keys sign."""
    given = context_of(context)
    identity = given.require_identity(control_key, load_key(new_key))
    conclude(given, given.run(flows.rotate_control_key(identity)), wait, "control key rotated")


@app.command("revoke-key")
def revoke_key(
    context: typer.Context,
    address: Annotated[Address, typer.Argument(parser=parse_address, metavar="ADDRESS", help="The signing key's.")],
    control_key: ControlKey,
    wait: WaitOption = Until.FINAL,
) -> None:
    """End a signing key, for ever."""
    given = context_of(context)
    flow = flows.revoke_key(address, given.require_identity(control_key))
    conclude(given, given.run(flow), wait, "key revoked")


@app.command()
def retire(context: typer.Context, control_key: ControlKey, wait: WaitOption = Until.FINAL) -> None:
    """Leave the consortium, for ever."""
    given = context_of(context)
    flow = statements.state("ParticipantRetirement", {}, given.require_identity(control_key))
    conclude(given, given.run(flow), wait, "participant retired")
