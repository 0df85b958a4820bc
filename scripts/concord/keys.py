"""`concord key`: key files on this machine; and shell completion."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer
from typer._completion_shared import get_completion_script

from ledger.errors import ConflictError, MalformedError
from ledger.keyfiles import write_key_file, write_private_file
from ledger.statements import address_of, generate_private_key
from scripts.concord.context import context_of, load_key, read_passphrase
from scripts.concord.files import check_place
from scripts.concord.rotating import app as rotating

_SHELLS: Final = ("bash", "zsh", "fish")

app = typer.Typer(
    help="Encrypted key files on this machine (Ethereum's version 3 format); keys replaced (rotate).",
    no_args_is_help=True,
)
app.add_typer(rotating, name="rotate")


@app.command()
def new(context: typer.Context, file: Annotated[Path, typer.Argument(help="Where to write it.")]) -> None:
    """Draw a key and write it, encrypted with a passphrase."""

    check_place(file)
    if file.exists():
        raise ConflictError(f"{file} is there already and is not overwritten: take another name", code="key-exists")
    private_key = generate_private_key()
    write_key_file(file, private_key, read_passphrase(f"the new key {file.name}", is_new=True))
    address = str(address_of(private_key))
    context_of(context).show(
        {"address": address, "file": str(file)}, f"key {address} written to {file}: keep a copy of file and passphrase"
    )


@app.command()
def show(context: typer.Context, file: Annotated[Path, typer.Argument(help="A key file.", dir_okay=False)]) -> None:
    """Open a key file and show its address."""
    address = str(load_key(file).address)
    context_of(context).show({"address": address, "file": str(file)}, address)


@app.command()
def remote(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    url: Annotated[str, typer.Option(help="The signer's URL, as https://signer.internal:9000.")],
    public_key: Annotated[str, typer.Option(help="0x and 128 hex digits, as the signer lists it.")],
) -> None:
    """Write a file that names a remote signer's key (Web3Signer's eth1/sign), to stand in the place of a key file."""
    from ledger.chain import RemoteKey, parse_public_key  # noqa: PLC0415 - loads the EVM

    check_place(file)
    key = RemoteKey(url, parse_public_key(public_key))
    write_private_file(file, json.dumps(key.to_json(), indent=1).encode() + b"\n")
    answer = {"address": str(key.address), "file": str(file)}
    context_of(context).show(answer, f"{file} names the key {key.address} at {url}")


def completion(
    shell: Annotated[str | None, typer.Argument(help="bash, zsh or fish; without: your own.")] = None,
) -> None:
    """Print the completion script: eval "$(concord completion bash)"."""
    chosen = shell or Path(os.environ.get("SHELL", "bash")).name
    if chosen not in _SHELLS:
        raise MalformedError(f"there is no completion for {chosen}: name one of {', '.join(_SHELLS)}")
    typer.echo(get_completion_script(prog_name="concord", complete_var="_CONCORD_COMPLETE", shell=chosen))
