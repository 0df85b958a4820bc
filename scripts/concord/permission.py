"""`concord evidence permitted`: was it permitted then? Asked at the gateway, judged by the asker's policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ledger.client import Flow
from ledger.client import evidence as flows
from ledger.client import statements as statement_flows
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.evidence import build_bundle, build_event_evidence, parse_event_evidence
from ledger.evidence.header import Header
from ledger.statements import Statement
from ledger.types import Bytes32
from scripts.concord.arguments import now, parse_digest, parse_time
from scripts.concord.context import Context, context_of
from scripts.concord.exit_codes import finding_out
from scripts.concord.files import check_place, read_object, write_file
from scripts.concord.statements import load_policy, pins_of

__all__ = ["message_of", "permitted"]

_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every block: whatever attestation there is, is later."""


def permitted(
    context: typer.Context,
    grant: Annotated[Bytes32, typer.Argument(parser=parse_digest, metavar="GRANT", help="The grant's digest.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A file (a bundle), or a folder that is there.")],
    policy: Annotated[Path, typer.Option(help="Your policy: what judges.", dir_okay=False)],
    at: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, metavar="TIME", help="The moment asked about; without: every moment."),
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="For this version of the dataset.")] = None,
    right: Annotated[
        list[str] | None, typer.Option(metavar="RIGHT", help="To do this: read, derive, ...; repeatable.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="The grant's text (JSON), where the gateway never had it.", dir_okay=False)
    ] = None,
    rpc: Annotated[
        str | None, typer.Option(help="A node of your choice, for blocks that your policy does not pin yet.")
    ] = None,
) -> None:
    """Was it permitted by this grant? Writes proof and prints the verdict.

    The proof is the grant and an attestation of it that is later than TIME: one that your policy pins, else one for
    which the chain is asked. The exit code is the verifier's: 0 it was, 1 this grant did not permit it (another may
    have), 2 undetermined.
    """
    given = context_of(context)
    if at is not None and at > now():
        raise MalformedError(f"{at:%Y-%m-%d %H:%M:%SZ} lies in the future: nobody can show what will be permitted")
    message = None if text is None else message_of(text)
    case = _Case(given, grant, message, pins_of(load_policy(policy)))
    with finding_out("whether it was permitted"):
        attestation = case.find_attestation(at, is_fresh=rpc is not None and at is None)
        places = _place(output, {"grant.json": case.fetch_grant(), "attestation.json": attestation})
    if case.outside and rpc is None:
        given.note(
            f"your policy does not pin the block of {' and '.join(case.outside)}: extend it (`concord policy create "
            "--extends`) and ask again, or give --rpc, a node of your choice"
        )
    asked = ["--permitted"] if at is None else ["--permitted-at", f"{at:%Y-%m-%dT%H:%M:%SZ}"]
    asked += ["--grant", str(grant)]
    asked += [] if version is None else ["--version", str(version)]
    asked += [part for each in right or [] for part in ("--right", each)]
    _judge(given, places, policy, rpc, asked)


def message_of(path: Path) -> dict[str, Any]:
    """The text of a grant: the message alone, or any file that has it (evidence, `concord statement keep`)."""
    document = read_object(path)
    for holder in (document.get("statement"), document):
        message = holder.get("message") if isinstance(holder, dict) else None
        if isinstance(message, dict):
            return message
    return document


@dataclass
class _Case:
    """Collects the proof: as far as the policy pins it, the rest under the service's head (``outside``: what)."""

    context: Context
    grant: Bytes32
    message: dict[str, Any] | None
    pins: Sequence[tuple[int, int | None]]
    outside: list[str] = field(default_factory=list)

    def find_attestation(self, at: datetime | None, *, is_fresh: bool) -> bytes:
        """An attestation later than ``at``: the newest that the policy pins, else the newest, else a new one."""
        moment = at or (now() if is_fresh else _EVER)
        raw = None if is_fresh else self._find_pinned(moment)
        if raw is None:
            with self.context.working("having the chain attest the grant"):
                self.context.run(flows.attestation_after(self.grant, moment, message=self.message))
            raw = self._find_pinned(moment)
        if raw is None:
            self.outside.append("the attestation")
            raw = self.context.run(flows.grant_attestation_evidence(self.grant))
        shown = parse_event_evidence(raw)
        if shown.statement is not None or self.message is None:
            return raw
        grant = Statement.parse("AccessGrant", self.message)
        return build_event_evidence(shown.chain, statement=grant, history=shown.history).to_bytes()

    def fetch_grant(self) -> bytes:
        """The grant's own evidence, or, where it came past the gateway, that of the contract's event."""
        try:
            return self._prove("the grant", lambda pins: statement_flows.evidence(self.grant, pins=pins))
        except NotFoundError:
            return self._prove("the grant", lambda pins: flows.event(self.grant, pins=pins))

    def _find_pinned(self, moment: datetime) -> bytes | None:
        """The newest attestation that the policy pins, if it is later than ``moment``."""
        try:
            raw = self.context.run(flows.grant_attestation_evidence(self.grant, pins=self.pins))
        except NotFoundError:
            return None
        except ConflictError as error:
            if error.code != "outside-range":
                raise
            return None
        attested_at = Header.parse(parse_event_evidence(raw).chain.header).timestamp
        return raw if attested_at > moment.timestamp() else None

    def _prove(self, what: str, ask: Callable[[Sequence[tuple[int, int | None]]], Flow[bytes]]) -> bytes:
        try:
            return self.context.run(ask(self.pins))
        except ConflictError as error:
            if error.code != "outside-range":
                raise
        self.outside.append(what)
        return self.context.run(ask(()))


def _place(output: Path, files: dict[str, bytes]) -> list[Path]:
    if output.is_dir():
        for name, raw in files.items():
            write_file(output / name, raw)
        return [output / name for name in files]
    check_place(output)
    write_file(output, build_bundle(files.values()))
    return [output]


def _judge(context: Context, files: Sequence[Path], policy: Path, rpc: str | None, asked: Sequence[str]) -> None:
    from scripts.verify_provenance import main  # noqa: PLC0415 - its own program

    options = ["--policy", str(policy), *asked, *([] if rpc is None else ["--rpc", rpc])]
    raise typer.Exit(main([*map(str, files), *options, *(["--json"] if context.as_json else [])]))
