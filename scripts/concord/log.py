"""`concord log`: the gateway's own log, on its own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from scripts.concord.arguments import DatabaseOption
from scripts.concord.context import context_of, read_passphrase

__all__ = ["app"]

app = typer.Typer(help="The gateway's own log, while the gateway is stopped.", no_args_is_help=True)

_HOME = Path(platformdirs.user_data_dir("concord"))
_MOST_SHOWN = 20


@app.command()
def recover(
    context: typer.Context,
    mirror: Annotated[
        str, typer.Option("--from", metavar="URL|FOLDER", help="A mirror, or a newer copy, of this gateway's log.")
    ],
    home: Annotated[
        Path, typer.Option(envvar="CONCORD_HOME", help="The gateway's folder.", file_okay=False, show_default=True)
    ] = _HOME,
    database_url: DatabaseOption = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Fetch all entries and write all tiles again, not the end alone.")
    ] = False,
) -> None:
    """Bring a log that is behind its checkpoint on chain (an old backup) up to it again.

    Entries come from the mirror and are checked against the checkpoint on chain and the log's own signature before
    anything is written. Says which statements' texts are missing in the database: restore a newer backup of it, or ask
    their signers to send them again.
    """
    from ledger.exchange.log_recovery import recover_log  # noqa: PLC0415 - loads the EVM
    from ledger.exchange.settings import GatewaySettings  # noqa: PLC0415 - as above
    from ledger.log.mirror import Mirror  # noqa: PLC0415 - as above

    given = context_of(context)
    passphrase = read_passphrase("the gateway's keystore")
    settings = GatewaySettings(home=home, passphrase=passphrase, database_url=database_url)
    done = recover_log(settings, Mirror(mirror), everything=everything)
    missing = [{"index": each.index, "digest": str(each.digest)} for each in done.missing]
    answer = {
        "size": done.size,
        "root": f"0x{done.root.hex()}",
        "anchored_size": done.anchored_size,
        "first_recovered": done.first_index if done.first_index < done.size else None,
        "recovered": done.size - done.first_index,
        "missing_statements": missing,
    }
    brought = (
        f"entries {done.first_index} to {done.size - 1} recovered" if answer["recovered"] else "nothing was missing"
    )
    lines = [f"log of {done.size} entries ({done.anchored_size} on chain): {brought}"]
    if missing:
        lines.append(f"{len(missing)} statements' texts are missing in the database; restore a newer backup of it:")
        lines += [f"  {each['index']}  {each['digest']}" for each in missing[:_MOST_SHOWN]]
        lines += [f"  and {len(missing) - _MOST_SHOWN} more (--json lists all)"] if len(missing) > _MOST_SHOWN else []
    given.show(answer, "\n".join([*lines, "next: concord serve"]))
