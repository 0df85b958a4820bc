"""The indexer far behind: blocks are read ahead, and nothing is left out when the chain goes back meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from web3.types import RPCEndpoint

from ledger.chain import Block, ChainEdge, Deployment, Head
from ledger.chain.embedded import EmbeddedProvider
from ledger.errors import UnavailableError
from ledger.exchange import Gateway
from ledger.exchange.indexer import Indexer
from ledger.store import Consortium, Store
from ledger.store.schema.chain import BLOCKS, FACTS
from ledger.types import Bytes32
from tests.support.edge_world import settings_for
from tests.support.exchange import found_in


@dataclass(frozen=True)
class Parts:
    """What an indexer needs, with a database of its own."""

    edge: ChainEdge
    store: Store
    deployment: Deployment


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One whose workers do not run, with a chain of some blocks."""
    home = tmp_path_factory.mktemp("indexed") / "home"
    found_in(home)
    opened = Gateway.open(settings_for(home))
    opened._indexer.catch_up()
    yield opened
    opened.parts.close()


@contextmanager
def anew(gateway: Gateway, folder: Path) -> Iterator[Parts]:
    """The same chain, nothing of it folded yet."""
    deployment = gateway.parts.deployment
    consortium = Consortium(deployment.chain_id, deployment.contracts["ParticipantRegistry"])
    with Store.open(f"sqlite:///{folder / 'anew.db'}", consortium) as store:
        yield Parts(gateway.parts.edge, store, deployment)


def rows_of(store: Store) -> dict[str, set[Any]]:
    with store._database.read() as connection:
        return {table.name: {tuple(row) for row in connection.execute(table.select())} for table in (*FACTS, BLOCKS)}


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.exchange.indexer._BLOCKS_AT_ONCE", 2)
    monkeypatch.setattr("ledger.exchange.indexer._SPANS_AT_ONCE", 2)


def test_what_is_read_ahead_is_folded_to_the_same_rows(gateway: Gateway, tmp_path: Path) -> None:
    with anew(gateway, tmp_path) as parts:
        indexer, head = Indexer(parts), gateway.parts.edge.head().number
        assert head > 4
        assert indexer.step()
        cursor = parts.store.projections.cursor()
        assert cursor is not None
        assert cursor.block == 3  # a good deal, and not all, in one step
        indexer.catch_up()
        assert rows_of(parts.store) == rows_of(gateway.parts.store)
        assert not indexer.step()


