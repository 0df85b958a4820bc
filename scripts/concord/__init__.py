"""`concord`: the ledger from the command line.

Exit codes: 0 done; 1 refused by the rules, or refuted; 2 could not find out, or not yet: try again; 3 wrong usage or
malformed input; 4 not permitted, or not found; 130 stopped with Ctrl-C. With --json an error is one JSON object on
stderr.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import typer
from typer._completion_classes import completion_init

from ledger.errors import LedgerError
from scripts.concord import (
    access,
    accusing,
    agreements,
    api_keys,
    datasets,
    delivering,
    evidence,
    founding,
    importing,
    joining,
    keys,
    log,
    network,
    operating,
    participants,
    policies,
    proposals,
    pulling,
    pushing,
    signing,
    statements,
)
from scripts.concord.allocating import keep_buffers
from scripts.concord.context import DEFAULT_URL, Context
from scripts.concord.exit_codes import exit_code_of

__all__ = ["app", "main"]

app = typer.Typer(
    name="concord",
    help="Concord: a permissioned ledger for trusted data exchange.\n\n" + (__doc__ or "").partition("\n\n")[2],
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

_COMPLETE: Final = "_CONCORD_COMPLETE"
"""Set by the shell's completion script."""
_STOPPED: Final = 130
"""By Ctrl-C, as shells say it."""


_NEXT: Final = {
    "unauthorized": "set CONCORD_API_KEY, or give --api-key before the command",
    "missing-scope": "`concord api-key whoami` shows what your key may do",
    "not-yours": "`concord api-key whoami` shows whose your key is",
    "no-custodial-key": "sign with your own key: --key FILE, or CONCORD_KEY",
    "no-grant": "`concord request` asks for access",
    "grant-revoked": "`concord request` asks for access anew",
    "grant-expired": "`concord request` asks for access anew",
    "version-conflict": "`concord dataset versions` lists what is registered",
    "sharing-agreements-wrong-state": "`concord agreement show` tells its state",
    "agreement-proposed": "`concord agreement show` tells who has accepted",
    "sharing-agreements-total-out-of-range": "`concord agreement show` tells quota, confirmed and settled",
    "quota-exceeded": "`concord agreement propose --revises` proposes a new quota",
    "not-delivered": "`concord delivery show` tells how far it is",
    "already-founded": "`concord serve --home` starts it",
}
"""What to do next, in this program's words, where the service's sentence does not say it."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"concord {version('concord-ledger')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="CONCORD_URL", help="The service.")] = DEFAULT_URL,
    api_key: Annotated[str | None, typer.Option(envvar="CONCORD_API_KEY", help="Your API key.")] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            envvar="CONCORD_KEY", help="Your own signing key's file; without: the gateway signs.", dir_okay=False
        ),
    ] = None,
    consortium: Annotated[
        Path | None,
        typer.Option(
            envvar="CONCORD_CONSORTIUM",
            help="The consortium's document; without: what `concord join import` kept.",
            dir_okay=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; may stand behind the command, too.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that every command takes; they stand before it (--json anywhere)."""
    context.obj = Context(url, api_key, as_json, key, consortium)


for _name, _group in (
    ("join", joining.app),
    ("proposal", proposals.app),
    ("participant", participants.app),
    ("key", keys.app),
    ("dataset", datasets.app),
    ("grant", access.app),
    ("agreement", agreements.app),
    ("usage", agreements.usage_app),
    ("statement", statements.app),
    ("api-key", api_keys.app),
    ("policy", policies.app),
    ("log", log.app),
    ("network", network.app),
    ("evidence", evidence.app),
    ("transfer", pulling.app),
    ("delivery", delivering.app),
):
    app.add_typer(_group, name=_name)
statements.app.command("import")(importing.import_file)
statements.app.command("sign")(signing.sign_file)
datasets.app.command("pull")(pulling.pull)
datasets.app.command("push")(pushing.push)
pulling.app.command("breach")(accusing.breach)
pulling.app.command("release")(pushing.release)
app.add_typer(statements.app, name="statements", hidden=True)  # as people say it of many
app.command("init")(founding.init)
app.command("serve")(founding.serve)
for _command in (operating.backup, operating.restore, operating.upgrade, operating.reindex, operating.doctor):
    app.command(_command.__name__)(_command)
app.command("request")(access.request)
app.command("requests")(access.requests)
app.command("revoke")(access.revoke)
app.command(
    "verify",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)(policies.verify)
app.command("completion")(keys.completion)


def _json_first(arguments: list[str]) -> list[str]:
    """Let ``--json`` stand anywhere, as people write it."""
    rest = [argument for argument in arguments if argument != "--json"]
    return rest if len(rest) == len(arguments) else ["--json", *rest]


def main() -> None:
    """Run `concord`; an error is a sentence on stderr and an exit code, never a traceback."""
    keep_buffers()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can not show a character gets it escaped; the program never ends on one.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if _COMPLETE in os.environ:
        completion_init()
    arguments = _json_first(sys.argv[1:])
    try:
        status = app(arguments, prog_name="concord", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)  # the reader went away; what was asked for is done
    except (typer.TyperException, typer.Abort, LedgerError, OSError) as error:
        ending = _ending_of(error)
    except KeyboardInterrupt:
        ending = _Ending("stopped", _STOPPED)
    else:
        if status != _STOPPED:
            sys.exit(status if isinstance(status, int) else 0)
        ending = _Ending("stopped", _STOPPED)
    ending.tell(as_json=arguments[:1] == ["--json"])
    sys.exit(ending.status)


@dataclass(frozen=True)
class _Ending:
    """How a command ends that is not done."""

    message: str
    status: int
    facts: Mapping[str, object] = field(default_factory=dict)

    def tell(self, *, as_json: bool) -> None:
        """Print it on stderr."""
        document = {"error": self.message, "exit": self.status, **self.facts}
        print(json.dumps(document, default=str) if as_json else f"concord: {self.message}", file=sys.stderr)


def _ending_of(error: typer.TyperException | typer.Abort | OSError | LedgerError) -> _Ending:
    if isinstance(error, typer.Abort):
        return _Ending(str(error) or "stopped", _STOPPED)
    if isinstance(error, typer.TyperException):
        return _Ending(_explain_usage(error), 3)
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return _Ending(f"{error.strerror or error}{where}", 3)
    code = str(getattr(error, "code", "") or "")
    message = f"{error}\n  next: {_NEXT[code]}" if code in _NEXT else str(error)
    facts = {"code": code, "facts": getattr(error, "facts", {})} if code else {}
    return _Ending(message, exit_code_of(error), facts)


def _explain_usage(error: typer.TyperException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    usage = context.get_usage()
    return f"{message}\n{usage}\n{context.command_path} --help explains it" if usage not in message else message
