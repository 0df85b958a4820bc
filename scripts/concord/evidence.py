"""`concord evidence`: what settles a question later, offline: statements, events, permission, bundles, upgrades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import typer.core

from ledger.client import datasets
from ledger.client import evidence as flows
from ledger.client import statements as statement_flows
from ledger.errors import MalformedError, NotFoundError, VerificationError
from ledger.evidence import (
    Evidence,
    build_event_evidence,
    export_tlog_proof,
    parse_evidence,
    read_bundle,
)
from ledger.evidence.bundle import BundleMember
from ledger.evidence.members import StatedForm
from ledger.evidence.policy import Policy
from ledger.statements import Statement, compute_dataset_id
from ledger.surface.views import LineageView
from ledger.types import Bytes32
from scripts.concord.arguments import parse_digest
from scripts.concord.context import Context, context_of
from scripts.concord.files import check_place, write_file
from scripts.concord.permission import message_of, permitted
from scripts.concord.printing import count_of
from scripts.concord.statements import fetch_evidence, load_policy, pins_of, split_version

__all__ = ["app", "message_of"]

_DEFAULT: Final = "statement"
_MOST_NAMED: Final = 20


class _Group(typer.core.TyperGroup):
    """``concord evidence DIGEST`` is ``concord evidence statement DIGEST``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [_DEFAULT, *args] if args and _is_no_command(args[0]) else args)


def _is_no_command(text: str) -> bool:
    """A digest, a dataset's name, or an option of the default command."""
    return text.startswith("0x") or "/" in text or (text.startswith("-") and text != "--help")


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="What settles a question later, offline. `concord evidence DIGEST -o FILE` is `evidence statement`.",
)
app.command("permitted")(permitted)

Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write it.", dir_okay=False)]
PolicyOption = Annotated[
    Path | None, typer.Option(help="The policy whose pinned blocks it must stand under.", dir_okay=False)
]
Name = Annotated[
    str, typer.Argument(metavar="PROVIDER/SLUG[@N]", help="The dataset's version; without @N: the latest.")
]
EvidenceFile = Annotated[Path, typer.Argument(metavar="EVIDENCE", help="An evidence file of a statement.")]


@app.command("statement")
def statement(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="DIGEST", help="The statement's digest, or PROVIDER/SLUG[@N]: its registration.")
    ],
    output: Output,
    policy: PolicyOption = None,
) -> None:
    """Write the evidence of a statement, or of a dataset's version."""
    given = context_of(context)
    check_place(output)
    pinned = _policy_of(policy)
    digest = parse_digest(name) if "/" not in name else _registration(given, name)
    _keep(given, output, fetch_evidence(given, digest, pinned))


@app.command("event")
def event(
    context: typer.Context,
    digest: Annotated[Bytes32, typer.Argument(parser=parse_digest, metavar="DIGEST", help="The statement's digest.")],
    output: Output,
    policy: PolicyOption = None,
    name: Annotated[
        str | None, typer.Option("--event", help="Another event of its transaction: AgreementActivated.")
    ] = None,
) -> None:
    """Write the contract's event of a statement in force.

    Also of one that was said nowhere here, because it came to the chain past every gateway.
    """
    given = context_of(context)
    check_place(output)
    raw = given.run(flows.event(digest, name=name, pins=pins_of(_policy_of(policy))))
    _keep(given, output, raw)


@app.command("attest")
def attest(
    context: typer.Context,
    text: Annotated[
        Path,
        typer.Argument(metavar="GRANT", help="The grant's text: its evidence, or `concord statement keep`'s file."),
    ],
    output: Output,
    policy: Annotated[Path, typer.Option(help="Your policy.", dir_okay=False)],
    rpc: Annotated[str, typer.Option(help="A node of your choice; no gateway is asked.")],
    sender: Annotated[Path, typer.Option(help="Key file of an account that may send transactions.", dir_okay=False)],
) -> None:
    """Have the chain attest a grant, without a gateway.

    Writes the evidence of it. Anyone may send the transaction. `concord verify OUT --policy P --permitted-at TIME`
    judges it.
    """
    from ledger.chain import encode_attest_grant  # noqa: PLC0415 - loads the EVM
    from scripts.concord.chain_side import load_sender, open_chain, place_of  # noqa: PLC0415 - as above

    given = context_of(context)
    check_place(output)
    pinned = load_policy(policy)
    grant = Statement.parse("AccessGrant", message_of(text))
    account = load_sender(sender)
    with given.working(f"sending to {rpc}"), open_chain(rpc, pinned.chain_id) as chain:
        receipt = chain.send(account, encode_attest_grant(pinned.domains.contracts, grant))
        proof = chain.prove(place_of(receipt), pinned)
        head = Bytes32.parse(str(build_event_evidence(proof).members["historyHead"]))
        history = chain.history(pinned.address_of("ParticipantRegistry"), head)
    _keep(given, output, build_event_evidence(proof, statement=grant, history=history).to_bytes())


