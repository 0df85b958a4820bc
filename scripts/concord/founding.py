"""`concord init` and `concord serve`: a consortium founded, a gateway run."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import MalformedError
from scripts.concord.arguments import HOME, AddressOption, DatabaseOption, FinalityOption, GasPriceOption, HomeOption
from scripts.concord.context import Context, context_of, read_passphrase

if TYPE_CHECKING:
    from api.config import ServiceConfig
    from ledger.exchange import Founded

__all__ = ["PRIVATE", "init", "load_service_config", "serve"]

PRIVATE = 0o077
"""What is made in a home folder, its owner alone reads."""


def init(
    context: typer.Context,
    home: HomeOption = HOME,
    governor: Annotated[
        list[str] | None,
        typer.Option(metavar="HANDLE=NAME", help="A founding governor; repeatable; the first runs this gateway."),
    ] = None,
    threshold: Annotated[int, typer.Option(min=1, help="Votes that a decision needs.")] = 1,
    origin: Annotated[str, typer.Option(help="The log's name, for instance log.example.org/concord.")] = "concord/log",
    owners: Annotated[
        Path | None, typer.Option(help="Where the governors' own key files are written.", file_okay=False)
    ] = None,
    relay_account: AddressOption = None,
    database_url: DatabaseOption = None,
    rpc: Annotated[
        str | None, typer.Option(metavar="URL", help="A node of the chain to found it on; without: an embedded chain.")
    ] = None,
    gas_price: GasPriceOption = 0,
    finality: FinalityOption = 0,
) -> None:
    """Found a consortium: deploys the contracts, opens the log; prints each API key once.

    On an embedded chain, whose id it draws, or with --rpc on a chain that is there. Interrupted, it goes on with the
    same command.
    """
    from ledger.exchange import ExistingChain, Founder, FoundingPlan, found  # noqa: PLC0415 - loads the EVM

    os.umask(PRIVATE)
    given = context_of(context)
    if rpc is None and (gas_price or finality):
        raise MalformedError("--gas-price and --finality are those of a chain that is there: name its node with --rpc")
    plan = FoundingPlan(
        founders=tuple(Founder(_profile(text)) for text in governor or ["operator=Operator"]),
        threshold=threshold,
        origin=origin,
        passphrase=read_passphrase("the gateway's keystore", is_new=True),
        owners_folder=owners,
        relay_accounts=tuple(relay_account or ()),
        database_url=database_url,
        chain=None if rpc is None else ExistingChain(rpc, gas_price, finality),
    )
    _show_founded(given, home, found(home, plan, on_step=lambda step: typer.echo(f"  {step}", err=True)))


def _show_founded(given: Context, home: Path, founded: Founded) -> None:
    """What was founded; the API keys, this once."""
    answer = {
        "home": str(home),
        "chain_id": str(founded.chain_id),
        "contracts": {name: str(address) for name, address in founded.contracts.items()},
        "participants": {handle: str(each) for handle, each in founded.participants.items()},
        "log": str(founded.log),
        "relay": str(founded.relay),
        "api_keys": dict(founded.api_keys),
        "key_files": {name: str(path) for name, path in founded.key_files.items()},
    }
    keys = "\n".join(f"  {handle}: {token}" for handle, token in founded.api_keys.items())
    files = "\n".join(f"  {name}: {path}" for name, path in founded.key_files.items())
    given.show(
        answer,
        f"consortium founded in {home}, chain {founded.chain_id}\n"
        f"API keys, shown this once:\n{keys}\n"
        f"key files of the governors, to be taken away by their owners:\n{files}\n"
        f"relay account, which sends the transactions: {founded.relay}\n"
        f"next: concord serve --home {home}",
    )


def _profile(text: str) -> dict[str, str]:
    handle, separator, name = text.partition("=")
    if not separator or not name:
        raise MalformedError(f"--governor takes handle=Name, as in chamber='Chamber of Industry', not {text!r}")
    return {"handle": handle, "name": name}


def serve(
    context: typer.Context,
    home: HomeOption = HOME,
    host: Annotated[str, typer.Option(envvar="CONCORD_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="CONCORD_PORT", min=0, max=65535, help="Port; 0: the system chooses.")
    ] = 8080,
) -> None:
    """Run the gateway of a home folder until Ctrl-C."""
    from api.log_lines import set_up_log  # noqa: PLC0415 - loads the service
    from api.server import listen  # noqa: PLC0415 - as above
    from api.server import serve as run  # noqa: PLC0415 - as above

    os.umask(PRIVATE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its memory holds keys
    given = context_of(context)
    config = load_service_config(home, read_passphrase("the gateway's keystore"))
    set_up_log(config.log_format, config.log_level)
    settings = config.gateway_settings()
    listening = listen(host, port)
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{listening.getsockname()[1]}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends its requests first
    with contextlib.suppress(KeyboardInterrupt):
        run(
            settings,
            listening,
            lambda gateway: given.show(
                {"url": url, "docs": f"{url}/docs", "block": gateway.health().head},
                f"serving at {url}  (every route: {url}/docs; Ctrl-C stops it)",
            ),
        )
    print("stopped", file=sys.stderr)


def load_service_config(home: Path, passphrase: str) -> ServiceConfig:
    """From the environment, those of ``api.config``. Raises: MalformedError."""
    from pydantic import SecretStr, ValidationError  # noqa: PLC0415 - loads the service

    from api.config import ServiceConfig  # noqa: PLC0415 - loads the service

    try:
        return ServiceConfig(home=home, passphrase=SecretStr(passphrase))
    except ValidationError as error:
        wrong = "; ".join(
            f"CONCORD_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()
        )
        raise MalformedError(f"the environment sets the service up wrongly: {wrong}") from error
