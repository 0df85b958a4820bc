"""A chain with many events, indexed from its first block into an empty database."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.outbox import World
from ledger.chain import ChainEdge, Deployment, LocalSigner, SignedTransaction, encode_register_batch
from ledger.errors import UnavailableError
from ledger.exchange.indexer import Indexer
from ledger.exchange.settings import Home
from ledger.statements import generate_private_key
from ledger.store import Consortium, Store

__all__ = ["IndexFigures", "measure_indexing"]

_BATCH: Final = 150  # whose gas limit is just below a block's
_AHEAD: Final = 8
_LOOK_AGAIN_S: Final = 0.05
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
    """Many registrations a transaction, a transaction a block; the next are signed while the node executes some."""
    relay, deadline = LocalSigner(generate_private_key()), time.monotonic() + _WITHIN_S
    handed = deque[Future[None]]()
    with ThreadPoolExecutor(1, thread_name_prefix="bench-sender") as sender:
        for nonce, first in enumerate(range(0, events, _BATCH)):
            call = encode_register_batch(world.founded.contracts, world.draw(min(_BATCH, events - first)))
            handed.append(sender.submit(_hand_over, edge, edge.sign_transaction(relay, call, nonce)))
            if len(handed) > _AHEAD:
                handed.popleft().result()
        for each in handed:
            each.result()
    while edge.nonce(relay.address) * _BATCH < events:
        if time.monotonic() > deadline:
            raise UnavailableError(f"anvil did not execute {events} registrations in {_WITHIN_S:.0f} s: ask for fewer")
        time.sleep(_LOOK_AGAIN_S)


def _hand_over(edge: ChainEdge, transaction: SignedTransaction) -> None:
    if any(edge.send([transaction])):
        raise UnavailableError("anvil did not take the registrations that were to fill it")
