"""`concord`: the ledger from the command line.

Exit codes: 0 done; 1 refused by the rules, or refuted; 2 could not find out, or not yet: try again; 3 wrong usage or
malformed input; 4 not permitted, or not found.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from scripts.concord import (
    access,
    agreements,
    api_keys,
    datasets,
    founding,
    joining,
    keys,
    log,
    participants,
    policies,
    proposals,
    statements,
)
from scripts.concord.context import DEFAULT_URL, Context

__all__ = ["app", "main"]

app = typer.Typer(
    name="concord",
    help="Concord: a permissioned ledger for trusted data exchange.\n\n" + (__doc__ or "").partition("\n\n")[2],
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

_EXIT_CODES: Final[tuple[tuple[type[LedgerError], int], ...]] = (
    (NotFoundError, 4),
    (UnavailableError, 2),
    (MalformedError, 3),
)
_NOT_PERMITTED: Final = frozenset(
    {
        "unauthorized", "missing-scope", "not-yours", "no-grant", "grant-revoked", "grant-expired",
        "grant-not-yet-valid", "participant-suspended", "dataset-retired", "right-not-granted",
    }
)  # fmt: skip


@app.callback()
def root(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="CONCORD_URL", help="The service.")] = DEFAULT_URL,
    api_key: Annotated[
        str | None, typer.Option(envvar="CONCORD_API_KEY", help="Your API key.", show_envvar=True)
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            envvar="CONCORD_KEY", help="Your own signing key's file; without: the gateway signs.", dir_okay=False
        ),
    ] = None,
    consortium: Annotated[
        Path | None, typer.Option(envvar="CONCORD_CONSORTIUM", help="The consortium's document.", dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
):
    app.add_typer(_group, name=_name)
app.command("init")(founding.init)
app.command("serve")(founding.serve)
app.command("request")(access.request)
app.command("requests")(access.requests)
app.command("revoke")(access.revoke)
app.command("verify", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(policies.verify)
app.command("evidence")(statements.evidence)
app.command("completion")(keys.completion)


def exit_code_of(error: LedgerError) -> int:
    """The documented exit code of an error."""
    code = getattr(error, "code", None)
    if code in _NOT_PERMITTED:
        return 4
    if isinstance(error, ConflictError) and code == "not-final":
        return 2
    if isinstance(error, RefusedError | ConflictError):
        return 1
    return next((number for kind, number in _EXIT_CODES if isinstance(error, kind)), 1)


def _json_first(arguments: list[str]) -> list[str]:
    """Let ``--json`` stand anywhere, as people write it."""
    rest = [argument for argument in arguments if argument != "--json"]
    return rest if len(rest) == len(arguments) else ["--json", *rest]


def main() -> None:
    """Run `concord`; a ledger's error is one sentence on stderr and an exit code, never a traceback."""
    try:
        status = app(_json_first(sys.argv[1:]), standalone_mode=False)
    except typer.TyperException as error:
        print(error.format_message(), file=sys.stderr)
        print("concord --help, or --help behind any command, shows how it is used", file=sys.stderr)
        sys.exit(3)
    except (typer.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except LedgerError as error:
        print(f"concord: {error}", file=sys.stderr)
        sys.exit(exit_code_of(error))
    except OSError as error:
        print(f"concord: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        sys.exit(3)
    sys.exit(status if isinstance(status, int) else 0)
