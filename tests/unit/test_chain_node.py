"""A node that fails in every way it can: what comes out is UnavailableError, and nothing else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests
from web3.exceptions import Web3ValueError

from ledger.chain import ChainEdge, ChainSettings, ContractReader, RefusalKind, RpcError
from ledger.chain.embedded import EmbeddedChain, EmbeddedProvider, EmbeddedRpc
from ledger.chain.http import AnswerTooLargeError, open_session
from ledger.chain.node import NodeConnection, connect_http
from ledger.chain.transactions import LocalSigner
from ledger.errors import ConflictError, RefusedError, UnavailableError
from ledger.types import Address, Bytes32

SETTINGS = ChainSettings("node", 77, rpc_url="http://127.0.0.1:1", timeout_s=0.5, batch_size=4)


class Scripted:
    """A provider that answers what the test says."""

    def __init__(self, answer: Callable[[str, Any], Any], batch: Callable[[list[Any]], Any] | None = None) -> None:
        self.answer = answer
        self.batch = batch
        self.sizes: list[int] = []

    def make_request(self, method: str, params: Any) -> Any:
        return self.answer(method, params)

    def make_batch_request(self, batch: list[Any]) -> Any:
        self.sizes.append(len(batch))
        if self.batch is not None:
            return self.batch(batch)
        return [self.answer(method, params) for method, params in batch]


def result(value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": value}


def error(code: int, message: str, data: object = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, "data": data}}


def edge_of(answer: Callable[[str, Any], Any], batch: Callable[[list[Any]], Any] | None = None) -> ChainEdge:
    return ChainEdge(Scripted(answer, batch), SETTINGS)


def raising(exception: Exception) -> Callable[[str, Any], Any]:
    def answer(_method: str, _params: Any) -> Any:
        raise exception

    return answer


@pytest.mark.parametrize(
    ("exception", "says"),
    [
        (requests.exceptions.ReadTimeout(), "did not answer in time"),
        (requests.exceptions.ConnectTimeout(), "did not answer in time"),
        (requests.exceptions.ConnectionError(), "can not be reached"),
        (requests.exceptions.SSLError(), "can not be reached"),
        (requests.exceptions.HTTPError("503 Server Error"), "refused the request"),
        (requests.exceptions.ChunkedEncodingError(), "request to the node failed"),
        (requests.exceptions.InvalidURL("nonsense"), "request to the node failed"),
        (Web3ValueError("odd"), "could not be understood"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), "other than JSON-RPC"),
        (BrokenPipeError(), "connection to the node failed"),
    ],
)
def test_foreign_exceptions_become_unavailable(exception: Exception, says: str) -> None:
    edge = edge_of(raising(exception))
    for ask in (edge.head, lambda: edge.blocks(0, 1), lambda: edge.receipts([Bytes32(bytes(32))])):
        with pytest.raises(UnavailableError, match=says) as caught:
            ask()
        assert caught.value.retry_after_s is not None
        assert caught.value.__cause__ is exception


def test_exceptions_of_our_own_making_pass() -> None:
    with pytest.raises(KeyError):
        edge_of(raising(KeyError("a bug"))).head()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        "text",
        {"error": "text"},
        {"jsonrpc": "2.0", "id": 1},
        {"result": None, "error": "upstream down"},
        {"result": None, "error": False},
        {"result": "0x1", "error": 5},
    ],
)
def test_answer_that_is_not_json_rpc(answer: Any) -> None:
    with pytest.raises(UnavailableError, match="not JSON-RPC"):
        edge_of(lambda *_: answer).head()


@pytest.mark.parametrize(
    "form",
    [5, "0x", [], {"number": "0x1"}, {"number": None}, {"number": "0x1", "hash": "0x00", "parentHash": "0x00"}],
)
def test_block_that_is_no_block(form: Any) -> None:
    edge = edge_of(lambda *_: result(form))
    with pytest.raises(UnavailableError):
        edge.head()
    if form == 5:
        for ask in (edge.check_chain_id, lambda: edge.code(Address(bytes(20))), lambda: edge.blocks(0, 0)):
            with pytest.raises(UnavailableError, match="is not a"):
                ask()


HASH = "0x" + "11" * 32
HEAD = {"number": "0x5", "hash": HASH, "parentHash": HASH, "timestamp": "0x5"}
RECEIPT = {"transactionHash": HASH, "transactionIndex": "0x0", "blockNumber": "0x5", "blockHash": HASH}
RECEIPT_END: dict[str, Any] = {"status": "0x1", "gasUsed": "0x1", "contractAddress": None, "logs": []}
HUGE = hex(1 << 70)


@pytest.mark.parametrize(
    ("ask", "form"),
    [
        (ChainEdge.head, HEAD | {"timestamp": hex(1 << 60)}),  # no datetime has it
        (ChainEdge.head, HEAD | {"number": HUGE}),  # nor a column of the database
        (ChainEdge.head, HEAD | {"number": "-0x1"}),
        (ChainEdge.head, []),
        (ChainEdge.pending_time_s, HEAD | {"timestamp": hex(1 << 60)}),
        (ChainEdge.pending_time_s, 5),
        (lambda edge: edge.receipt(Bytes32(b"\x11" * 32)), RECEIPT | RECEIPT_END | {"blockNumber": HUGE}),
        (lambda edge: edge.receipt(Bytes32(b"\x11" * 32)), RECEIPT | RECEIPT_END | {"blockNumber": "-0x1"}),
        (lambda edge: edge.nonce(Address(bytes(20))), hex(1 << 80)),
        (lambda edge: edge.nonce(Address(bytes(20))), "-0x5"),
        (lambda edge: edge.nonces([Address(bytes(20))]), hex(1 << 63)),
        (lambda edge: edge.balance_wei(Address(bytes(20))), hex(1 << 256)),
        (lambda edge: edge.call(Address(bytes(20)), b""), 5),
    ],
)
def test_a_number_that_nothing_can_keep_is_an_answer_that_is_none(ask: Callable[[ChainEdge], Any], form: Any) -> None:
    with pytest.raises(UnavailableError, match="is not a"):
        ask(edge_of(lambda *_: result(form)))


def test_the_answer_for_another_transaction_is_none() -> None:
    """As when the answers of a batch came in each other's place."""
    asked = [Bytes32(bytes([each]) * 32) for each in (1, 2)]

    def answer(method: str, params: list[str]) -> Any:
        other = str(asked[1 - asked.index(Bytes32.parse(params[0]))])
        if method == "eth_getTransactionReceipt":
            return result(RECEIPT | RECEIPT_END | {"transactionHash": other})
        return result({"hash": other})

    edge = edge_of(answer)
    for ask in (lambda: edge.receipts(asked), lambda: edge.receipt(asked[0])):
        with pytest.raises(UnavailableError, match="answered the receipt of"):
            ask()
    for look in (lambda: edge.known_transactions(asked), lambda: edge.is_transaction_known(asked[0])):
        with pytest.raises(UnavailableError, match="other transactions than were asked for"):
            look()
    honest = edge_of(lambda _, params: result(RECEIPT | RECEIPT_END | {"transactionHash": params[0]}))
    assert [each and each.transaction_hash for each in honest.receipts(asked)] == asked


