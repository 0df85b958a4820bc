"""What every command needs: where the service is, whose key signs, and how answers are shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Final, TypeVar

import platformdirs
import typer
from rich.console import Console

from ledger.canonical import JsonValue
from ledger.client import Client, Flow, Identity, LocalKey, parse_domains
from ledger.errors import MalformedError, NotFoundError
from ledger.keyfiles import read_key_file
from ledger.statements import Domains
from ledger.surface.codec import dump_value
from scripts.concord.files import read_object
from scripts.concord.printing import lines_of, print_table

__all__ = ["Context", "consortium_file", "context_of", "load_key", "read_first_line", "read_passphrase"]

Result = TypeVar("Result")

DEFAULT_URL: Final = "http://127.0.0.1:8080"


@dataclass
class Context:
    """Global options, as the root command was given them."""

    url: str
    api_key: str | None
    as_json: bool
    key_file: Path | None
    consortium: Path | None

    def run(self, flow: Flow[Result]) -> Result:
        """Drive a flow against the service. Raises: LedgerError."""
        with Client(self.url, self.api_key) as client:
            return client.run(flow)

    def identity(self, key_file: Path | None = None, cosigner: LocalKey | None = None) -> Identity | None:
        """Who signs: the key file given here or by ``--key``; None: the gateway, with the custodial key."""
        chosen = key_file or self.key_file
        return None if chosen is None else Identity(load_key(chosen), self.domains(), cosigner)

    def require_identity(self, key_file: Path, cosigner: LocalKey | None = None) -> Identity:
        """Who signs, with a key file that must be given."""
        return Identity(load_key(key_file), self.domains(), cosigner)

    def domains(self) -> Domains:
        """The domains of the consortium that was imported. Raises: NotFoundError, MalformedError."""
        path = self.consortium or consortium_file()
        if not path.is_file():
            raise NotFoundError(
                f"signing with your own key needs the consortium's document, and {path} is not there: "
                "run `concord join import` first, and compare its SHA-256 with another member's"
            )
        return parse_domains(read_object(path))

    @property
    def has_terminal(self) -> bool:
        """Whether a person watches: else neither prompt nor progress."""
        return sys.stderr.isatty() and not self.as_json

    def show(self, value: object, sentence: str | None = None) -> None:
        """Print one answer: as JSON, or as a sentence or its members."""
        if self.as_json:
            typer.echo(json.dumps(_json_of(value), ensure_ascii=False))
        elif sentence is not None:
            typer.echo(sentence)
        else:
            typer.echo("\n".join(lines_of(value)))

    def show_list(self, items: Sequence[object], columns: Mapping[str, str]) -> None:
        """Print a list: as JSON, or as a table of ``columns`` (attribute to heading)."""
        if self.as_json:
            typer.echo(json.dumps([_json_of(item) for item in items], ensure_ascii=False))
        elif items:
            print_table(items, columns)
        else:
            typer.echo("none")

    def note(self, sentence: str) -> None:
        """Tell something beside the answer."""
        typer.echo(f"concord: {sentence}", err=True)

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """A sign of life where a person watches; what it yields tells how far it is."""
        if not self.has_terminal:
            yield lambda _: None
            return
        with Console(stderr=True).status(what) as status:
            yield status.update


def context_of(context: typer.Context) -> Context:
    """The global options of a command."""
    found = context.find_object(Context)
    if found is None:
        raise RuntimeError("the root command sets the context")
    return found


def consortium_file() -> Path:
    """Where ``concord join import`` puts the consortium's document."""
    return Path(platformdirs.user_config_dir("concord")) / "consortium.json"


def read_passphrase(what: str, *, is_new: bool = False) -> str:
    """The passphrase from CONCORD_PASSPHRASE, or the first line of CONCORD_PASSPHRASE_FILE, or asked for.

    Raises:
        MalformedError: there is none, or it is empty.
        NotFoundError: the file is not there.
    """
    source, given = "CONCORD_PASSPHRASE", os.environ.get("CONCORD_PASSPHRASE")
    file = os.environ.get("CONCORD_PASSPHRASE_FILE")
    if given is None and file is not None:
        source, given = f"the first line of {file} (CONCORD_PASSPHRASE_FILE)", read_first_line(Path(file))
    if given == "":
        raise MalformedError(f"{source} is empty: a key without a passphrase is anybody's")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise MalformedError(
            f"no passphrase for {what}: set CONCORD_PASSPHRASE or CONCORD_PASSPHRASE_FILE, or run this in a terminal"
        )
    return str(typer.prompt(f"Passphrase for {what}", hide_input=True, confirmation_prompt=is_new, err=True))


def read_first_line(path: Path) -> str:
    """The first line of a secret's file, empty where there is none. Raises: NotFoundError."""
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    return next(iter(path.read_text().splitlines()), "")


def load_key(path: Path) -> LocalKey:
    """A key from an encrypted v3 key file. Raises: NotFoundError, MalformedError, WrongPassphraseError."""
    if not path.is_file():
        raise NotFoundError(f"there is no key file {path}: give its path, or draw a key with `concord key new`")

    return LocalKey(read_key_file(path, read_passphrase(path.name)))


def _json_of(value: object) -> JsonValue:
    return dump_value(value) if is_dataclass(value) else value  # type: ignore[return-value]  # else plain JSON
