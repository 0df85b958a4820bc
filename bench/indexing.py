"""A chain with many events, indexed from its first block into an empty database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.outbox import World
from ledger.chain import ChainEdge, Deployment, LocalSigner, encode_register_batch
from ledger.errors import UnavailableError
from ledger.exchange.indexer import Indexer
from ledger.exchange.settings import Home
from ledger.statements import generate_private_key
from ledger.store import Consortium, Store

__all__ = ["IndexFigures", "measure_indexing"]

_BATCH: Final = 150  # whose gas limit is just below a block's
_WITHIN_S: Final = 600.0


@dataclass(frozen=True)
class IndexFigures:
    """How many events the chain has, in how many blocks, how many are folded in a second, and CPU time for each."""

    events: int
    blocks: int
    rate: float
    cpu_us: float


@dataclass(frozen=True)
class _Parts:
    edge: ChainEdge
    store: Store
    deployment: Deployment


def measure_indexing(world: World, events: int) -> IndexFigures:
    """Fill the chain with registrations, then index it. Raises: LedgerError."""
    with ChainEdge.open(world.chain) as edge:
        _fill(world, edge, events)
        deployment = Deployment.parse(Home(world.home).consortium_file.read_bytes())
        with _open_empty(world.home / "indexed.db", deployment) as store:
            started, cpu_before_s = time.perf_counter(), time.process_time()
            Indexer(_Parts(edge, store, deployment)).catch_up()
            elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_before_s
            cursor = store.projections.cursor()
        blocks = 0 if cursor is None else cursor.block + 1
        return IndexFigures(events, blocks, events / elapsed_s, cpu_s * 1e6 / events)


def _open_empty(path: Path, deployment: Deployment) -> Store:
    path.unlink(missing_ok=True)
    return Store.open(f"sqlite:///{path}", Consortium(deployment.chain_id, deployment.contracts["ParticipantRegistry"]))


def _fill(world: World, edge: ChainEdge, events: int) -> None:
    """Several registrations a transaction, several transactions a block."""
    relay, nonce, deadline = LocalSigner(generate_private_key()), 0, time.monotonic() + _WITHIN_S
    world.anvil.ask("evm_setAutomine", False)
    for first in range(0, events, _BATCH):
        call = encode_register_batch(world.founded.contracts, world.draw(min(_BATCH, events - first)))
        if any(edge.send([edge.sign_transaction(relay, call, nonce)])):
            raise UnavailableError("anvil did not take the registrations that were to fill it")
        nonce += 1
    while edge.nonce(relay.address) < nonce:
        if time.monotonic() > deadline:
            raise UnavailableError(f"anvil did not execute {events} registrations in {_WITHIN_S:.0f} s: ask for fewer")
        world.anvil.mine()