def test_what_a_contract_can_not_answer_is_unavailable() -> None:
    reader = ContractReader(edge_of(lambda *_: result("0x" + f"{9:064x}")), {"ParticipantRegistry": Address(bytes(20))})
    with pytest.raises(UnavailableError, match="participant's status"):
        reader.status_of(Bytes32(bytes(32)))


def test_revert_data_of_half_a_byte_are_none() -> None:
    with pytest.raises(RefusedError) as caught:
        edge_of(lambda *_: error(3, "execution reverted", "0x123")).call(Address(bytes(20)), b"")
    assert caught.value.code == "evm-reverted"


@pytest.mark.parametrize("code", ["7", None, 1.5, 1 << 200])
def test_a_code_that_is_none_is_zero(code: object) -> None:
    with pytest.raises(RpcError) as caught:
        edge_of(lambda *_: {"error": {"code": code, "message": ["odd"]}}).head()
    assert (caught.value.code, caught.value.text) == (0, "['odd']")


def answered(*ids: object) -> bytes:
    body = json.dumps([{"jsonrpc": "2.0", "id": each, "result": each} for each in ids]).encode()
    return over_http(body)


def over_http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    "answer",
    [
        over_http(b"[null, null]"),
        over_http(b"[5, 5]"),
        over_http(b'[{"result": 1}, {"result": 2}]'),
        answered(0, "a"),
        answered(0, 0),
        answered(0, 2),
        answered(0, True),
        answered(0.0, 1.0),
    ],
)
def test_a_batch_whose_answers_name_nothing_that_was_asked(answer: bytes) -> None:
    with listener(answer) as url:
        connection = NodeConnection(connect_http(url, 5), 10)
        with pytest.raises(UnavailableError, match="other than JSON-RPC"):
            connection.ask_each([("eth_chainId", []), ("eth_chainId", [])])


