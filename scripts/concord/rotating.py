"""`concord key rotate`: keys and passphrases replaced while everything goes on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, cast
from urllib.parse import urlsplit

import typer

from ledger.canonical import JsonValue
from ledger.client import operations, participants
from ledger.client.identity import Identity
from ledger.errors import ConflictError, MalformedError, NotFoundError, RefusedError, UnavailableError
from ledger.surface.outcomes import InForce, Outcome, State
from ledger.surface.views import KeyView
from ledger.types import Address
from scripts.concord.arguments import parse_address
from scripts.concord.context import Context, context_of, read_first_line, read_passphrase
from scripts.concord.participants import ControlKey
from scripts.concord.writing import wait_for

__all__ = ["app"]

app = typer.Typer(help="Replace a key, without a moment in which nothing signs.", no_args_is_help=True)

_LOOK_AGAIN_S: Final = 0.2
_LONGEST_WAIT_S: Final = 180.0
_ALL: Final = "all"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@app.command()
def signing(
    context: typer.Context,
    control_key: ControlKey,
    old: Annotated[
        Address | None,
        typer.Option(
            parser=parse_address,
            metavar="ADDRESS",
            help="The key to be ended; without: the one that the gateway signs with. Give it to go on after a stop.",
        ),
    ] = None,
) -> None:
    """Let the gateway draw you a new custodial key, and end the one it signs with.

    The new key is added first; once its addition is final the gateway signs with it alone. The old one is revoked when
    all that it signed stands under a checkpoint on chain: what it signed verifies as before.
    """
    given = context_of(context)
    control = given.require_identity(control_key)
    participant = str(given.run(operations.whoami()).get("participant"))
    held = _held(given, participant)
    ending = _choose(held, old)
    if held[-1].key == ending:
        _finish(given, given.run(participants.add_key(control, custody="custodial")))
        held = _held(given, participant)
    new = held[-1].key
    _await_anchored(given)
    _end(given, control, ending)
    given.show({"old": str(ending), "new": str(new)}, f"the gateway signs for you with {new}; {ending} is revoked")


def _held(given: Context, participant: str) -> Sequence[KeyView]:
    """The active custodial keys that the gateway holds, the oldest first."""
    found = given.run(participants.keys(participant))
    active = [key for key in found if key.role == "signing" and key.active_until is None]
    return [key for key in active if key.here and key.custody == "custodial"]


def _choose(held: Sequence[KeyView], old: Address | None) -> Address:
    if not held:
        raise NotFoundError(
            "the gateway holds no active key of yours: there is nothing to rotate. To let it draw one: "
            "`concord participant add-key --custodial --wait accepted --control-key FILE`"
        )
    if old is not None:
        if old not in {key.key for key in held}:
            raise NotFoundError(f"{old} is no active key of yours that the gateway holds: `concord participant keys`")
        return old
    if len(held) > 1:
        named = ", ".join(str(key.key) for key in held)
        raise ConflictError(
            f"the gateway holds several active keys of yours: {named}. Name the one to be ended: --old ADDRESS",
            code="several-keys",
        )
    return held[0].key


def _finish(given: Context, outcome: Outcome) -> None:
    done = wait_for(given, outcome.digest)
    if done.in_force is InForce.REFUSED and done.refusal is not None:
        raise RefusedError(f"{done.type} {done.digest} is not in force: {done.refusal.detail}", code=done.refusal.code)
    if done.state is not State.FINAL:
        raise UnavailableError(f"{done.type} {done.digest} is not final yet: run it again, with --old")


def _await_anchored(given: Context) -> None:
    """Wait until all that is in the log now is on chain."""
    size, end = _number(given, "log_size"), time.monotonic() + _LONGEST_WAIT_S
    with given.working("waiting until all that the old key signed is on chain"):
        while _number(given, "anchored_size") < size:
            if time.monotonic() > end:
                raise UnavailableError("not all that the old key signed is on chain yet: run it again, with --old")
            time.sleep(_LOOK_AGAIN_S)


def _number(given: Context, member: str) -> int:
    return int(str(given.run(operations.readiness())[member]))


def _end(given: Context, control: Identity, key: Address) -> None:
    _finish(given, given.run(participants.revoke_key(key, control)))


@app.command()
def log(context: typer.Context) -> None:
    """Let a new key sign the log's checkpoints; for the gateway's operator.

    Evidence made before verifies under every policy; for what comes after, auditors extend theirs
    (`concord policy create --extends`), which then names both keys.
    """
    given = context_of(context)
    with given.working("rotating the log's key"):
        keys = given.run(operations.rotate_log())
    given.show(keys, f"the log is signed with {keys['log_key']} from now on\nAuditors extend their policies now.")


@app.command()
def relay(
    context: typer.Context,
    which: Annotated[
        str,
        typer.Option(
            "--which", metavar="N|all", help="Of several accounts (CONCORD_RELAY_SIGNERS) the Nth; all: one by one."
        ),
    ] = "1",
    remote_url: Annotated[
        str | None, typer.Option(help="A remote signer that speaks Web3Signer's eth1/sign; without: a key is drawn.")
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="The remote key: 0x and 128 hex digits, as the signer lists it.")
    ] = None,
    only_prepare: Annotated[
        bool, typer.Option("--only-prepare", help="Show the new account, so that a network can admit or fund it first.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Drop the new account that waits, as one whose signer is gone; draw another.")
    ] = False,
) -> None:
    """Let a new account send the gateway's transactions; for its operator.

    Statements are accepted throughout; what the present account sent gets its outcome before the new one sends.
    Stopped on its way, the same command goes on: with --which all, with the accounts whose successors wait.
    """
    given = context_of(context)
    remote = _check_relay(which, remote_url, public_key)
    if anew and (remote or which == _ALL):
        raise MalformedError("--anew draws a key for one account: without --remote-url, and not with --which all")
    with given.working("rotating the relay account"):
        if which == _ALL:
            keys, numbers = _rotate_relays(given, only_prepare=only_prepare)
        else:
            numbers = [int(which)]
            keys = given.run(operations.rotate_relay(remote, only_prepare=only_prepare, number=numbers[0], anew=anew))
    accounts = _relays_of(keys)
    if only_prepare:
        waiting = ", ".join(str(accounts[each][1]) for each in numbers)
        sentence = f"{waiting} waits: let the network admit it, then run this again without --only-prepare"
    else:
        present = ", ".join(str(accounts[each][0]) for each in numbers)
        sentence = f"transactions are sent from {present} from now on"
    given.show(keys, sentence)


def _check_relay(which: str, remote_url: str | None, public_key: str | None) -> dict[str, str]:
    """The remote signer that is named, if one is. Raises: MalformedError."""
    if which != _ALL and not which.isdecimal():
        raise MalformedError(f"--which is a relay account's number, the first is 1, or all; not {which!r}")
    if (remote_url is None) != (public_key is None):
        raise MalformedError("a remote signer is named by --remote-url and --public-key together")
    if remote_url is None or public_key is None:
        return {}
    if which == _ALL:
        raise MalformedError("a remote key follows one account: name which, as in --which 2")
    return {"url": remote_url, "public_key": public_key}


def _relays_of(keys: dict[str, JsonValue]) -> dict[int, tuple[JsonValue, JsonValue]]:
    """Each relay account and the one that is to follow it, by number."""
    further = cast("Sequence[Mapping[str, JsonValue]]", keys["further_relays"])
    found = {int(str(each["number"])): (each["relay"], each["next_relay"]) for each in further}
    return {1: (keys["relay"], keys["next_relay"])} | found


def _rotate_relays(given: Context, *, only_prepare: bool) -> tuple[dict[str, JsonValue], list[int]]:
    """All successors are drawn before the first account is followed: so it is known, after a stop, which are left."""
    keys = given.run(operations.gateway_keys())
    accounts = _relays_of(keys)
    waiting = [number for number, (_, following) in accounts.items() if following is not None]
    if not waiting or waiting[0] == 1:
        for number in [each for each in accounts if each not in waiting]:
            keys = given.run(operations.rotate_relay(only_prepare=True, number=number))
        waiting = list(accounts)
    for number in [] if only_prepare else waiting:
        keys = given.run(operations.rotate_relay(number=number))
    return keys, waiting


@app.command()
def kek(
    context: typer.Context,
    kms_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Move to a key service (transit engine) of CONCORD_KMS_URLS.")
    ] = None,
    kms_key: Annotated[str | None, typer.Option(metavar="NAME", help="The key's name there.")] = None,
    kms_mount: Annotated[str, typer.Option(metavar="PATH", help="Where the engine is mounted.")] = "transit",
    kms_namespace: Annotated[str | None, typer.Option(metavar="PATH", help="The namespace that it is in.")] = None,
    kms_ca_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="The gateway's: who vouches for the service's certificate.")
    ] = None,
    keystore: Annotated[bool, typer.Option("--keystore", help="Move back: draw one in the keystore.")] = False,
) -> None:
    """Let a new key wrap the keys of sealed versions, and destroy the old one; for the gateway's operator.

    A key service is told to add a version to its key, and versions before decrypt nothing any more. No data is
    encrypted again, and transfers go on. Stopped on its way, run it again: it goes on. What opened older backups opens
    them still: make a new one, then remove those.
    """
    given = context_of(context)
    place = {"url": kms_url, "key": kms_key, "namespace": kms_namespace, "ca_file": kms_ca_file}
    named = {name: value for name, value in place.items() if value is not None}
    if named and (kms_url is None or kms_key is None or keystore):
        raise typer.BadParameter("a key service's key is named by --kms-url and --kms-key, and not with --keystore")
    with given.working("wrapping the keys of sealings anew"):
        flow = operations.rotate_kek({**named, "mount": kms_mount} if named else None, keystore=keystore)
        rotated = given.run(flow)
    given.show(rotated, f"{rotated['kek']} wraps the keys of sealings from now on, {rotated['rewrapped']} of them anew")


@app.command()
def passphrase(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(help="The folder of a gateway that is stopped; without: the service does it.", file_okay=False),
    ] = None,
    new_passphrase_file: Annotated[
        Path | None,
        typer.Option(help="Its first line is the new passphrase; without: asked for.", dir_okay=False),
    ] = None,
) -> None:
    """Encrypt the gateway's keystore with a new passphrase: all files or none; for its operator.

    The running gateway goes on; its next start needs the new passphrase. Old copies of the files open with the old one:
    after a leak, rotate the keys too.
    """
    given = context_of(context)
    old = read_passphrase("the gateway's keystore")
    new = _read_new(new_passphrase_file)
    if home is not None:
        count = _change_in(home, old, new)
    else:
        _check_private(given.url)
        count = given.run(operations.rotate_passphrase(old, new))
    answer: dict[str, JsonValue] = {"files": count}
    given.show(answer, f"{count} files are encrypted anew: start the gateway with the new passphrase from now on")


def _read_new(file: Path | None) -> str:
    if file is not None:
        return read_first_line(file)
    given = os.environ.get("CONCORD_NEW_PASSPHRASE")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise MalformedError("no new passphrase: set CONCORD_NEW_PASSPHRASE, give --new-passphrase-file, or a terminal")
    return str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))


def _check_private(url: str) -> None:
    """A passphrase travels encrypted, or not beyond this machine. Raises: MalformedError."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise MalformedError(
            f"{url} is neither TLS nor this machine, and a passphrase would travel: run this on the gateway's machine"
        )


def _change_in(home: Path, old: str, new: str) -> int:
    from ledger.exchange.keystore import KeyStore  # noqa: PLC0415 - loads the EVM
    from ledger.exchange.settings import Home  # noqa: PLC0415 - as above
    from ledger.exchange.stopped import hold_home  # noqa: PLC0415 - as above

    with hold_home(Home(home)):
        return KeyStore.open(Home(home).keys_folder, old).change_passphrase(old, new)
