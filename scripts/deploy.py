"""Put a consortium's contracts on a chain and write the file by which others join.

    python -m scripts.deploy draw deployer.key --chain-id N       a fresh deployer, and where its contracts will be
    python -m scripts.deploy run --rpc URL --deployer-key deployer.key --founding founding.json --out consortium.json
    python -m scripts.deploy check --rpc URL consortium.json      is this chain that consortium's?

``run`` may be killed at any moment and run again: it looks at the chain first and does what is missing. Exit codes:
0 done; 1 the chain, the network or a signature says no; 2 the node could not be asked, or did not mine in time: run it
again; 3 a usage error or a malformed file.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ledger.chain import (
    ChainEdge,
    ChainSettings,
    Deployment,
    FoundingFile,
    LocalSigner,
    check_deployment,
    deploy,
    predict_addresses,
)
from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.statements import generate_private_key
from ledger.types import parse_hex
from scripts.usage import USAGE_ERROR, Parser

__all__ = ["main"]

_EXIT_NO: Final = 1
_EXIT_UNAVAILABLE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit code."""
    options = _parse_arguments(arguments)
    try:
        {"draw": _draw, "run": _run, "check": _check}[options.command](options)
    except MalformedError as error:
        return _fail(error, USAGE_ERROR)
    except UnavailableError as error:
        return _fail(error, _EXIT_UNAVAILABLE)
    except LedgerError as error:
        return _fail(error, _EXIT_NO)
    except OSError as error:
        return _fail(error, USAGE_ERROR)
    return 0


def _fail(error: Exception, code: int) -> int:
    print(f"deploy: {error}", file=sys.stderr)
    return code


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="draw a fresh deployer key and say what founders sign under")
    draw.add_argument("key", type=Path, help="the file to write the key to; it must not exist")
    draw.add_argument("--chain-id", type=int, required=True)
    run = commands.add_parser("run", help="deploy, or finish what an earlier run began")
    run.add_argument("--rpc", required=True, metavar="URL", help="the node's JSON-RPC")
    run.add_argument("--deployer-key", type=Path, required=True, metavar="FILE", help="as written by draw")
    run.add_argument("--founding", type=Path, required=True, metavar="FILE", help="the founders' signed applications")
    run.add_argument("--out", type=Path, required=True, metavar="FILE", help="where consortium.json goes")
    run.add_argument("--gas-price", type=int, default=0, metavar="WEI", help="what the network asks; default 0")
    run.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="most to wait; default 300")
    check = commands.add_parser("check", help="compare a consortium file with a chain")
    check.add_argument("--rpc", required=True, metavar="URL", help="a node of your own choice")
    check.add_argument("consortium", type=Path, help="consortium.json")
    return parser.parse_args(arguments)


def _draw(options: argparse.Namespace) -> None:
    signer = LocalSigner(key := generate_private_key())
    descriptor = os.open(options.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"0x{key.hex()}\n")
    print(f"deployer {signer.address}")
    for name, address in predict_addresses(signer.address).items():
        print(f"{name} {address}")
    print(
        f"Founders sign their ParticipantApplication under chain id {options.chain_id} and the ParticipantRegistry's "
        "address. Use this account for nothing else."
    )


def _run(options: argparse.Namespace) -> None:
    founding = FoundingFile.parse(options.founding.read_bytes())
    settings = ChainSettings("node", founding.chain_id, rpc_url=options.rpc, gas_price_wei=options.gas_price)
    with ChainEdge.open(settings) as edge:
        deployment = deploy(
            edge,
            _load_signer(options.deployer_key),
            founding.foundings,
            founding.threshold,
            timeout_s=options.timeout,
            report=print,
        )
    _write_whole(options.out, deployment.to_bytes() + b"\n")
    print(f"wrote {options.out}: give it to the members, who compare its digest with you over another channel")


def _check(options: argparse.Namespace) -> None:
    deployment = Deployment.parse(options.consortium.read_bytes())
    with ChainEdge.open(ChainSettings("node", deployment.chain_id, rpc_url=options.rpc)) as edge:
        check_deployment(edge, deployment)
    print(f"chain {deployment.chain_id} holds this consortium, founded in block {deployment.deployment_block}")


def _load_signer(path: Path) -> LocalSigner:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise MalformedError(f"{path} can be read by others: chmod 600 {path}")
    try:
        return LocalSigner(parse_hex(path.read_text(encoding="ascii").strip(), 32))
    except (MalformedError, ValueError) as error:
        raise MalformedError(f"{path} holds no private key (0x and 64 hex digits)") from error


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside and rename, so that the file is there whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
