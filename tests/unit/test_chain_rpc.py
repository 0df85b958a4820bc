"""The embedded chain's JSON-RPC: whole answers, standard errors, sending for the allow list alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from ledger.chain import EmbeddedChain, EmbeddedRpc, LocalSigner
from ledger.chain.embedded import rpc
from ledger.chain.embedded.rpc import MAX_BATCH, MAX_BODY_BYTES, MAX_CALL_GAS, MAX_LOG_SPAN
from ledger.chain.transactions import predict_contract_address, sign_transaction
from ledger.evidence.header import encode_header
from ledger.evidence.receipt import encode_receipt
from ledger.evidence.trie import compute_trie_root, receipt_key
from ledger.keccak import keccak256
from ledger.types import Address

CHAIN_ID = 99_000_000_001
SIGNER = LocalSigner(b"\x03" * 32)
# LOG1 of 32 bytes with topic 0xbeef whatever is called, then LOG0; returned by its constructor
LOGS = bytes.fromhex("601380600b6000396000f3" + "602a60005261beef60206000a160206000a000")
REVERTS = bytes.fromhex("600a80600b6000396000f3" + "60aa60005260206000fd")
STOPS = bytes.fromhex("600180600b6000396000f3" + "fe")


class Chain:
    """A chain in memory, asked by its JSON-RPC."""

    def __init__(self) -> None:
        self.chain = EmbeddedChain.open(None, CHAIN_ID, [SIGNER.address])
        self.rpc = EmbeddedRpc(self.chain)
        self.nonce = 0

    def post(self, body: Any, allowed: Collection[Address] = ()) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return json.loads(self.rpc.handle(raw, allowed) or b"null")

    def ask(self, method: str, *params: Any) -> Any:
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}, {SIGNER.address})
        return answer.get("result") if "error" not in answer else answer["error"]

    def raw(self, to: Address | None, data: bytes = b"", *, signer: LocalSigner = SIGNER) -> str:
        transaction = sign_transaction(
            signer, chain_id=CHAIN_ID, nonce=self.nonce, gas_limit=200_000, gas_price_wei=0, to=to, data=data
        )
        self.nonce += 1
        return "0x" + transaction.raw.hex()

    def create(self, code: bytes) -> Address:
        self.ask("eth_sendRawTransaction", self.raw(None, code))
        return predict_contract_address(SIGNER.address, self.nonce - 1)


@pytest.fixture
def node() -> Iterator[Chain]:
    opened = Chain()
    yield opened
    opened.chain.close()


def test_names_the_chain(node: Chain) -> None:
    assert node.ask("eth_chainId") == hex(CHAIN_ID)
    assert node.ask("net_version") == str(CHAIN_ID)
    assert node.ask("web3_clientVersion").startswith("Concord/")
    assert node.ask("eth_blockNumber") == "0x0"
    assert node.ask("eth_syncing") is False
    assert node.ask("eth_gasPrice") == "0x0"


def test_header_and_receipts_rebuild_to_block_hash_and_receipts_root(node: Chain) -> None:
    contract = node.create(LOGS)
    batch = [
        {"jsonrpc": "2.0", "id": index, "method": "eth_sendRawTransaction", "params": [node.raw(contract)]}
        for index in range(3)
    ]
    node.post(batch, {SIGNER.address})
    for number in range(3):
        block = node.ask("eth_getBlockByNumber", hex(number), False)
        receipts = node.ask("eth_getBlockReceipts", hex(number))
        assert keccak256(encode_header(block)).hex() == block["hash"][2:]
        root = compute_trie_root({receipt_key(index): encode_receipt(each) for index, each in enumerate(receipts)})
        assert root.hex() == block["receiptsRoot"][2:]
    assert [log["logIndex"] for receipt in receipts for log in receipt["logs"]] == [hex(index) for index in range(6)]
    assert [receipt["cumulativeGasUsed"] for receipt in receipts][-1] == block["gasUsed"]


def test_typed_transactions_are_answered_whole(node: Chain) -> None:
    from eth_account import Account

    base = {"nonce": 0, "gas": 100_000, "to": "0x" + "11" * 20, "value": 5, "chainId": CHAIN_ID, "data": "0x01"}
    slots = [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "33" * 32]}]
    typed = [
        base | {"gasPrice": 3, "accessList": slots},
        base | {"nonce": 1, "maxFeePerGas": 9, "maxPriorityFeePerGas": 2},
    ]
    for kind, fields in enumerate(typed, start=1):
        signed = Account.sign_transaction(fields, b"\x03" * 32)
        identity = node.ask("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())
        found = node.ask("eth_getTransactionByHash", identity)
        receipt = node.ask("eth_getTransactionReceipt", identity)
        assert found["type"] == receipt["type"] == hex(kind)
        assert found["hash"] == "0x" + signed.hash.hex()
        assert (found["r"], found["s"], found["yParity"]) == (hex(signed.r), hex(signed.s), hex(signed.v))
        assert receipt["effectiveGasPrice"] == found["gasPrice"] == ("0x3" if kind == 1 else "0x2")
        receipts = node.ask("eth_getBlockReceipts", receipt["blockHash"])
        block = node.ask("eth_getBlockByHash", receipt["blockHash"], True)
        assert compute_trie_root({receipt_key(0): encode_receipt(receipts[0])}).hex() == block["receiptsRoot"][2:]
        assert block["transactions"] == [found]
    assert found["maxFeePerGas"] == "0x9"
    assert node.ask("eth_getBalance", "0x" + "11" * 20, "latest") == "0xa"


def test_state_is_read_by_tag_number_and_hash(node: Chain) -> None:
    contract = str(node.create(LOGS))
    genesis = node.ask("eth_getBlockByNumber", "earliest", False)["hash"]
    for old in ("earliest", "0x0", genesis, {"blockHash": genesis}, {"blockNumber": "0x0"}):
        assert node.ask("eth_getCode", contract, old) == "0x"
    for new in ("latest", "pending", "safe", "finalized", "0x1"):
        assert node.ask("eth_getCode", contract, new) == "0x" + LOGS[11:].hex()
    assert node.ask("eth_getCode", contract) == "0x" + LOGS[11:].hex()
    assert node.ask("eth_getTransactionCount", str(SIGNER.address), "latest") == "0x1"
    assert node.ask("eth_getStorageAt", contract, "0x0", "latest") == "0x" + "00" * 32
    assert node.ask("eth_getBlockByNumber", "0x9", False) is None
    assert node.ask("eth_getBlockByHash", "0x" + "00" * 32, False) is None
    assert node.ask("eth_getBlockReceipts", "0x9") is None
    assert node.ask("eth_getTransactionByHash", "0x" + "00" * 32) is None
    assert node.ask("eth_getTransactionReceipt", "0x" + "00" * 32) is None
    assert node.ask("eth_getCode", contract, "0x9")["code"] == -32001


def test_call_answers_result_revert_or_stop(node: Chain) -> None:
    reverting, stopping = str(node.create(REVERTS)), str(node.create(STOPS))
    assert node.ask("eth_call", {"to": "0x" + "44" * 20, "from": str(SIGNER.address), "input": "0x00"}, "0x1") == "0x"
    assert node.ask("eth_call", {"to": "0x" + "44" * 20, "data": "0x", "value": "0x0", "gas": "0x10000"}) == "0x"
    revert = node.ask("eth_call", {"to": reverting}, "latest")
    assert revert == {"code": 3, "message": "execution reverted", "data": "0x" + "00" * 31 + "aa"}
    stop = node.ask("eth_call", {"to": stopping}, "latest")
    assert stop["code"] == -32000
    assert "InvalidInstruction" in stop["message"]
    assert node.ask("eth_call", {"to": stopping, "input": "0x00", "data": "0x01"})["code"] == -32602


def test_a_strangers_call_runs_contracts_alone_and_not_for_long(node: Chain) -> None:
    own_code = node.ask("eth_call", {"data": "0x5b600056"})
    assert own_code["code"] == -32602
    assert "code of your own" in own_code["message"]
    assert node.ask("eth_call", {"to": None, "data": "0x5b600056"}) == own_code
    pairing = node.ask("eth_call", {"to": "0x" + "00" * 19 + "08", "data": "0x" + "00" * 192})
    assert "precompiled" in pairing["message"]
    gas_left = str(node.create(bytes.fromhex("600980600b6000396000f3" + "5a60005260206000f3")))
    for asked in ({}, {"gas": hex(60_000_000)}):
        assert 1_900_000 < int(node.ask("eth_call", {"to": gas_left} | asked), 16) <= MAX_CALL_GAS
    assert int(node.ask("eth_call", {"to": gas_left, "gas": hex(100_000)}), 16) < 100_000
    form = {"id": 1, "method": "eth_call", "params": [{"data": "0x" + STOPS.hex()}]}
    assert node.rpc.answer([form], None)[0]["result"] == "0xfe"  # the service itself may


def test_what_would_take_too_long_is_refused(node: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    node.create(LOGS)
    monkeypatch.setattr(rpc, "_LONGEST_ANSWER_S", 0.0)
    batch = [{"jsonrpc": "2.0", "id": index, "method": "eth_blockNumber"} for index in range(3)]
    answers = node.post(batch)
    assert [(each["id"], each["error"]["code"]) for each in answers] == [(0, -32005), (1, -32005), (2, -32005)]
    logs = {"id": 1, "method": "eth_getLogs", "params": [{"fromBlock": "0x0"}]}
    assert node.rpc.answer([logs], None)[0]["error"]["code"] == -32005


def test_logs_are_filtered_and_their_span_is_limited(node: Chain) -> None:
    contract = str(node.create(LOGS))
    other = str(node.create(LOGS))
    for address in (contract, other, contract):
        node.ask("eth_sendRawTransaction", node.raw(Address.parse(address)))
    topic = "0x" + "beef".rjust(64, "0")
    wide = {"fromBlock": "0x0", "toBlock": "latest"}
    assert len(node.ask("eth_getLogs", wide)) == 6
    assert len(node.ask("eth_getLogs", wide | {"address": contract})) == 4
    assert len(node.ask("eth_getLogs", wide | {"address": [contract, other], "topics": [topic]})) == 3
    assert len(node.ask("eth_getLogs", wide | {"topics": [None]})) == 3
    assert len(node.ask("eth_getLogs", wide | {"topics": [[topic, "0x" + "00" * 32]]})) == 3
    assert node.ask("eth_getLogs", wide | {"topics": ["0x" + "00" * 32]}) == []
    assert len(node.ask("eth_getLogs", {})) == 2
    logs = node.ask("eth_getLogs", {"blockHash": node.ask("eth_getBlockByNumber", "latest", False)["hash"]})
    assert [log["topics"] for log in logs] == [[topic], []]
    assert node.ask("eth_getLogs", {"fromBlock": "0x99"})["code"] == -32001
    assert node.ask("eth_getLogs", {"blockHash": "0x" + "00" * 32})["code"] == -32001


def test_log_span_is_refused_with_its_limit(node: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_LOG_SPAN == 5_000
    for limit, says in (("MAX_LOG_SPAN", "limit of 1 blocks"), ("_MAX_LOGS", "more than 1 logs")):
        contract = node.create(LOGS)
        node.ask("eth_sendRawTransaction", node.raw(contract))
        with monkeypatch.context() as patched:
            patched.setattr(f"ledger.chain.embedded.rpc.{limit}", 1)
            refused = node.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
        assert refused["code"] == -32005
        assert says in refused["message"]


def test_sending_is_for_the_allow_list(node: Chain) -> None:
    stranger = LocalSigner(b"\x05" * 32)
    request = {"jsonrpc": "2.0", "id": 7, "method": "eth_sendRawTransaction", "params": [node.raw(None, STOPS)]}
    refused = node.post(request)
    assert refused["error"]["code"] == -32007
    assert "not on this chain's allow list" in refused["error"]["message"]
    assert node.ask("eth_blockNumber") == "0x0"
    assert "result" in node.post(request, {SIGNER.address, stranger.address})
    assert node.post(request, {SIGNER.address})["error"]["message"] == "already known"
    for params, code in (([], -32602), (["0xzz"], -32602), (["0x00"], -32000), ([5], -32602)):
        assert node.ask("eth_sendRawTransaction", *params)["code"] == code


def test_neighbours_in_a_batch_share_a_block(node: Chain) -> None:
    send = [{"jsonrpc": "2.0", "id": index, "method": "eth_sendRawTransaction"} for index in range(4)]
    batch = [each | {"params": [node.raw(None, STOPS)]} for each in send]
    batch.insert(2, {"jsonrpc": "2.0", "id": "n", "method": "eth_blockNumber"})
    batch.append({"jsonrpc": "2.0", "id": "bad", "method": "eth_sendRawTransaction", "params": ["0x01"]})
    answers = node.post(batch, {SIGNER.address})
    assert [each["id"] for each in answers] == [0, 1, "n", 2, 3, "bad"]
    assert answers[2]["result"] == "0x1"
    assert answers[-1]["error"]["code"] == -32000
    assert node.ask("eth_blockNumber") == "0x2"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b"5", -32600),
        (b'"text"', -32600),
        (b"null", -32600),
        (b'{"id":1}', -32600),
        (b'{"id":1,"method":5}', -32600),
        (b'{"id":1,"method":"eth_call","params":{}}', -32602),
        (b'{"id":1,"method":"eth_accounts"}', -32601),
        (b'{"id":1,"method":"eth_sendTransaction","params":[{}]}', -32601),
        (b'{"id":1,"method":"eth_getBalance","params":[]}', -32602),
        (b'{"id":1,"method":"eth_getBalance","params":["0x00"]}', -32602),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":["newest"]}', -32602),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":[["x"]]}', -32602),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":[{"blockNumber":{}}]}', -32602),
        (b'{"id":1,"method":"eth_getLogs","params":[]}', -32602),
        (b'{"id":1,"method":"eth_call","params":["0x"]}', -32602),
        (b'{"id":1,"method":"eth_getLogs","params":[{"address":5}]}', -32602),
        (b'{"id":1,"method":"eth_getLogs","params":[{"topics":5}]}', -32602),
        (b'{"id":1,"method":"eth_getLogs","params":[{"topics":[5]}]}', -32602),
    ],
)
def test_bad_requests_get_standard_errors(node: Chain, body: bytes, code: int) -> None:
    node.create(LOGS)
    node.ask("eth_sendRawTransaction", node.raw(predict_contract_address(SIGNER.address, 0)))
    assert node.post(body)["error"]["code"] == code


def test_limits_and_notifications(node: Chain) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
    assert node.post([request] * (MAX_BATCH + 1))["error"]["code"] == -32600
    assert len(node.post([request] * MAX_BATCH)) == MAX_BATCH
    assert node.post(b" " * (MAX_BODY_BYTES + 1))["error"]["code"] == -32600
    assert node.rpc.handle(b'{"jsonrpc":"2.0","method":"eth_chainId"}') == b""
    assert node.rpc.handle(b'[{"jsonrpc":"2.0","method":"eth_chainId"}]') == b""


def test_closed_chain_is_an_internal_error_and_not_a_wrong_answer() -> None:
    node = Chain()
    node.chain.close()
    assert node.ask("eth_blockNumber")["code"] == -32603
    assert node.ask("eth_sendRawTransaction", node.raw(None, STOPS))["code"] == -32603
