"""The JSON-RPC node: what it can not tell is unavailable, whatever it answers, and never invalid."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from ledger.errors import MalformedError, UnavailableError
from ledger.evidence import Node
from ledger.evidence.node import verify_node
from tests.support.evidence_node import serve, serve_world
from tests.support.evidence_world import CONTRACTS, World, salt
from tests.support.qbft_world import SealedWorld


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    for _ in range(250):
        world.mine()
    return world


def test_fetches(world: World) -> None:
    with serve_world(world) as url:
        node = Node(url)
        assert node.fetch_chain_id() == world.chain_id
        assert node.fetch_head() == len(world.blocks) - 1
        assert node.fetch_block_hash(2) == world.blocks[2].hash
        assert node.fetch_block_hashes(0, 249) == [block.hash for block in world.blocks[:250]]
        assert node.name.startswith("127.0.0.1:")
        verify_node(node, world.policy())


def test_headers_with_their_seals() -> None:
    world = SealedWorld()
    with serve_world(world) as url:
        assert list(Node(url).fetch_headers(0, len(world.blocks) - 1)) == world.headers()
    for lie in ({"gasUsed": "0x1"}, {"gasUsed": None}, {"extraData": "0x"}, {"hash": None}):
        wrong = world.blocks[1].form | lie
        with serve_world(world, eth_getBlockByNumber=wrong) as url, pytest.raises(UnavailableError, match="be used"):
            list(Node(url).fetch_headers(1, 1))


@pytest.mark.parametrize(
    "url", ["", "ftp://host/x", "file:///etc/passwd", "http://", "host:8545", "http://[", "http://a:b"]
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(MalformedError, match="URL"):
        Node(url)


def test_names_never_hold_a_secret() -> None:
    assert Node("https://user:pass@node.example/v3/key").name == "node.example"


@pytest.mark.parametrize(
    "lies",
    [
        {"eth_chainId": "0x5"},
        {"eth_chainId": "five"},
        {"eth_chainId": None},
        {"eth_getBlockByNumber": None},
        {"eth_getBlockByNumber": 5},
        {"eth_getBlockByNumber": {"number": "0x7"}},
        {"eth_getBlockByNumber": {"number": "0x0", "hash": "0x00"}},
        {"eth_getBlockByNumber": {"number": "0x0", "hash": str(salt(1))}},
        {"eth_getCode": "0x"},
        {"eth_getCode": 5},
        {"eth_getCode": "0x1234"},
    ],
)
def test_a_node_that_contradicts_the_policy_settles_nothing(world: World, lies: dict[str, Any]) -> None:
    with serve_world(world, **lies) as url, pytest.raises(UnavailableError):
        verify_node(Node(url), world.policy())


def test_blocks_that_form_no_chain(world: World) -> None:
    forged = world.blocks[3].form | {"parentHash": str(salt(1))}
    blocks = [world.blocks[2].form, forged]

    def reply(body: Any) -> tuple[int, bytes]:
        return 200, json.dumps([{"id": each["id"], "result": blocks[each["id"]]} for each in body]).encode()

    with serve(reply) as url, pytest.raises(UnavailableError, match="does not follow"):
        Node(url).fetch_block_hashes(2, 3)


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (200, b"not json"),
        (200, b"[" * 100_000),
        (200, b"[]"),
        (200, b"5"),
        (200, b'{"error": {"code": -1, "message": "no"}}'),
        (200, b'{"error": "no"}'),
        (200, b'[{"id": 0}, {"id": 1}]'),
        (200, b'[{"id": 5, "result": {}}, {"id": 6, "result": {}}]'),
        (200, b'[{"id": 0, "result": {}}, 5]'),
        (200, b'[{"id": [], "result": {}}, {"id": {}, "result": {}}]'),
        (200, b'[{"id": false, "result": {}}, {"id": true, "result": {}}]'),
    ],
)
def test_broken_answers(answer: tuple[int, bytes]) -> None:
    with serve(lambda _: answer) as url:
        node = Node(url, timeout_s=5)
        with pytest.raises(UnavailableError):
            node.fetch_chain_id()
        with pytest.raises(UnavailableError):
            node.fetch_block_hashes(0, 1)


@pytest.mark.parametrize("answer", [None, [5], [{"address": "0x11", "topics": [], "data": "0x"}]])
def test_events_that_are_none(world: World, answer: Any) -> None:
    with serve_world(world, eth_getLogs=answer) as url, pytest.raises(UnavailableError, match="can not be used"):
        list(Node(url).fetch_events(CONTRACTS["CheckpointLog"], [salt(1)], 0, 5))


def test_an_answer_that_breaks_off() -> None:
    def cut(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: cut(server.accept()[0]), daemon=True)
        thread.start()
        with pytest.raises(UnavailableError, match="does not answer"):
            Node(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=5).fetch_head()
        thread.join(5)


def test_nobody_there() -> None:
    with serve(lambda _: (200, b"")) as url:
        pass
    with pytest.raises(UnavailableError, match="does not answer"):
        Node(url, timeout_s=2).fetch_head()