@app.command("bundle")
def bundle(
    context: typer.Context,
    name: Name,
    output: Output,
    policy: PolicyOption = None,
    grants: Annotated[bool, typer.Option(help="With the grants that you may know of.")] = True,
    chunks: Annotated[bool, typer.Option(help="With the hashes of the files' chunks.")] = True,
) -> None:
    """Write all about a dataset and its ancestors in one file.

    That is the version, those before it, what they are derived from, and their grants. Says which registrations' texts
    are withheld from you (of them the file has the contract's events alone), and what the policy does not pin yet.
    """
    given = context_of(context)
    check_place(output)
    pins = pins_of(_policy_of(policy))
    dataset, number = split_version(given, name)
    left_out: list[str] = []
    with given.working("collecting evidence"):
        raw = given.run(flows.bundle(dataset, number, pins=pins, chunks=chunks, grants=grants, tell=left_out.append))
        held = read_bundle(raw)
        withheld = _withheld(given.run(datasets.lineage(dataset, number)), held)
    write_file(output, raw)
    members = len(held)
    lines = [f"{count_of(members, 'member')} written to {output} ({count_of(len(raw), 'byte')})"]
    if withheld:
        lines.append(f"withheld from you, shown by the contract's events alone, or not at all ({len(withheld)}):")
        lines += [f"  {each['name'] or each['dataset']}@{each['version']}  {each['registration']}"
                  for each in withheld[:_MOST_NAMED]]  # fmt: skip
        lines += ["  ... (--json names all)"] if len(withheld) > _MOST_NAMED else []
    if left_out:
        lines.append("left out, not final yet or in a block that your policy does not pin (extend it and ask again):")
        lines += [f"  {each}" for each in left_out]
    answer = {"file": str(output), "size_bytes": len(raw), "members": members, "withheld": withheld}
    answer["left_out"] = left_out
    given.show(answer, "\n".join(lines))


@app.command("upgrade")
def upgrade(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The evidence that you kept.", dir_okay=False)],
    output: Output,
    policy: Annotated[Path, typer.Option(help="Your present policy.", dir_okay=False)],
) -> None:
    """Link kept evidence to the newest anchored checkpoint.

    Its blocks are shown under your present policy. What it says stays: which checkpoint first covered the entry,
    statement, signature and content are those of OLD.
    """
    given = context_of(context)
    check_place(output)
    pinned = load_policy(policy)
    kept = _read_evidence(old)
    digest = Statement.parse(kept.type_name, kept.message).digest(pinned.domains)
    raw = given.run(statement_flows.evidence(digest, pins=pins_of(pinned), chunks=False, upgrade=True))
    fresh = parse_evidence(raw)
    if (fresh.log, fresh.signature, fresh.message) != (kept.log, kept.signature, kept.message):
        raise VerificationError(
            "the service shows another entry, signature or first checkpoint than the evidence that you kept: keep both "
            "and compare the checkpoints with scripts/check_consistency.py"
        )
    linked = replace(kept, anchor=fresh.anchor, effect=fresh.effect, later=fresh.later, history=fresh.history)
    write_file(output, linked.to_bytes())
    how = "linked to the newest checkpoint" if linked.later else "no newer checkpoint is anchored: pinned anew"
    given.show({"file": str(output), "linked": linked.later is not None}, f"{how}; written to {output}")


@app.command("tlog-proof")
def tlog_proof(context: typer.Context, file: EvidenceFile, output: Output) -> None:
    """Write the inclusion proof alone, as C2SP tlog-proof.

    For other people's programs: it needs nothing else of ours.
    """
    given = context_of(context)
    check_place(output)
    write_file(output, export_tlog_proof(_read_evidence(file)))
    given.show({"file": str(output)}, f"tlog-proof written to {output}")


def _keep(context: Context, output: Path, raw: bytes) -> None:
    write_file(output, raw)
    context.show({"file": str(output), "size_bytes": len(raw)}, f"evidence written to {output}")


def _policy_of(path: Path | None) -> Policy | None:
    return None if path is None else load_policy(path)


def _registration(context: Context, name: str) -> Bytes32:
    return context.run(datasets.version(*split_version(context, name))).registration


def _read_evidence(path: Path) -> Evidence:
    try:
        return parse_evidence(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no evidence {path}") from error
    except MalformedError as error:
        raise MalformedError(f"{path} is no evidence of a statement: {error}") from error


def _withheld(lineage: LineageView, members: Sequence[BundleMember]) -> list[dict[str, Any]]:
    """The registrations of a lineage whose texts are not among the members."""
    shown = {each for member in members if (each := _registered(member)) is not None}
    return [each for each in _walk(lineage, set()) if (each["dataset"], each["version"]) not in shown]


def _registered(member: BundleMember) -> tuple[str, int] | None:
    stated = StatedForm(member.type_name, member.message) if isinstance(member, Evidence) else member.statement
    if stated is None or stated.type_name != "DatasetRegistration":
        return None
    message: dict[str, Any] = stated.message
    provider, salt = (Bytes32.parse(message[name]) for name in ("participant", "datasetSalt"))
    return str(compute_dataset_id(provider, salt)), int(message["version"])


def _walk(view: LineageView, seen: set[Bytes32]) -> list[dict[str, Any]]:
    if view.registration in seen:
        return []
    seen.add(view.registration)
    own = {
        "name": view.name,
        "dataset": str(view.dataset),
        "version": view.version,
        "registration": str(view.registration),
    }
    return [own, *(each for parent in view.parents for each in _walk(parent, seen))]
