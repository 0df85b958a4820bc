"""Which engine the network runs on: the binary that is named by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.network.besu import BesuNetwork
from tests.network.clique import CliqueNetwork
from tests.network.goquorum import GoQuorumNetwork
from tests.network.nodes import Network

__all__ = ["is_engine_named", "prepare_network"]

BESU: Final = "CONCORD_BESU"
GOQUORUM: Final = "CONCORD_GOQUORUM"
GETH: Final = "CONCORD_GETH"


def is_engine_named() -> bool:
    """Whether there is an engine to test on."""
    return any(os.environ.get(name) for name in (BESU, GOQUORUM, GETH))


def prepare_network(folder: Path) -> Network:
    """A network that is not started yet."""
    if besu := os.environ.get(BESU):
        return BesuNetwork(Path(besu), folder)
    if goquorum := os.environ.get(GOQUORUM):
        return GoQuorumNetwork(Path(goquorum), folder)
    return CliqueNetwork(Path(os.environ[GETH]), folder)
