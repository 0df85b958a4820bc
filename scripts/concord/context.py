"""What every command needs: where the service is, whose key signs, and how answers are shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import platformdirs
import typer
from rich.console import Console
from rich.table import Table

from ledger.canonical import JsonValue, parse_canonical
from ledger.client import Client, Flow, Identity, LocalKey, parse_domains
from ledger.errors import MalformedError, NotFoundError
from ledger.statements import Domains
from ledger.surface.codec import dump_value

__all__ = ["Context", "consortium_file", "context_of", "load_key", "parse_time", "read_passphrase"]

Result = TypeVar("Result")

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_WIDTH: Final = 180


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
        return parse_domains(parse_canonical(path.read_bytes().rstrip(b"\n"), max_size_bytes=1 << 20))

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
            for name, member in _rows(value):
                typer.echo(f"{name + ':':<18} {member}")

    def show_list(self, items: Sequence[object], columns: Mapping[str, str]) -> None:
        """Print a list: as JSON, or as a table of ``columns`` (attribute to heading)."""
        if self.as_json:
            typer.echo(json.dumps([_json_of(item) for item in items], ensure_ascii=False))
            return
        if not items:
            typer.echo("none")
            return
        table = Table(box=None, pad_edge=False)
        for heading in columns.values():
            table.add_column(heading, overflow="fold")
        for item in items:
            table.add_row(*[_text(getattr(item, name)) for name in columns])
        width = None if sys.stdout.isatty() else _WIDTH
        Console(width=width, highlight=False).print(table)


def context_of(context: typer.Context) -> Context:
    """The global options of a command."""
    found = context.find_object(Context)
    if found is None:
        raise RuntimeError("the root command sets the context")
    return found


def consortium_file() -> Path:
    """Where ``concord join import`` puts the consortium's document."""
    return Path(platformdirs.user_config_dir("concord")) / "consortium.json"


def read_passphrase(what: str) -> str:
    """The passphrase from CONCORD_PASSPHRASE, or asked for where a person watches. Raises: MalformedError."""
    given = os.environ.get("CONCORD_PASSPHRASE")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise MalformedError(f"no passphrase for {what}: set CONCORD_PASSPHRASE, or run this in a terminal")
    return str(typer.prompt(f"Passphrase for {what}", hide_input=True, err=True))


def load_key(path: Path) -> LocalKey:
    """A key from an encrypted v3 key file. Raises: NotFoundError, MalformedError, VerificationError."""
    from ledger.keyfiles import read_key_file  # noqa: PLC0415 - the key library takes half a second to load

    return LocalKey(read_key_file(path, read_passphrase(path.name)))


def parse_time(text: str) -> datetime:
    """A time: RFC 3339, a date (its midnight, UTC), or from now: ``90d``, ``12h``. Raises: typer.BadParameter."""
    units = {"d": "days", "h": "hours", "m": "minutes"}
    if text[:-1].isdecimal() and text[-1:] in units:
        return datetime.now(UTC).replace(microsecond=0) + timedelta(**{units[text[-1]]: int(text[:-1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("give a time as 2026-12-31, 2026-12-31T09:00:00Z, or from now as 90d") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _json_of(value: object) -> JsonValue:
    return dump_value(value) if is_dataclass(value) else value  # type: ignore[return-value]  # else plain JSON


def _rows(value: object) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [(str(name), _text(member)) for name, member in value.items()]
    if is_dataclass(value):
        return [(field.name, _text(getattr(value, field.name))) for field in fields(value)]
    return [("answer", _text(value))]


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, tuple | list | frozenset):
        return ", ".join(_text(item) for item in value) or "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