def test_a_batch_is_answered_in_any_order() -> None:
    with listener(answered(2, 0, 1)) as url:
        assert NodeConnection(connect_http(url, 5), 10).ask_each([("eth_chainId", [])] * 3) == [0, 1, 2]


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """A server that takes a connection and answers these bytes, or never."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                if answer is None:
                    stop.wait(10)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "in time"),
        (b"", "can not be reached"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "refused the request"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>", "JSON-RPC"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]", "JSON-RPC"),
    ],
)
def test_real_server_that_misbehaves(answer: bytes | None, says: str) -> None:
    with listener(answer) as url:
        connection = NodeConnection(connect_http(url, 0.5), 10)
        with pytest.raises(UnavailableError, match=says):
            connection.ask("eth_chainId")


START = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n"


@contextmanager
def trickling(start: bytes, piece: bytes, pieces: int, wait_s: float = 0.02) -> Iterator[str]:
    """A server that never stops for long, and hardly gets on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(start)
                for _ in range(pieces):
                    connection.sendall(piece)
                    if stop.wait(wait_s):
                        break

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("start", [START + b"\r\n", START + b"x-more: ", b"HTTP/1.1"])
def test_an_answer_that_trickles_is_not_waited_for(start: bytes) -> None:
    with trickling(start, b" ", 1_000) as url:
        connection = NodeConnection(connect_http(url, 0.1), 10)
        with pytest.raises(UnavailableError, match="did not answer in time"):
            connection.ask("eth_chainId")


def test_an_answer_without_end_is_not_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.chain.node._MOST_ANSWER_BYTES", 1 << 16)
    with trickling(b"HTTP/1.1 200 OK\r\n\r\n", bytes(1 << 16), 1_000, 0) as url:
        connection = NodeConnection(connect_http(url, 5), 10)
        with pytest.raises(UnavailableError, match="larger than anything"):
            connection.ask("eth_chainId")


def test_a_compressed_answer_is_none() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"
    with listener(answer) as url, pytest.raises(UnavailableError, match="other than JSON-RPC"):
        NodeConnection(connect_http(url, 5), 10).ask("eth_chainId")


def test_a_batch_whose_answer_is_too_large_is_halved() -> None:
    def batch(requests_: list[Any]) -> Any:
        if len(requests_) > limit:
            raise AnswerTooLargeError
        return [result(params[0]) for _, params in requests_]

    provider, limit = Scripted(lambda *_: None, batch), 2
    asked = [("eth_x", [number]) for number in range(4)]
    assert NodeConnection(provider, 4).ask_each(asked) == [0, 1, 2, 3]
    assert provider.sizes == [4, 2, 2]
    limit = 0
    with pytest.raises(UnavailableError, match="larger than anything"):
        NodeConnection(provider, 4).ask_each(asked)


def test_connections_are_kept_and_proxies_are_as_timely() -> None:
    answer = over_http(b'{"id": 0, "result": "0x1"}').replace(b"connection: close\r\n", b"")
    with socket.create_server(("127.0.0.1", 0)) as server, open_session() as session:
        url, accepted = f"http://127.0.0.1:{server.getsockname()[1]}", list[int]()

        def serve() -> None:
            connection, _ = server.accept()
            accepted.append(1)
            with connection:
                while connection.recv(65_536):
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        connection = NodeConnection(connect_http(url, 30, session), 1)
        assert [connection.ask("eth_chainId") for _ in range(3)] == ["0x1"] * 3
        session.close()
        thread.join(30)
        assert accepted == [1]
        adapter = session.get_adapter("http://node")
        assert isinstance(adapter, requests.adapters.HTTPAdapter)
        proxied = adapter.proxy_manager_for("http://proxy:1").connection_from_url("http://node")
        assert proxied.ConnectionCls is adapter.poolmanager.connection_from_url("http://node").ConnectionCls


def test_nobody_listens() -> None:
    with pytest.raises(UnavailableError, match="can not be reached"):
        ChainEdge.open(SETTINGS).check_chain_id()


def test_error_of_the_node_keeps_its_words() -> None:
    with pytest.raises(RpcError, match="error -32000: header not found") as caught:
        edge_of(lambda *_: error(-32000, "header not found")).nonce(Address(bytes(20)))
    assert (caught.value.code, caught.value.text) == (-32000, "header not found")