def test_blocks_that_are_gone_while_it_reads_leave_no_gap(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anew(gateway, tmp_path) as parts:
        read, asked = parts.edge.blocks, []

        def lose_one(first: int, last: int, *, whole: bool = True) -> list[Block]:
            asked.append(first)
            return read(first, last, whole=whole)[: 1 if first == 0 else None]

        with monkeypatch.context() as patched:
            patched.setattr(parts.edge, "blocks", lose_one)
            assert Indexer(parts).step()
        cursor = parts.store.projections.cursor()
        assert cursor is not None
        assert cursor.block == 0
        Indexer(parts).catch_up()
        assert rows_of(parts.store) == rows_of(gateway.parts.store)


def test_what_was_folded_stays_when_reading_ahead_fails(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anew(gateway, tmp_path) as parts:
        read = parts.edge.blocks

        def fail_later(first: int, last: int, *, whole: bool = True) -> list[Block]:
            if first > 0:
                raise UnavailableError("it does not answer")
            return read(first, last, whole=whole)

        with monkeypatch.context() as patched:
            patched.setattr(parts.edge, "blocks", fail_later)
            with pytest.raises(UnavailableError):
                Indexer(parts).step()
        cursor = parts.store.projections.cursor()
        assert cursor is not None
        assert cursor.block == 1
        Indexer(parts).catch_up()
        assert rows_of(parts.store) == rows_of(gateway.parts.store)


def test_a_head_far_beyond_the_chain_is_not_believed(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anew(gateway, tmp_path) as parts:
        real = parts.edge.head()
        with monkeypatch.context() as patched:
            patched.setattr(parts.edge, "head", lambda: replace(real, number=(1 << 63) - 1))
            with pytest.raises(UnavailableError, match=f"does not answer block {real.number + 1}"):
                Indexer(parts).catch_up()
        cursor = parts.store.projections.cursor()
        assert cursor is not None
        assert cursor.block == real.number


class Wire:
    """Between the gateway and its chain: what ``twist`` makes of an answer, by method and parameters."""

    def __init__(self, gateway: Gateway, twist: Callable[[str, list[Any], Any], Any]) -> None:
        assert gateway.parts.edge.rpc is not None
        self._real = EmbeddedProvider(gateway.parts.edge.rpc)
        self._twist = twist

    def make_request(self, method: RPCEndpoint, params: Any) -> Any:
        return self.make_batch_request([(method, params)])[0]

    def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[Any]:
        answers = self._real.make_batch_request(requests)
        return [
            {**answer, "result": self._twist(method, params, answer["result"])}
            for (method, params), answer in zip(requests, answers, strict=True)
        ]


def through(gateway: Gateway, parts: Parts, twist: Callable[[str, list[Any], Any], Any]) -> Parts:
    return replace(parts, edge=ChainEdge(Wire(gateway, twist), gateway.parts.edge.settings))


@pytest.mark.parametrize("missing", [0, 1, 2, 5])
def test_a_block_that_is_answered_by_nothing_once_is_not_left_out(
    gateway: Gateway, tmp_path: Path, missing: int
) -> None:
    def lose(method: str, params: list[Any], found: Any) -> Any:
        return None if method == "eth_getBlockByNumber" and params[0] == hex(missing) else found

    with anew(gateway, tmp_path) as parts:
        with pytest.raises(UnavailableError, match=f"does not answer block {missing}"):
            Indexer(through(gateway, parts, lose)).catch_up()
        cursor = parts.store.projections.cursor()
        assert (-1 if cursor is None else cursor.block) == missing - 1
        Indexer(parts).catch_up()
        assert rows_of(parts.store) == rows_of(gateway.parts.store)


@pytest.mark.parametrize("ask", ["block", "header", "headers", "final_head"])
def test_another_block_than_was_asked_for_is_no_answer(gateway: Gateway, tmp_path: Path, ask: str) -> None:
    def shift(method: str, params: list[Any], found: Any) -> Any:
        return found | {"number": "0x0"} if method == "eth_getBlockByNumber" and params[0] != "latest" else found

    with anew(gateway, tmp_path) as parts:
        settings = replace(gateway.parts.edge.settings, finality_blocks=1)
        edge = ChainEdge(Wire(gateway, shift), settings)
        asked: dict[str, Callable[[], object]] = {
            "block": lambda: edge.block(2),
            "header": lambda: edge.header(2),
            "headers": lambda: edge.headers(2, 3),
            "final_head": edge.final_head,
        }
        with pytest.raises(UnavailableError, match="block 0"):
            asked[ask]()
        with pytest.raises(UnavailableError):
            Indexer(replace(parts, edge=edge)).catch_up()
        cursor = parts.store.projections.cursor()
        assert cursor is None or cursor.block < 2


def test_a_gap_between_blocks_is_not_folded(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with anew(gateway, tmp_path) as parts:
        read = parts.edge.blocks

        def leave_one_out(first: int, last: int, *, whole: bool = True) -> list[Block]:
            return read(first, last + 1, whole=whole)[1:]

        with monkeypatch.context() as patched:
            patched.setattr(parts.edge, "blocks", leave_one_out)
            with pytest.raises(UnavailableError, match="left out blocks"):
                Indexer(parts).step()
        assert parts.store.projections.cursor() is None


def test_a_longer_chains_head_makes_nothing_final(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth, far = 3, 1 << 20

    def lie(method: str, params: list[Any], found: Any) -> Any:
        """Only of the newest block and of what would be final then, as another chain's node that answers once."""
        if method == "eth_getBlockByNumber" and params[0] == "latest" and is_lying:
            return found | {"number": hex(far)}
        if method == "eth_getBlockByNumber" and params[0] == hex(far - depth):
            return found_at_head | {"number": hex(far - depth)}
        return found

    with anew(gateway, tmp_path) as parts:
        head = parts.edge.head()
        found_at_head = {"hash": str(head.hash), "parentHash": str(head.parent_hash), "timestamp": "0x1"}
        edge = ChainEdge(Wire(gateway, lie), replace(gateway.parts.edge.settings, finality_blocks=depth))
        indexer, is_lying = Indexer(replace(parts, edge=edge)), False
        indexer.catch_up()
        is_lying = True
        for _ in range(2):
            with pytest.raises(UnavailableError, match="does not answer block"):
                indexer.step()
        cursor = parts.store.projections.cursor()
        assert cursor is not None
        assert (cursor.block, cursor.final) == (head.number, head.number - depth)
        parts.store.projections.rollback(head.number - 1)  # one that goes back later is not beyond what was final
        cursor = parts.store.projections.cursor()
        assert cursor is not None
        assert cursor.final == head.number - depth


def test_a_block_that_changed_its_hash_meanwhile_is_not_final(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with anew(gateway, tmp_path) as parts:
        projections, final = parts.store.projections, parts.edge.head().number - 1
        edge = ChainEdge(Wire(gateway, lambda *each: each[2]), replace(parts.edge.settings, finality_blocks=1))
        indexer, real = Indexer(replace(parts, edge=edge)), edge.header

        def change(number: int) -> Head | None:
            header = real(number)
            return replace(header, hash=Bytes32(bytes(32))) if header and number == final else header

        with monkeypatch.context() as patched:
            patched.setattr(edge, "header", change)
            indexer.catch_up()
            cursor = projections.cursor()
            assert cursor is not None
            assert cursor.final < final
        indexer.step()
        cursor = projections.cursor()
        assert cursor is not None
        assert cursor.final == final
