"""Folding events: every event of the contracts, order, rollback, finality."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import ConflictError, NotFoundError
from ledger.statements import HistoryKind
from ledger.store.projections.facts import _BUILDERS, EFFECT_EVENTS, facts_of
from ledger.store.projections.projections import REMEMBERED_BLOCKS
from ledger.store.schema.chain import FACTS
from tests.support.store_world import ZERO, Chain, Event, World, account, open_world, word

CONTRACTS = ("ParticipantRegistry", "CheckpointLog", "DatasetRegistry", "AccessGrants", "SharingAgreements")
UNREAD = {"EIP712DomainChanged", "GrantAttested", "LogAttested", "RegistrationLifted"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def events_of(contract: str) -> list[dict[str, Any]]:
    artifact = json.loads((files("ledger.chain") / "artifacts" / f"{contract}.json").read_text())
    return [entry for entry in artifact["abi"] if entry["type"] == "event"]


EVENTS = [(contract, event) for contract in CONTRACTS for event in events_of(contract)]


def sample(entry: dict[str, Any]) -> Any:
    kind = entry["type"]
    if kind.endswith("[]"):
        return (sample({**entry, "type": kind[:-2]}),)
    if kind == "tuple":
        return {part["name"]: sample(part) for part in entry["components"]}
    if kind == "string":
        return "text"
    return {"bytes32": word(entry["name"]), "address": account(entry["name"])}.get(kind, 1)


def event_of(contract: str, abi: dict[str, Any]) -> Event:
    args = {entry["name"]: sample(entry) for entry in abi["inputs"]}
    return Event(contract, abi["name"], args, 1, word("block"), 1_000, word("tx"), 0)


@pytest.mark.parametrize(
    ("contract", "abi"), EVENTS, ids=lambda value: value if isinstance(value, str) else value["name"]
)
def test_every_event_of_the_contracts_is_folded_or_known_to_be_unread(
    world: World, contract: str, abi: dict[str, Any]
) -> None:
    event = event_of(contract, abi)
    rows = list(facts_of(event))
    assert (abi["name"] in UNREAD) == (not rows)
    for table, row in rows:
        required = {column.name for column in table.columns if not column.nullable}
        assert required <= set(row) <= set(table.columns.keys())
    assert abi["inputs"] == [] or (abi["inputs"][0]["name"] == "digest") >= (abi["name"] in EFFECT_EVENTS)
    world.chain.mine((contract, abi["name"], event.args))
    assert world.store.projections.count_rows() == len(rows)


def test_nothing_is_folded_that_no_contract_emits() -> None:
    emitted = {abi["name"] for _, abi in EVENTS}
    assert set(_BUILDERS) <= emitted
    assert emitted >= EFFECT_EVENTS


def test_every_table_of_facts_is_filled_by_some_event() -> None:
    filled = {table.name for contract, abi in EVENTS for table, _ in facts_of(event_of(contract, abi))}
    assert filled == {table.name for table in FACTS}


def test_an_unknown_event_changes_nothing(world: World) -> None:
    world.chain.mine(("Other", "SomethingNew", {}))
    assert world.store.projections.count_rows() == 0


def test_the_cursor_moves_with_the_blocks(world: World) -> None:
    projections = world.store.projections
    assert projections.cursor() is None
    assert world.store.chain.as_of_block() == 0
    assert world.store.governance.governors().epoch == 0
    projections.set_final(9)
    projections.fold_many([])
    assert projections.cursor() is None
    block = world.chain.mine(final=False)
    cursor = projections.cursor()
    assert cursor is not None
    assert (cursor.block, cursor.hash, cursor.time, cursor.final) == (1, block.hash, world.chain.time(1), 0)
    projections.set_final(5)
    projections.set_final(3)
    for final in (1, 2):
        cursor = projections.cursor()
        assert cursor is not None
        assert cursor.final == final
        world.chain.mine(final=False)
    assert projections.folded_blocks() == (3, 2, 1)
    assert projections.block_hash(1) == block.hash
    assert projections.block_hash(4) is None


def test_blocks_come_in_order_and_follow_one_another(world: World) -> None:
    world.chain.mine()
    first, second, third = (world.chain.prepare() for _ in range(3))
    projections = world.store.projections
    projections.fold(*third)
    for late in (first, second, third):
        with pytest.raises(ValueError, match="not above"):
            projections.fold(*late)
    other = Chain(world.store, "fork", [(replace_number(world), ())])
    with pytest.raises(ConflictError) as caught:
        projections.fold(*other.prepare())
    assert caught.value.code == "reorganised"


def replace_number(world: World) -> Any:
    last = world.chain.blocks[-1][0]
    return type(last)(last.number, word("another hash"), last.parent_hash, last.timestamp)


def test_an_event_of_another_block_is_refused_and_nothing_is_folded(world: World) -> None:
    block, _ = world.chain.prepare(world.history(HistoryKind.THRESHOLD_SET, ZERO))
    _, other = world.chain.prepare(world.history(HistoryKind.THRESHOLD_SET, ZERO))
    with pytest.raises(ValueError, match="not of block"):
        world.store.projections.fold(block, other)
    assert world.store.projections.cursor() is None


def test_an_effect_seen_twice_is_a_conflict(world: World) -> None:
    filed = world.filed("a", word("profile"))
    world.chain.mine(filed)
    with pytest.raises(ConflictError):
        world.chain.mine(filed)
    assert world.store.chain.as_of_block() == 1


def test_rolling_back_undoes_blocks(world: World) -> None:
    world.found("a")
    world.chain.mine(world.history(HistoryKind.THRESHOLD_SET, ZERO), world.filed("b", word("profile")))
    world.chain.mine(world.published(4))
    projections = world.store.projections
    projections.rollback(1)
    cursor = projections.cursor()
    assert cursor is not None
    assert (cursor.block, cursor.final, cursor.hash) == (1, 1, world.chain.blocks[0][0].hash)
    assert world.store.chain.last_checkpoint(world.log) is None
    assert world.store.participants.find(word("b")) is None
    assert world.store.participants.find(word("a")) is not None
    with pytest.raises(ConflictError) as caught:
        projections.rollback(3)
    assert caught.value.code == "block-forgotten"
    projections.rollback(0)
    assert projections.cursor() is None
    assert projections.count_rows() == 0
    for block, events in world.chain.blocks:
        projections.fold(block, events)
    projections.reset()
    assert projections.folded_blocks() == ()


def test_block_hashes_are_kept_for_a_while(world: World) -> None:
    world.store.projections.fold_many([world.chain.prepare() for _ in range(REMEMBERED_BLOCKS + 10)])
    remembered = world.store.projections.folded_blocks()
    assert (len(remembered), remembered[0], remembered[-1]) == (REMEMBERED_BLOCKS, REMEMBERED_BLOCKS + 10, 11)


def test_history_logs_and_checkpoints_are_read_back(world: World) -> None:
    world.found("a")
    chain = world.store.chain
    opened = {
        "digest": word("o"),
        "log": world.log,
        "participant": word("a"),
        "origin": "log.example",
        "publisher": account("p0"),
        "verifierKey": word("v0"),
    }
    rotated = {
        "digest": word("r"),
        "log": world.log,
        "counter": 1,
        "publisher": account("p1"),
        "verifierKey": word("v1"),
    }
    world.chain.mine(("CheckpointLog", "LogOpened", opened))
    log = chain.find_log(world.log)
    assert log is not None
    assert (log.publisher, log.verifier_keys, log.rotations, log.closed) == (account("p0"), (word("v0"),), 0, False)
    world.chain.mine(("CheckpointLog", "LogRotated", rotated))
    world.chain.mine(("CheckpointLog", "LogClosed", {"digest": word("c"), "log": world.log, "successor": ZERO}))
    (log,) = chain.list_logs()
    assert (log.publisher, log.verifier_keys, log.rotations) == (account("p1"), (word("v0"), word("v1")), 1)
    assert (log.closed, log.successor, log.origin, log.block) == (True, None, "log.example", 2)
    assert chain.find_log(word("unknown")) is None
    for size, before in ((4, 0), (2**63 + 5, 4)):
        world.chain.mine(world.published(size, before))
    last = chain.last_checkpoint(world.log)
    assert last is not None
    assert (last.size, last.previous_size, last.block) == (2**63 + 5, 4, 6)
    assert chain.find_checkpoint(world.log, 4) == chain.first_covering(world.log, 3)
    assert chain.first_covering(world.log, 4) == last
    assert chain.find_checkpoint(world.log, 5) is None
    history = chain.history()
    assert [record.index for record in history] == [1, 2, 3, 4, 5]
    assert chain.history(2, 3) == history[1:3]
    assert chain.history_until(history[2].head) == history[:3]
    assert history[-1].kind is HistoryKind.THRESHOLD_SET
    with pytest.raises(NotFoundError):
        chain.history_until(word("unknown"))
    effect = chain.find_effect(word("r"))
    assert effect is not None
    assert (effect.contract, effect.event, effect.block) == ("CheckpointLog", "LogRotated", 3)
    assert chain.find_effect(word("unknown")) is None


def test_a_closed_log_names_its_successor(world: World) -> None:
    opened = {
        "digest": word("o"),
        "log": world.log,
        "participant": word("a"),
        "origin": "log.example",
        "publisher": account("p0"),
        "verifierKey": word("v0"),
    }
    closed = {"digest": word("c"), "log": world.log, "successor": word("next")}
    world.chain.mine(("CheckpointLog", "LogOpened", opened), ("CheckpointLog", "LogClosed", closed))
    log = world.store.chain.find_log(world.log)
    assert log is not None
    assert log.successor == word("next")