def test_what_a_node_says_can_not_forge_a_line() -> None:
    forged = "busy\n2026-11-22 06:00:00,000 ERROR \x1b[31mforged\ud800" + "x" * 10_000
    with pytest.raises(RpcError) as caught:
        edge_of(lambda *_: error(-32000, forged)).head()
    for said in (str(caught.value), caught.value.text):
        assert said.isprintable()
        assert "busy\\n2026-11-22 06:00:00,000 ERROR \\x1b[31mforged\\ud800" in said
    assert len(caught.value.text) < 3_000
    assert edge_of(lambda *_: result("a\nb")).client_version() == "a\\nb"


def test_error_inside_a_batch_is_raised() -> None:
    edge = edge_of(lambda *_: error(-32000, "header not found"))
    for ask in (lambda: edge.blocks(0, 3), lambda: edge.receipts([Bytes32(bytes(32))])):
        with pytest.raises(RpcError):
            ask()


def test_wrong_chain_is_a_conflict() -> None:
    with pytest.raises(ConflictError, match="runs chain 1, this consortium's chain id is 77") as caught:
        edge_of(lambda *_: result("0x1")).check_chain_id()
    assert caught.value.code == "wrong-chain"


def test_missing_state_is_not_zero() -> None:
    with pytest.raises(UnavailableError, match="no longer has that state"):
        edge_of(lambda *_: result(None)).balance_wei(Address(bytes(20)))
    with pytest.raises(UnavailableError, match="no block latest"):
        edge_of(lambda *_: result(None)).head()


def test_batches_are_cut_and_a_refused_batch_is_halved() -> None:
    def batch(requests_: list[Any]) -> Any:
        if len(requests_) > 2:
            return error(-32005, "Number of requests exceeds max batch size")
        return [result(None) for _ in requests_]

    provider = Scripted(lambda *_: result(None), batch)
    connection = NodeConnection(provider, 4)
    assert connection.ask_each([("eth_x", [])] * 6) == [None] * 6
    assert provider.sizes == [4, 2, 2, 2]
    one = NodeConnection(Scripted(lambda *_: None, lambda _: error(-32005, "rate limit")), 4)
    answers = one.ask_each([("eth_x", [])] * 2)
    assert [each.code for each in answers] == [-32005, -32005]


def test_batch_cut_short_is_unavailable() -> None:
    connection = NodeConnection(Scripted(lambda *_: None, lambda _: [result(None)]), 4)
    with pytest.raises(UnavailableError, match="answered 1 of 3"):
        connection.ask_each([("eth_x", [])] * 3)


def test_answer_that_grew_too_long_is_asked_for_again() -> None:
    def batch(requests_: list[Any]) -> Any:
        too_long = error(-32003, "response too large")
        return [result(params[0]) if place < 2 else too_long for place, (_, params) in enumerate(requests_)]

    provider = Scripted(lambda *_: None, batch)
    asked = [("eth_x", [number]) for number in range(6)]
    assert NodeConnection(provider, 6).ask_each(asked) == list(range(6))
    assert provider.sizes == [6, 4, 2]
    hopeless = NodeConnection(
        Scripted(lambda *_: None, lambda each: [error(-32003, "response too large")] * len(each)), 4
    )
    assert [each.is_cut_off for each in hopeless.ask_each(asked[:2])] == [True, True]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32005, "Requested range exceeds maximum RPC range limit"),
        (-32000, "query returned more than 10000 results"),
        (-32602, "block range is too wide"),
    ],
)
def test_range_of_events_that_is_refused_is_split(code: int, text: str) -> None:
    asked: list[tuple[int, int]] = []

    def answer(_method: str, params: Any) -> Any:
        first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        asked.append((first, last))
        if last - first >= 3:
            return error(code, text)
        form = {"blockNumber": hex(first), "transactionHash": "0x" + "11" * 32, "logIndex": "0x0"}
        return result([{**form, "topics": [], "data": "0x"}])

    found = edge_of(answer).find_events(Address(bytes(20)), [], 0, 9)
    assert [each.block for each in found] == [0, 3, 5, 8]
    assert asked == [(0, 9), (0, 4), (5, 9), (0, 2), (3, 4), (5, 7), (8, 9)]


def test_single_block_of_events_that_is_refused_is_unavailable() -> None:
    edge = edge_of(lambda *_: error(-32005, "query returned more than 10000 results"))
    with pytest.raises(UnavailableError, match="more than 10000"):
        edge.find_events(Address(bytes(20)), [], 7, 8)
    with pytest.raises(UnavailableError, match="internal"):
        edge_of(lambda *_: error(-32603, "internal error")).find_events(Address(bytes(20)), [], 7, 8)


