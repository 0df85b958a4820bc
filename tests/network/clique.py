"""go-ethereum 1.13.15 with clique: three sealers that take turns. A stand-in for the engine of production.

It reorganises by a block now and then and has no finality, which is more than Besu QBFT asks of us; it has a base fee,
so accounts need a price and a balance. Four sealers may deadlock (go-ethereum#18402), three do not.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coincurve import PrivateKey

from ledger.keyfiles import write_key_file
from ledger.statements import address_of, generate_private_key
from tests.network.nodes import Node, wait_until
from tests.support.ports import draw_ports

__all__ = ["CliqueNetwork"]

_CHAIN_ID: Final = 4_126_602
_PASSPHRASE: Final = "a test's"
_RICH: Final = hex(10**24)
_FORKS: Final = (
    *("homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock", "constantinopleBlock"),
    *("petersburgBlock", "istanbulBlock", "berlinBlock", "londonBlock"),
)


@dataclass(frozen=True)
class _Sealer:
    folder: Path
    key: bytes
    p2p_key: bytes
    p2p_port: int

    @property
    def address(self) -> str:
        return str(address_of(self.key))

    @property
    def enode(self) -> str:
        public = PrivateKey(self.p2p_key).public_key.format(compressed=False)[1:]
        return f"enode://{public.hex()}@127.0.0.1:{self.p2p_port}?discport=0"


class CliqueNetwork:
    """Three sealers with a block each second; see ``Network``."""

    spare = 1
    gas_price_wei = 10**9
    finality_blocks = 2
    is_sealed = False

    def __init__(self, geth: Path, folder: Path) -> None:
        ports = iter(draw_ports(9))
        self._sealers = [_draw_sealer(folder / f"sealer-{place}", next(ports)) for place in range(3)]
        genesis = folder / "genesis.json"
        genesis.write_text(json.dumps(_genesis([each.address for each in self._sealers])))
        self.nodes: list[Node] = []
        for sealer in self._sealers:
            command = [str(geth), "--datadir", str(sealer.folder), "init", str(genesis)]
            subprocess.run(command, check=True, capture_output=True, timeout=180)
            self.nodes.append(_node(geth, sealer, next(ports), next(ports)))

    def connect(self) -> None:
        """Let every running node know the others; static-nodes.json is ignored by this version."""
        running = [node for node in self.nodes if node.process is not None]
        for node in running:
            for sealer in self._sealers:
                node.ask("admin_addPeer", sealer.enode)
        for node in running:
            wait_until(lambda node=node: node.ask("net_peerCount") != "0x0" or len(running) == 1, "peers", 180)  # type: ignore[misc]  # bound at once

    def fund(self, amounts: Mapping[str, int]) -> None:
        """From the first sealer, whom the genesis block made rich."""
        node, rich = self.nodes[0], self._sealers[0].address
        for address, amount in amounts.items():
            transfer = {"from": rich, "to": address, "value": hex(amount), "gasPrice": hex(self.gas_price_wei)}
            node.ask("eth_sendTransaction", transfer)
        for address in amounts:
            wait_until(lambda address=address: node.ask("eth_getBalance", address, "latest") != "0x0", "funded", 180)  # type: ignore[misc]  # bound at once


def _draw_sealer(folder: Path, p2p_port: int) -> _Sealer:
    sealer = _Sealer(folder, generate_private_key(), generate_private_key(), p2p_port)
    (folder / "keystore").mkdir(parents=True)
    write_key_file(folder / "keystore" / "sealer.json", sealer.key, _PASSPHRASE, kdf_cost=2)
    (folder / "passphrase").write_text(_PASSPHRASE)
    return sealer


def _genesis(sealers: list[str]) -> dict[str, object]:
    config: dict[str, object] = dict.fromkeys(_FORKS, 0)
    ordered = "".join(sorted(address.removeprefix("0x") for address in sealers))
    return {
        "config": {"chainId": _CHAIN_ID, **config, "clique": {"period": 1, "epoch": 30_000}},
        "difficulty": "0x1",
        "gasLimit": hex(30_000_000),
        "baseFeePerGas": "0x7",
        "extraData": "0x" + "00" * 32 + ordered + "00" * 65,
        "alloc": {sealers[0]: {"balance": _RICH}},
    }


def _node(geth: Path, sealer: _Sealer, rpc_port: int, auth_port: int) -> Node:
    options = {
        "datadir": sealer.folder, "nodekeyhex": sealer.p2p_key.hex(), "port": sealer.p2p_port,
        "http.port": rpc_port, "http.api": "eth,net,web3,admin,txpool", "authrpc.port": auth_port,
        "unlock": sealer.address, "password": sealer.folder / "passphrase", "miner.etherbase": sealer.address,
        "netrestrict": "127.0.0.0/8", "nat": "none", "syncmode": "full", "gcmode": "archive", "cache": 64,
        "miner.gasprice": 1, "txpool.pricelimit": 1, "networkid": _CHAIN_ID, "verbosity": 2,
    }  # fmt: skip
    flags = ["http", "mine", "nodiscover", "ipcdisable", "allow-insecure-unlock"]
    command = [str(geth), *(f"--{flag}" for flag in flags)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return Node(command, rpc_port, sealer.folder.with_suffix(".log"))
