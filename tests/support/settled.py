"""The one property after every fault: each digest has one outcome, and outbox, index and chain say the same.

`await_settled` waits, mining where the chain needs it, until every statement reached its end without anybody's help;
`check_settled` then compares what the gateway says with what the chain holds, read block by block from the node.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import select

from ledger.chain import Block, ChainEdge, Deployment, decode_events
from ledger.errors import LedgerError
from ledger.exchange import Gateway, InForce, Outcome, State
from ledger.exchange.indexer import Indexer
from ledger.statements import Entry
from ledger.store import Consortium, Store
from ledger.store.projections.facts import facts_of
from ledger.store.rows import OutboxRow, OutboxState
from ledger.store.schema.chain import BLOCKS, CURSOR, EFFECTS, FACTS
from ledger.store.schema.gateway import OUTBOX, SUBMISSIONS
from ledger.types import Bytes32

__all__ = ["await_settled", "check_settled", "dump_projections"]

_ENDS: Final = {InForce.YES, InForce.REFUSED}
_LOOK_AGAIN_S: Final = 0.05


def await_settled(
    gateway: Gateway, digests: Collection[Bytes32], mine: Callable[[], None] = lambda: None, timeout_s: float = 120
) -> dict[Bytes32, Outcome]:
    """Wait until each has its outcome, that is final, and nothing is on its way; the outcomes.

    An outcome that was final and told never changes. Raises: AssertionError: not in time, with what is known.
    """
    deadline, told = time.monotonic() + timeout_s, dict[Bytes32, Outcome]()
    while True:
        is_over = False
        try:
            for digest in [each for each in digests if each not in told]:
                outcome = gateway.statements.outcome(digest)
                if outcome.state is State.FINAL and outcome.in_force in _ENDS:
                    told[digest] = outcome
            is_over = len(told) == len(set(digests)) and not gateway._has_undone()
            if is_over and _is_indexed(gateway):
                break
        except LedgerError:
            pass  # the fault is still there
        assert time.monotonic() < deadline, _describe(gateway, digests, told)
        if not is_over:
            mine()
        time.sleep(_LOOK_AGAIN_S)
    for digest, outcome in told.items():
        later = gateway.statements.outcome(digest)
        assert _essence(later) == _essence(outcome), (outcome, later)
    return told


def check_settled(gateway: Gateway, digests: Collection[Bytes32], told: dict[Bytes32, Outcome]) -> None:
    """For every digest exactly one outcome, outbox equals chain, projections equal a reindex."""
    edge, deployment = gateway.parts.edge, gateway.parts.deployment
    blocks = edge.blocks(0, edge.head().number)
    _check_log(gateway, told)
    _check_effects(blocks, deployment, {digest: told[digest] for digest in digests})
    _check_outbox(gateway, blocks)
    _check_projections(gateway.parts.store, edge, deployment)
    _await_health(gateway)


def _await_health(gateway: Gateway, timeout_s: float = 90) -> None:
    """A worker says what kept it until it has tried again; only what stays is wrong."""
    deadline = time.monotonic() + timeout_s
    while not (health := gateway.health()).ready:
        assert time.monotonic() < deadline, health.reasons
        time.sleep(_LOOK_AGAIN_S)


def _is_indexed(gateway: Gateway) -> bool:
    cursor = gateway.parts.store.projections.cursor()
    return cursor is not None and cursor.block == gateway.parts.edge.head().number


def _essence(outcome: Outcome) -> tuple[object, ...]:
    return outcome.digest, outcome.index, outcome.state, outcome.in_force, outcome.refusal


def _describe(gateway: Gateway, digests: Collection[Bytes32], told: dict[Bytes32, Outcome]) -> str:
    rows = [
        (row.subject[:14], row.nonce, row.state, row.attempts, row.block) for row in _outbox_of(gateway.parts.store)
    ]
    workers = {worker.name: worker.failure for worker in gateway._workers}
    cursor = gateway.parts.store.projections.cursor()
    lacking = sorted(str(each) for each in digests if each not in told)
    return f"not settled in time: {len(lacking)} lack their end ({lacking[:3]}); {workers=}; {cursor=}; outbox {rows}"


# The log


def _check_log(gateway: Gateway, told: dict[Bytes32, Outcome]) -> None:
    reader = gateway.parts.sequencer.reader
    entries = [Entry.parse(entry).digest for entry in reader.entries(0, gateway.parts.sequencer.size)]
    assert len(set(entries)) == len(entries), "a digest stands in the log twice"
    for digest, outcome in told.items():
        assert entries[outcome.index] == digest


# The chain


def _check_effects(blocks: Iterable[Block], deployment: Deployment, told: dict[Bytes32, Outcome]) -> None:
    effects: Counter[Bytes32] = Counter()
    for block in blocks:
        for event in decode_events(block, deployment.contracts):
            effects.update(row["digest"] for table, row in facts_of(event) if table is EFFECTS)
    assert max(effects.values(), default=1) == 1, "a digest took effect twice"
    for digest, outcome in told.items():
        assert effects[digest] == (outcome.in_force is InForce.YES), outcome
        assert (outcome.refusal is None) == (outcome.in_force is InForce.YES), outcome


def _outbox_of(store: Store) -> list[OutboxRow]:
    names = OutboxRow.__dataclass_fields__
    with store._database.read() as connection:
        rows = connection.execute(select(OUTBOX).order_by(OUTBOX.c.nonce)).all()
    return [
        OutboxRow(**{name: row._mapping[name] for name in names} | {"state": OutboxState(row.state)}) for row in rows
    ]


def _check_outbox(gateway: Gateway, blocks: Iterable[Block]) -> None:
    """Whatever the relay account sent stands in the outbox, at its nonce, in its block, with its outcome."""
    store, edge, relay = gateway.parts.store, gateway.parts.edge, gateway.parts.relay.address
    mined = {
        int(form["nonce"], 16): (receipt, form)
        for block in blocks
        for form, receipt in zip(block.transactions, block.receipts, strict=True)
        if form["from"].lower() == str(relay).lower()
    }
    rows = [row for row in _outbox_of(store) if row.relay == relay]
    by_nonce = {row.nonce: row for row in rows}
    assert len(by_nonce) == len(rows)
    assert by_nonce.keys() <= mined.keys(), by_nonce.keys() - mined.keys()
    assert max(by_nonce, default=-1) < edge.nonce(relay) == edge.nonce(relay, pending=True)
    for nonce, row in by_nonce.items():
        receipt, _ = mined[nonce]
        assert row.hash == receipt.transaction_hash, (row.subject, nonce)
        assert row.state in {OutboxState.DONE, OutboxState.FAILED}, (row.subject, row.state)
        assert receipt.is_successful == (row.state is OutboxState.DONE or row.noop), (row.subject, row.state)
        assert row.block in {None, receipt.block_number}, (row.subject, row.block, receipt.block_number)
    with store._database.read() as connection:
        assert connection.execute(select(SUBMISSIONS)).all() == []


# The index


@dataclass(frozen=True)
class _Anew:
    edge: ChainEdge
    store: Store
    deployment: Deployment


def dump_projections(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All projections, row by row."""
    with store._database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in (*FACTS, BLOCKS, CURSOR)
        }


@cache
def _make_empty(consortium: Consortium) -> bytes:
    """A database after all migrations, made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Store.open(f"sqlite:///{path}", consortium).close()
        return path.read_bytes()


def _open_empty(folder: Path, consortium: Consortium) -> Store:
    (folder / "anew.db").write_bytes(_make_empty(consortium))
    return Store.open(f"sqlite:///{folder / 'anew.db'}", consortium)


def _check_projections(store: Store, edge: ChainEdge, deployment: Deployment) -> None:
    """A database that folds the same chain from its first block holds the same rows."""
    consortium = Consortium(deployment.chain_id, deployment.contracts["ParticipantRegistry"])
    with tempfile.TemporaryDirectory() as folder, _open_empty(Path(folder), consortium) as anew:
        Indexer(_Anew(edge, anew, deployment)).catch_up()
        expected, found = dump_projections(anew), dump_projections(store)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name] == rows, name