def test_sent_transaction_answered_by_another_hash_is_not_taken() -> None:
    edge = edge_of(lambda *_: result("0x" + "00" * 32))
    refusal = edge.send([edge.sign_noop(LocalSigner(b"\x01" * 32), 0)])[0]
    assert refusal is not None
    assert refusal.kind is RefusalKind.OTHER


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (error(3, "execution reverted", "0x"), "evm-reverted"),
        (error(3, "execution reverted: no", "0x08c379a0" + f"{32:064x}" + f"{2:064x}" + "6e6f".ljust(64, "0")),
         "evm-reverted"),
        (error(3, "execution reverted", "0x4e487b71" + "11".rjust(64, "0")), "evm-panic"),
        (error(-32000, "Execution reverted", "Reverted 0x4e487b71" + "99".rjust(64, "0")), "evm-panic"),
        (error(-32000, "execution reverted"), "evm-reverted"),
        (error(3, "execution reverted", "0x12345678"), "evm-reverted"),
        (error(3, "execution reverted", "0x08c379a0ff"), "evm-reverted"),
        (error(-32000, "out of gas"), "evm-stopped"),
        (error(-32000, "invalid opcode: INVALID"), "evm-stopped"),
    ],
)  # fmt: skip
def test_failed_call_is_a_refusal(answer: Any, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        edge_of(lambda *_: answer).call(Address(bytes(20)), b"")
    assert caught.value.code == code


def test_failed_call_that_says_nothing_about_it_is_unavailable() -> None:
    for answer in (error(-32000, "missing trie node"), error(-32601, "no eth_call here")):
        with pytest.raises(UnavailableError):
            edge_of(lambda *_, answer=answer: answer).call(Address(bytes(20)), b"")


class WithoutBlockReceipts(EmbeddedProvider):
    """A node that has no eth_getBlockReceipts (GoQuorum), and whose head may move between two requests."""

    moved = False

    def make_batch_request(self, batch: Any) -> Any:
        answers = super().make_batch_request(batch)
        for (method, _), answer in zip(batch, answers, strict=True):
            if method == "eth_getBlockReceipts":
                answer.pop("result", None)
                answer["error"] = {"code": -32601, "message": "the method does not exist"}
            if method == "eth_getTransactionReceipt" and self.moved:
                answer["result"]["blockHash"] = "0x" + "11" * 32
        return answers


def test_receipts_one_by_one_where_a_node_has_no_other_way() -> None:
    chain = EmbeddedChain.open(None, 77)
    provider = WithoutBlockReceipts(EmbeddedRpc(chain))
    edge = ChainEdge(provider, SETTINGS, on_close=chain.close)
    relay = LocalSigner(b"\x01" * 32)
    edge.send([edge.sign_noop(relay, nonce) for nonce in range(3)])
    for _ in range(2):
        assert [len(block.receipts) for block in edge.blocks(0, 9)] == [0, 3]
    provider.moved = True
    with pytest.raises(UnavailableError, match="do not belong together"):
        edge.block(1)
    edge.close()


def test_final_head_stands_deep_enough() -> None:
    chain = EmbeddedChain.open(None, 77)
    settings = ChainSettings("embedded", 77, finality_blocks=2)
    with ChainEdge(EmbeddedProvider(EmbeddedRpc(chain)), settings, on_close=chain.close) as edge:
        relay = LocalSigner(b"\x01" * 32)
        finals = []
        for nonce in range(4):
            finals.append(edge.final_head().number)
            edge.send([edge.sign_noop(relay, nonce)])
        assert finals == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"profile": "node", "chain_id": 1}, "needs the URL"),
        ({"profile": "consortium", "chain_id": 1}, "needs the URL"),
        ({"profile": "embedded", "chain_id": 1, "rpc_url": "http://x"}, "leave rpc_url out"),
        ({"profile": "embedded", "chain_id": 1, "timeout_s": 0}, "above 0"),
        ({"profile": "embedded", "chain_id": 1, "finality_blocks": -1}, "at least 0"),
    ],
)
def test_settings_that_contradict(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ChainSettings(**settings)


def test_the_environment_is_asked_once_for_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with open_session() as session:
        first = session.merge_environment_settings("http://node:8545", {}, None, None, None)
        assert first["proxies"]["http"] == "http://127.0.0.1:3128"
        monkeypatch.setattr("requests.sessions.get_environ_proxies", lambda *_given, **_named: pytest.fail("again"))
        assert session.merge_environment_settings("http://node:8545", {}, None, None, None) == first
        monkeypatch.setattr("requests.sessions.get_environ_proxies", lambda *_given, **_named: {})
        own = {"http": "http://127.0.0.1:1"}
        assert session.merge_environment_settings("http://node:8545", own, None, None, None)["proxies"] == own
