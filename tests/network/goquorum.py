"""GoQuorum 24.4.1 with QBFT: four validators, immediate finality, blocks with the same seals as Besu's, no London.

Archived, and no engine of ours: it stands in for Besu where that can not run, and shows that evidence down to the
seals, gas price zero and contracts are the same on another client.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.besu_network import BesuNode, NetworkPlan, build_genesis
from tests.network.nodes import Node, wait_until
from tests.support.ports import draw_ports

__all__ = ["GoQuorumNetwork"]

_CHAIN_ID: Final = 4_126_603
_VALIDATORS: Final = 4
_FORKS: Final = (
    *("homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock", "constantinopleBlock"),
    *("petersburgBlock", "istanbulBlock"),
)


class GoQuorumNetwork:
    """Four validators with a block each second, and no fee; see ``Network``."""

    spare = 1
    gas_price_wei = 0
    finality_blocks = 0
    is_sealed = True

    def __init__(self, geth: Path, folder: Path) -> None:
        ports = iter(draw_ports(2 * _VALIDATORS))
        plan = NetworkPlan(("127.0.0.1",))
        drawn = [BesuNode.draw(plan, 0) for _ in range(_VALIDATORS)]
        validators = [
            BesuNode(f"node-{at}", each.host, next(ports), next(ports), each.key) for at, each in enumerate(drawn)
        ]
        genesis = folder / "genesis.json"
        genesis.write_text(json.dumps(_genesis(validators)))
        enodes = [f"{each.enode}?discport=0" for each in validators]
        self.nodes: list[Node] = []
        for validator in validators:
            data = folder / validator.name
            data.mkdir()
            (data / "static-nodes.json").write_text(json.dumps(enodes))
            command = [str(geth), "--datadir", str(data), "init", str(genesis)]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            self.nodes.append(_node(geth, validator, data))

    def connect(self) -> None:
        """Each node has its list of the others: wait until it found one."""
        running = [node for node in self.nodes if node.process is not None]
        wait_until(lambda: all(node.ask("net_peerCount") != "0x0" for node in running), "peers", 60)

    def fund(self, amounts: Mapping[str, int]) -> None:
        """Nothing to do: no fee is asked."""


def _genesis(validators: list[BesuNode]) -> dict[str, object]:
    qbft = {
        "epochlength": 30_000,
        "blockperiodseconds": 1,
        "requesttimeoutseconds": 2,
        "policy": 0,
        "ceil2Nby3Block": 0,
    }
    config: dict[str, object] = dict.fromkeys(_FORKS, 0)
    config |= {"chainId": _CHAIN_ID, "isQuorum": True, "qbft": qbft, "txnSizeLimit": 64}
    return build_genesis(_CHAIN_ID, [each.address for each in validators], 1, 0x5F000000) | {"config": config}


def _node(geth: Path, validator: BesuNode, data: Path) -> Node:
    options = {
        "datadir": data, "nodekeyhex": validator.key.hex(), "port": validator.p2p_port, "networkid": _CHAIN_ID,
        "http.port": validator.rpc_port, "http.api": "eth,net,web3,istanbul", "nat": "none", "syncmode": "full",
        "gcmode": "archive", "cache": 64, "miner.gasprice": 0, "miner.threads": 1,
        "txpool.pricelimit": 0, "verbosity": 2,
    }  # fmt: skip
    command = [str(geth), *(f"--{flag}" for flag in ("http", "mine", "nodiscover", "ipcdisable"))]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return Node(command, validator.rpc_port, data.with_suffix(".log"), {"PRIVATE_CONFIG": "ignore"})
