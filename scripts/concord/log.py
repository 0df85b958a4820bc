"""`concord log`: the gateway's own log on its own machine, and what a log promised to others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import typer

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.evidence import parse_event_evidence
from ledger.evidence.policy import PinnedLog, Policy
from ledger.surface.attestations import AttestationState
from ledger.surface.codec import dump_value
from scripts.concord.arguments import HOME, DatabaseOption, HomeOption
from scripts.concord.context import Context, context_of, read_passphrase
from scripts.concord.exit_codes import finding_out
from scripts.concord.files import check_place, write_file
from scripts.concord.printing import text_of
from scripts.concord.statements import load_policy

__all__ = ["app"]

app = typer.Typer(help="Logs: recover one's own, hold another to its receipts.", no_args_is_help=True)

Kept = Annotated[
    Path,
    typer.Argument(
        metavar="KEPT", help="What `concord statement keep` wrote, or the statement's evidence.", dir_okay=False
    ),
]
Sender = Annotated[
    Path | None,
    typer.Option(help="Key file of an account that may send transactions on the chain.", dir_okay=False),
]

_MOST_SHOWN = 20
_HELD_S = 30


@app.command()
def recover(
    context: typer.Context,
    mirror: Annotated[
        str, typer.Option("--from", metavar="URL|FOLDER", help="A mirror, or a newer copy, of this gateway's log.")
    ],
    home: HomeOption = HOME,
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


@app.command()
def attest(
    context: typer.Context,
    rpc: Annotated[str | None, typer.Option(help="A node of your choice; without: the gateway sends.")] = None,
    policy: Annotated[Path | None, typer.Option(help="With --rpc: your policy.", dir_okay=False)] = None,
    named: Annotated[
        str | None, typer.Option("--log", help="With --rpc: of several logs, its origin, its id or its operator's.")
    ] = None,
    sender: Sender = None,
) -> None:
    """Have the chain say how large a log is now.

    Shows that something was not anchored by then. The gateway sends the transaction, or you do, with a node and an
    account of your own: anyone may.
    """
    given = context_of(context)
    if rpc is None:
        _attest_by_gateway(given)
        return
    if policy is None or sender is None:
        raise MalformedError("--rpc needs --policy, which names contracts and logs, and --sender, who sends")
    from ledger.chain import encode_attest_log  # noqa: PLC0415 - loads the EVM
    from scripts.concord.chain_side import load_sender, open_chain  # noqa: PLC0415 - as above

    pinned = load_policy(policy)
    log = _choose_log(pinned, named)
    contract = pinned.address_of("CheckpointLog")
    with open_chain(rpc, pinned.chain_id) as chain:
        current = chain.present(contract, log)
        sent = chain.send(load_sender(sender), encode_attest_log(pinned.domains.contracts, log.id, current))
        attested_at = datetime.fromtimestamp(chain.time_of(sent.block_number), UTC)
    answer = {
        "log": str(log.id),
        "size": current.size,
        "root": str(current.root),
        "time": attested_at.isoformat(),
        "transaction": str(sent.transaction_hash),
        "block": sent.block_number,
    }
    given.show(answer, _tell_attested(log.origin, current.size, str(current.root), sent.block_number, attested_at))


@app.command()
def breach(
    context: typer.Context,
    kept: Kept,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the evidence goes.", dir_okay=False)],
    policy: Annotated[Path, typer.Option(help="Your policy.", dir_okay=False)],
    rpc: Annotated[str, typer.Option(help="A node of your choice; the log's gateway is not asked.")],
    receipt: Annotated[Path | None, typer.Option(help="The receipt, where it is a file apart.", dir_okay=False)] = None,
    tiles: Annotated[
        str | None, typer.Option(metavar="URL|FOLDER", help="A mirror of the log, to see what it holds at your index.")
    ] = None,
    sender: Sender = None,
) -> None:
    """Did a log keep the promise of your receipt?

    If not, writes the evidence and judges it. Found out from the chain and a mirror, without the gateway. Exit 0: the
    promise was kept; 1: it was broken, and the evidence shows it; 2: not to be told yet.
    """
    from scripts.concord.breaching import find_breach, load_promise  # noqa: PLC0415 - loads the EVM
    from scripts.concord.chain_side import load_sender, open_chain  # noqa: PLC0415 - as above
    from scripts.verify_provenance import main  # noqa: PLC0415 - its own program

    given = context_of(context)
    check_place(output)
    pinned = load_policy(policy)
    promises = load_promise(kept, pinned, receipt)
    account = None if sender is None else load_sender(sender)
    with (
        finding_out("whether the promise was kept"),
        given.working(f"reading {rpc}"),
        open_chain(rpc, pinned.chain_id) as chain,
    ):
        promise, found = find_breach(chain, pinned, promises, tiles, account)
    if found is None:
        sentence = f"the promise was kept: {promise.log.origin} anchored your entry {promise.index} in time"
        given.show({"kept": True, "log": str(promise.log.id), "index": promise.index}, sentence)
        return
    write_file(output, found.to_bytes())
    given.note(f"the promise was broken ({found.kind}); the evidence is in {output}")
    judged = main([str(output), "--policy", str(policy), "--rpc", rpc, *(["--json"] if given.as_json else [])])
    raise typer.Exit(1 if judged == 0 else 2)  # a breach that is verified is a finding


def _attest_by_gateway(context: Context) -> None:
    from ledger.client import evidence as flows  # noqa: PLC0415 - only here

    view = context.run(flows.attest_log(wait_s=_HELD_S))
    if view.state is not AttestationState.FINAL or view.block is None or view.time is None:
        context.show(view)  # on its way: without an event there is no size yet
        return
    members = parse_event_evidence(context.run(flows.log_attestation_evidence())).members
    size, root = int(str(members["size"])), str(members["root"])
    shown = {**cast("dict[str, JsonValue]", dump_value(view)), "size": size, "root": root}
    context.show(shown, _tell_attested(str(view.subject), size, root, view.block, view.time))


def _tell_attested(log: str, size: int, root: str, block: int, time: datetime) -> str:
    return f"attested: {log} has {size} entries anchored, root {root}\n{text_of(time)}, block {block}"


def _choose_log(policy: Policy, named: str | None) -> PinnedLog:
    found = [log for log in policy.logs if named in (None, log.origin, str(log.id), str(log.operator))]
    if len(found) == 1:
        return found[0]
    names = "".join(f"\n  {log.id}  {log.origin} of operator {log.operator}" for log in policy.logs)
    raise MalformedError(f"--log names one of the logs of your policy, by origin or id:{names}")
