"""`concord backup`, `restore`, `upgrade`, `reindex`, `doctor`: a gateway's folder, on its own machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import MalformedError
from scripts.concord.arguments import HOME, HomeOption
from scripts.concord.context import DEFAULT_URL, Context, context_of, read_passphrase
from scripts.concord.founding import load_service_config

if TYPE_CHECKING:
    from ledger.exchange import GatewaySettings
    from ledger.exchange.restore import Restored

__all__ = ["backup", "doctor", "reindex", "restore", "upgrade"]

DatabaseOption = Annotated[
    str | None, typer.Option(envvar="CONCORD_DATABASE_URL", help="The database, where it is not in the folder.")
]


def backup(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="Where to write it: a new folder outside the gateway's.", file_okay=False)
    ],
    home: HomeOption = HOME,
    database_url: DatabaseOption = None,
) -> None:
    """Copy a gateway's folder and database as they are at one moment, while the gateway runs.

    Database, embedded chain, log, contents and keys (encrypted as they are) belong together; take all of it.
    """
    from ledger.exchange.backup import back_up  # noqa: PLC0415 - loads the EVM
    from ledger.exchange.settings import Home  # noqa: PLC0415 - as above

    given = context_of(context)
    manifest = back_up(Home(home), folder, _telling(given), database_url=database_url)
    answer = {"folder": str(folder), "created_at": manifest.created_at.isoformat(), "files": len(manifest.files)}
    given.show(answer, f"{len(manifest.files)} files in {folder}, as of {manifest.created_at:%Y-%m-%d %H:%M:%SZ}")


def restore(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A backup.", file_okay=False)],
    home: Annotated[Path, typer.Argument(help="The gateway's folder to be: a new one.", file_okay=False)],
    chain: Annotated[
        Path | None,
        typer.Option(help="An embedded chain's folder that survived; it takes the backup's place.", file_okay=False),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(metavar="URL|FOLDER", help="A mirror of the log: tells whether the backup is behind.")
    ] = None,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Nothing newer than the backup of an embedded chain survived: give up what came after. Whoever holds "
            "a later checkpoint could show as a fork what the log's key signs from then on: so the gateway only "
            "answers reads, and signs nothing.",
        ),
    ] = False,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="CONCORD_DATABASE_URL", help="An empty database that takes the backup's, instead of a file."
        ),
    ] = None,
) -> None:
    """Make a gateway's folder, and its database, of a backup; every file is hashed first.

    A restored log that is behind the chain, or behind the mirror that you name, signs nothing until `concord log
    recover` brought it up to date. An embedded chain is in the backup and as old as that: name the one that survived
    (--chain), or the newest copy of the log (--mirror). A gateway that was only stopped and moved has both: its old
    folder's chain/ and log/.
    """
    from ledger.exchange.restore import restore as run  # noqa: PLC0415 - loads the EVM
    from ledger.exchange.settings import Home  # noqa: PLC0415 - as above
    from ledger.log.mirror import Mirror  # noqa: PLC0415 - as above

    given = context_of(context)
    named = None if mirror is None else Mirror(mirror)
    done = run(
        folder,
        Home(home),
        chain=chain,
        mirror=named,
        accept_loss=accept_loss,
        database_url=database_url,
        on_step=_telling(given),
    )
    _show_restored(given, home, done, mirror)


def _show_restored(given: Context, home: Path, done: Restored, mirror: str | None) -> None:
    """What came back, what is gone, and what is to be done next."""
    answer = {
        "home": str(home),
        "created_at": done.manifest.created_at.isoformat(),
        "log_size": done.log_size,
        "mirror_size": done.mirror_size,
        "chain_size": done.chain_size,
        "signs": done.signs,
    }
    lines = [f"{home} is as of {done.manifest.created_at:%Y-%m-%d %H:%M:%SZ}, its log has {done.log_size} entries"]
    following = f"concord serve --home {home}"
    if done.is_behind:
        known = [("mirror", done.mirror_size), ("chain's last checkpoint", done.chain_size)]
        told = " and ".join(f"the {name} has {size}" for name, size in known if size is not None)
        lines.append(f"the log is behind: {told}; the gateway signs nothing before they are here")
        following = f"concord log recover --from {mirror or 'MIRROR'} --home {home}"
    elif not done.signs:
        lines.append(
            "what was stated after that moment is given up, though its receipts are not: the gateway answers reads and "
            "takes no statements. Where the chain or a mirror of the log turns up, restore with --chain or --mirror"
        )
    given.show(answer, "\n".join([*lines, f"next: {following}"]))


def upgrade(context: typer.Context, home: HomeOption = HOME, database_url: DatabaseOption = None) -> None:
    """Bring a stopped gateway's database to this version's schema; there is no way back but a backup."""
    from ledger.exchange.upkeep import upgrade_database  # noqa: PLC0415 - loads the EVM

    before, after = upgrade_database(_settings(home, database_url))
    sentence = f"the database has schema {after.present} already"
    if before.present != after.present:
        sentence = f"the database has schema {after.present} now, it had {before.present}"
    context_of(context).show({"before": before.present, "after": after.present}, sentence)


def reindex(context: typer.Context, home: HomeOption = HOME, database_url: DatabaseOption = None) -> None:
    """Rebuild a stopped gateway's projections from the chain alone; statements, documents and keys are not touched."""
    from ledger.exchange.upkeep import reindex as run  # noqa: PLC0415 - loads the EVM

    given = context_of(context)
    with given.working("folding the chain"):
        done = run(_settings(home, database_url))
    answer = {"block": done.block, "facts": done.facts, "facts_before": done.facts_before}
    given.show(answer, f"{done.facts} facts up to block {done.block} (before: {done.facts_before})")


