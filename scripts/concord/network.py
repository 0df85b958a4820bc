"""`concord network`: the files of a permissioned network of one's own (Hyperledger Besu, QBFT)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import MalformedError
from scripts.concord.arguments import parse_address
from scripts.concord.context import Context, context_of

if TYPE_CHECKING:
    from scripts.besu_network import BesuNode, NetworkPlan

__all__ = ["app"]

app = typer.Typer(help="A network of validators: make its files, name who may send.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The network's folder.", file_okay=False)]


ValidatorsOption = Annotated[int, typer.Option(min=1, max=64, help="How many; four stand the loss of one.")]
HostsOption = Annotated[
    list[str] | None,
    typer.Option(metavar="IP", help="Address of each validator's machine, in order; without: all on this one."),
]
PeriodOption = Annotated[int, typer.Option(min=1, metavar="SECONDS", help="Between blocks.")]
AccountsOption = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="May send transactions; repeatable; without: everybody, for now."),
]
P2pPortOption = Annotated[int, typer.Option(min=1, max=65_535, help="For peers; on one machine the first of them.")]
RpcPortOption = Annotated[int, typer.Option(min=1, max=65_535, help="For JSON-RPC; likewise.")]
RpcHostOption = Annotated[str, typer.Option(metavar="IP", help="Where JSON-RPC listens.")]


@app.command()
def init(
    context: typer.Context,
    folder: FolderArgument,
    validators: ValidatorsOption = 4,
    host: HostsOption = None,
    period: PeriodOption = 2,
    account: AccountsOption = None,
    p2p_port: P2pPortOption = 30_303,
    rpc_port: RpcPortOption = 8_545,
    rpc_host: RpcHostOption = "127.0.0.1",
) -> None:
    """Draw a network's chain id and validator keys; write genesis block, node folders, allow lists, start commands."""
    from scripts.besu_network import NetworkPlan, write_network  # noqa: PLC0415 - loads the cryptography

    if host and len(host) != validators:
        raise MalformedError(f"--host names the machine of each of the {validators} validators: {len(host)} given")
    plan = NetworkPlan(
        hosts=tuple(host or ["127.0.0.1"] * validators),
        period_s=period,
        p2p_port=p2p_port,
        rpc_port=rpc_port,
        rpc_host=rpc_host,
        accounts=tuple(map(parse_address, account or [])),
    )
    _show_network(context_of(context), folder, plan, write_network(folder, plan))


def _show_network(given: Context, folder: Path, plan: NetworkPlan, nodes: Sequence[BesuNode]) -> None:
    """What was made, and what is to be done with it."""
    starts = [f"{folder / each.name}/start.sh" for each in nodes]
    lines = "\n".join(f"  {start}    # {each.address}" for start, each in zip(starts, nodes, strict=True))
    safety = (
        f"goes on while {plan.tolerates} of {len(nodes)} are lost"
        if plan.is_safe
        else "stands still when one validator is lost: four stand that"
    )
    given.show(
        {
            "folder": str(folder),
            "validators": {each.name: str(each.address) for each in nodes},
            "rpc": {each.name: f"http://{each.host}:{each.rpc_port}" for each in nodes},
            "start": starts,
            "tolerates": plan.tolerates,
        },
        f"network of {len(nodes)} made in {folder}; it {safety}\n"
        f"give each folder to its operator, over a private channel; then start each:\n{lines}\n"
        f"next: concord init --rpc http://{nodes[0].host}:{nodes[0].rpc_port} "
        "--governor HANDLE=NAME ... --threshold N\n"
        "name every founding governor: without --governor one alone founds the consortium, and decides in it for good",
    )


@app.command()
def add(
    context: typer.Context,
    folder: FolderArgument,
    host: Annotated[str, typer.Option(metavar="IP", help="Address of its machine.")] = "127.0.0.1",
    rpc_host: RpcHostOption = "127.0.0.1",
    account: AccountsOption = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="The network has no list yet: the node takes anybody's transactions.")
    ] = False,
) -> None:
    """Draw one more node and make the others know it; it becomes a validator by their votes.

    Where the folder of another node is here, the list of those who may send transactions is taken from it; else it is
    given: --account, once for each, or --everybody.
    """
    from scripts.besu_network import add_node  # noqa: PLC0415 - loads the cryptography

    if account and everybody:
        raise MalformedError("--account and --everybody exclude each other: either there is a list, or there is none")
    told = () if everybody else tuple(map(parse_address, account)) if account else None
    node = add_node(folder, host, rpc_host, accounts=told)
    start = f"{folder / node.name}/start.sh"
    context_of(context).show(
        {"name": node.name, "address": str(node.address), "enode": node.enode, "start": start},
        f"{node.name} made; restart the others, one after the other, with their new lists; then start it:\n  {start}\n"
        f"next: more than half of the validators call qbft_proposeValidatorVote {node.address} true",
    )


@app.command()
def allow(
    context: typer.Context,
    folder: FolderArgument,
    accounts: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Relay accounts of the gateways.")],
) -> None:
    """Let these accounts send transactions, and nobody who is not named; nodes take it up when they start."""
    from scripts.besu_network import allow_accounts  # noqa: PLC0415 - loads the cryptography

    allowed = allow_accounts(folder, [parse_address(each) for each in accounts])
    named = "\n".join(f"  {each}" for each in allowed)
    context_of(context).show(
        {"allowed": [str(each) for each in allowed]},
        f"may send transactions, once each node was restarted:\n{named}",
    )
