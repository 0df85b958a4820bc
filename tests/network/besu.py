"""Hyperledger Besu with QBFT, from the files that `concord network init` makes: the engine of production."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.besu_network import NetworkPlan, write_network
from tests.network.nodes import Node
from tests.support.ports import draw_ports

__all__ = ["BesuNetwork"]

_VALIDATORS = 4


class BesuNetwork:
    """Four validators with a block each second, and no fee; see ``Network``."""

    spare = 1
    gas_price_wei = 0
    finality_blocks = 0
    is_sealed = True

    def __init__(self, besu: Path, folder: Path) -> None:
        plan = NetworkPlan(("127.0.0.1",) * _VALIDATORS, 1, *_draw_port_ranges(_VALIDATORS))
        self.nodes = [
            Node(
                ["sh", str(folder / "besu" / each.name / "start.sh")],
                each.rpc_port,
                folder / f"{each.name}.log",
                {"BESU": str(besu), "JAVA_OPTS": "-Xmx512m"},
            )
            for each in write_network(folder / "besu", plan)
        ]

    def connect(self) -> None:
        """Nothing to do: each node has its list of the others."""

    def fund(self, amounts: Mapping[str, int]) -> None:
        """Nothing to do: no fee is asked."""


def _draw_port_ranges(length: int) -> tuple[int, int]:
    """Two free ports, each with the ones above it, as far as can be known."""
    first = min(draw_ports(16)) & ~0x1F
    return first, first + length