def doctor(context: typer.Context, home: HomeOption = HOME, database_url: DatabaseOption = None) -> None:
    """Look at what a gateway stands on, running or stopped: each finding with its fix; exit 1 when there is one.

    Settings, keys and who keeps them, database, content, chain id, contracts and their code, account and log key,
    clock, disk, log, lag; and the gateway that runs, at CONCORD_URL, what keeps it from its work.
    """
    from ledger.exchange.doctor import Standing, diagnose  # noqa: PLC0415 - loads the EVM

    given = context_of(context)
    passphrase = read_passphrase("the gateway's keystore")
    settings, refused = _settings(home, database_url, passphrase), None
    try:
        settings = replace(load_service_config(home, passphrase).gateway_settings(), database_url=database_url)
    except MalformedError as error:
        refused = error
    checks = diagnose(settings, given.url or DEFAULT_URL, refused=refused)
    failed = [check for check in checks if check.standing is Standing.FAILED]
    lines = []
    for check in checks:
        lines.append(f"{check.standing.upper():<8} {check.name}: {check.detail}")
        if check.fix is not None:
            lines.append(f"{'':<8}   fix: {check.fix}")
    members = [
        {"name": each.name, "standing": str(each.standing), "detail": each.detail, "fix": each.fix} for each in checks
    ]
    given.show({"healthy": not failed, "checks": members}, "\n".join(lines))
    if failed:
        raise typer.Exit(1)


def _settings(home: Path, database_url: str | None, passphrase: str = "") -> GatewaySettings:
    from ledger.exchange.settings import GatewaySettings  # noqa: PLC0415 - loads the EVM

    file = os.environ.get("CONCORD_KMS_TOKEN_FILE")
    return GatewaySettings(
        home=home,
        passphrase=passphrase,
        database_url=database_url,
        kms_token=os.environ.get("CONCORD_KMS_TOKEN"),
        kms_token_file=None if file is None else Path(file),
    )


def _telling(context: Context) -> Callable[[str], None]:
    """Says each step where a person watches."""
    return context.note if context.has_terminal else lambda _: None
