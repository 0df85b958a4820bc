"""`concord statements sign`: a file of statements to a file of signed ones, offline."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated

import typer
from pydantic_core import from_json

from ledger.canonical import JsonValue
from ledger.client import Identity
from ledger.errors import LedgerError, MalformedError
from ledger.statements import Statement
from ledger.types import Bytes32
from scripts.concord.arguments import KeyOption, now, parse_digest, parse_time
from scripts.concord.context import context_of
from scripts.concord.files import check_place
from scripts.concord.importing import STDIN, FileArgument, check_source
from scripts.concord.printing import count_of

__all__ = ["sign_file"]


def _parse_participant(text: str) -> Bytes32:
    try:
        return parse_digest(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(
            f"{text!r} is no id, and signing is offline, where no handle is looked up: `concord participant show "
            "HANDLE` prints its id (0x and 64 hex digits)"
        ) from error


OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to write; without: FILE with .signed before its ending.")
]
ParticipantOption = Annotated[
    Bytes32 | None,
    typer.Option(parser=_parse_participant, metavar="ID", help="In whose name, where a line says none: its id."),
]
DeadlineOption = Annotated[
    datetime,
    typer.Option(parser=parse_time, metavar="TIME", help="Until when a log may take those that do not say it."),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Overwrite the output. Its statements get new salts: others than before.")
]


def sign_file(
    context: typer.Context,
    file: FileArgument,
    key: KeyOption = None,
    output: OutputOption = None,
    participant: ParticipantOption = None,
    deadline: DeadlineOption = "24h",  # type: ignore[assignment]  # typer parses it
    replace: ReplaceOption = False,
) -> None:
    """Sign a file of statements with your own key, offline, for `concord statements import`.

    A line is {"type": "DatasetRegistration", "message": {...}} with the members that docs/spec/statements.md names.
    What may be left out: participant (--participant), deadline (--deadline), salt (drawn); of a registration also
    datasetSalt (drawn), version (1) and parents (none). Sign once and keep the file: drawn salts make other statements
    each time.
    """
    given = context_of(context)
    chosen = key or given.key_file
    if chosen is None:
        raise MalformedError("signing needs your own key: --key FILE, or CONCORD_KEY; `concord key new` draws one")
    if deadline <= now():
        raise MalformedError(f"the deadline {deadline:%Y-%m-%d %H:%M:%SZ} has passed: no log would take the statements")
    place = _choose_place(file, output, replace=replace)
    check_source(file)
    identity = given.require_identity(chosen)
    defaults = _Defaults(participant, int(deadline.timestamp()))
    with _lines_of(file) as lines, _staged(place) as staged:
        count = _sign_all(lines, identity, defaults, staged)
    given.show(
        {"file": str(place), "signed": count, "signer": str(identity.signer.address)},
        f"{count_of(count, 'statement')} signed by {identity.signer.address} in {place}\n"
        f"next: concord statements import {place}",
    )


def _choose_place(file: Path, output: Path | None, *, replace: bool) -> Path:
    """Where the signed statements go. Raises: MalformedError: nowhere, or to where some lie already."""
    if file == STDIN and output is None:
        raise MalformedError("statements from standard input need --output FILE")
    place = output or file.with_name(f"{file.stem}.signed{file.suffix or '.ndjson'}")
    check_place(place)
    if place.exists() and not replace:
        raise MalformedError(f"{place} is there already: import it, or sign anew with --replace (other statements)")
    return place


@dataclass(frozen=True)
class _Defaults:
    """What a message says where it says nothing."""

    participant: Bytes32 | None
    deadline: int

    def fill(self, type_name: object, message: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The whole message."""
        found: dict[str, JsonValue] = {"deadline": str(self.deadline), "salt": _draw()}
        if self.participant is not None:
            found["participant"] = str(self.participant)
        if type_name == "DatasetRegistration":
            found |= {"datasetSalt": _draw(), "version": "1", "parents": []}
        return found | message


def _draw() -> str:
    return "0x" + secrets.token_hex(32)


@contextmanager
def _lines_of(file: Path) -> Iterator[Iterable[bytes]]:
    if file == STDIN:
        yield sys.stdin.buffer
        return
    with file.open("rb") as lines:
        yield lines


@contextmanager
def _staged(place: Path) -> Iterator[IO[str]]:
    """A file that appears whole or not at all."""
    staged = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with staged.open("w", encoding="utf-8") as file:
            yield file
        staged.replace(place)
    finally:
        staged.unlink(missing_ok=True)


def _sign_all(lines: Iterable[bytes], identity: Identity, defaults: _Defaults, out: IO[str]) -> int:
    count = 0
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            signed = _sign(line, identity, defaults)
        except LedgerError as error:
            raise MalformedError(f"line {number}: {error}; nothing was written") from error
        out.write(json.dumps(signed, separators=(",", ":")) + "\n")
        count += 1
    return count


def _sign(line: bytes, identity: Identity, defaults: _Defaults) -> dict[str, JsonValue]:
    try:
        given = from_json(line)
    except ValueError as error:
        raise MalformedError("it is not JSON") from error
    if not isinstance(given, dict) or set(given) != {"type", "message"} or not isinstance(given["message"], dict):
        raise MalformedError('a statement to sign is {"type": ..., "message": {...}} and nothing else')
    statement = Statement.parse(given["type"], defaults.fill(given["type"], given["message"]))
    digest = statement.digest(identity.domains)
    return {
        "type": statement.type.name,
        "message": statement.to_json(),
        "signature": "0x" + identity.signer.sign(digest).hex(),
        "signer": str(identity.signer.address),
    }
