"""The embedded chain's JSON-RPC: reading for auditors, sending for the accounts of the allow list.

The same requests serve the service itself, in the process (``ledger.chain.embedded.provider``), and whoever the API
lets in at ``POST /rpc``. Method and error conventions: https://ethereum.github.io/execution-apis/ and EIP-1474.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from ledger.chain.embedded.chain import EmbeddedChain
from ledger.chain.embedded.evm import BLOCK_GAS_LIMIT, CallFailedError, TransactionRefusedError, decode_transaction
from ledger.chain.embedded.forms import block_form, bytes_form, quantity, receipt_forms, transaction_form
from ledger.chain.embedded.requests import (
    SEND,
    LogFilter,
    Params,
    RpcFault,
    address_at,
    data_at,
    group_requests,
    integer_at,
    parse_body,
    read_request,
    require_block,
    require_bounded_call,
)
from ledger.errors import MalformedError, UnavailableError
from ledger.types import Address

__all__ = ["MAX_BATCH", "MAX_BODY_BYTES", "MAX_CALL_GAS", "MAX_LOG_SPAN", "EmbeddedRpc"]

MAX_BATCH: Final = 200
MAX_BODY_BYTES: Final = 8 << 20
MAX_CALL_GAS: Final = 2_000_000
MAX_LOG_SPAN: Final = 5_000
_MAX_LOGS: Final = 10_000
_LONGEST_ANSWER_S: Final = 10.0


class EmbeddedRpc:
    """Answers JSON-RPC requests about one embedded chain. Thread-safe."""

    def __init__(self, chain: EmbeddedChain, client_version: str = "Concord/embedded") -> None:
        self._chain = chain
        self._client_version = client_version
        self._methods: Mapping[str, Callable[[Params], Any]] = {
            "web3_clientVersion": lambda _: self._client_version,
            "net_version": lambda _: str(chain.chain_id),
            "eth_chainId": lambda _: quantity(chain.chain_id),
            "eth_syncing": lambda _: False,
            "eth_gasPrice": lambda _: "0x0",
            "eth_blockNumber": lambda _: quantity(chain.header().block_number),
            "eth_getBlockByNumber": self._get_block_by_number,
            "eth_getBlockByHash": self._get_block_by_hash,
            "eth_getBlockReceipts": self._get_block_receipts,
            "eth_getTransactionByHash": self._get_transaction,
            "eth_getTransactionReceipt": self._get_receipt,
            "eth_getLogs": self._get_logs,
            "eth_getBalance": lambda params: quantity(self._account(params)[0]),
            "eth_getTransactionCount": lambda params: quantity(self._account(params)[1]),
            "eth_getCode": lambda params: bytes_form(self._account(params)[2]),
            "eth_getStorageAt": self._get_storage,
            "eth_call": self._call,
        }

    def handle(self, body: bytes, allowed_senders: Collection[Address] = ()) -> bytes:
        """Answer an HTTP body: one request or a batch of at most 200; the answer's body.

        ``allowed_senders`` are the accounts whose transactions are taken. Strangers may ask: calls are of contracts
        and of bounded gas, and what is not begun after 10 s is refused. Anything wrong is answered as a JSON-RPC error;
        a batch of notifications alone is answered by an empty body.
        """
        try:
            requests = parse_body(body, MAX_BODY_BYTES, MAX_BATCH)
        except RpcFault as fault:
            return json.dumps({"jsonrpc": "2.0", "id": None, "error": fault.form()}).encode()
        answers = self.answer(requests if isinstance(requests, list) else [requests], allowed_senders)
        if not answers:
            return b""
        return json.dumps(answers if isinstance(requests, list) else answers[0]).encode()

    def answer(self, requests: Sequence[Any], allowed_senders: Collection[Address] | None) -> list[dict[str, Any]]:
        """Answer requests in order; ``None`` is the service itself, which may do all. Neighbouring transactions share a
        block.
        """
        deadline = None if allowed_senders is None else time.monotonic() + _LONGEST_ANSWER_S
        answers: list[dict[str, Any]] = []
        for group in group_requests(requests):
            if deadline is not None and time.monotonic() >= deadline:
                outcomes: list[Any] = [_too_long()] * len(group)
            elif len(group) > 1:
                outcomes = self._send_all([request["params"] for request in group], allowed_senders)
            else:
                outcomes = [self._answer_one(group[0], allowed_senders)]
            for request, outcome in zip(group, outcomes, strict=True):
                if isinstance(request, dict) and "id" not in request and "method" in request:
                    continue  # a notification
                identity = request.get("id") if isinstance(request, dict) else None
                member = {"error": outcome.form()} if isinstance(outcome, RpcFault) else {"result": outcome}
                answers.append({"jsonrpc": "2.0", "id": identity} | member)
        return answers

    def _answer_one(self, request: Any, allowed_senders: Collection[Address] | None) -> Any:
        try:
            method, params = read_request(request)
            if method == SEND:
                return self._send_all([params], allowed_senders)[0]
            if method == "eth_call" and allowed_senders is not None:
                require_bounded_call(_object_at(params))
                params = [_with_bounded_gas(params[0]), *params[1:]]
            answer = self._methods.get(method, _refuse_method)
            return answer(params)
        except RpcFault as fault:
            return fault
        except MalformedError as error:
            return RpcFault(-32602, f"invalid params: {error}")
        except UnavailableError as error:
            return RpcFault(-32603, str(error))
        except CallFailedError as error:
            code, data = (-32000, None) if error.data is None else (3, bytes_form(error.data))
            return RpcFault(code, str(error), data)

    # Sending

    def _send_all(self, all_params: Sequence[Params], allowed_senders: Collection[Address] | None) -> list[Any]:
        outcomes: list[Any] = [None] * len(all_params)
        accepted: list[tuple[int, bytes]] = []
        for index, params in enumerate(all_params):
            try:
                raw = data_at(params, 0)
                if allowed_senders is not None:
                    self._require_allowed(raw, allowed_senders)
                accepted.append((index, raw))
            except MalformedError as error:
                outcomes[index] = RpcFault(-32602, f"invalid params: {error}")
            except RpcFault as fault:
                outcomes[index] = fault
        try:
            results: Sequence[Any] = self._chain.submit([raw for _, raw in accepted])
        except UnavailableError as error:
            results = [RpcFault(-32603, str(error))] * len(accepted)
        for (index, _), result in zip(accepted, results, strict=True):
            if isinstance(result, TransactionRefusedError):
                outcomes[index] = RpcFault(-32000, str(result))
            else:
                outcomes[index] = result if isinstance(result, RpcFault) else str(result)
        return outcomes

    def _require_allowed(self, raw: bytes, allowed_senders: Collection[Address]) -> None:
        try:
            sender = Address(decode_transaction(raw, self._chain.chain_id).sender)
        except TransactionRefusedError as refusal:
            raise RpcFault(-32000, str(refusal)) from refusal
        if sender not in allowed_senders:
            raise RpcFault(
                -32007,
                f"sender account {sender} is not on this chain's allow list: hand the signed statement to a gateway, "
                "or ask the operator to add the account",
            )

    # Blocks and transactions

    def _get_block_by_number(self, params: Params) -> Any:
        number = self._number(params, 0)
        full = len(params) > 1 and params[1] is True
        return None if number is None else block_form(self._chain.block(number)[0], full=full)

    def _get_block_by_hash(self, params: Params) -> Any:
        number = self._chain.number_of(data_at(params, 0, 32))
        full = len(params) > 1 and params[1] is True
        return None if number is None else block_form(self._chain.block(number)[0], full=full)

    def _get_block_receipts(self, params: Params) -> Any:
        number = self._number(params, 0)
        return None if number is None else receipt_forms(*self._chain.block(number))

    def _get_transaction(self, params: Params) -> Any:
        place = self._chain.find_transaction(data_at(params, 0, 32))
        if place is None:
            return None
        block, _ = self._chain.block(place[0])
        return transaction_form(block.header, block.transactions[place[1]], place[1])

    def _get_receipt(self, params: Params) -> Any:
        place = self._chain.find_transaction(data_at(params, 0, 32))
        return None if place is None else receipt_forms(*self._chain.block(place[0]))[place[1]]

    def _get_logs(self, params: Params) -> list[dict[str, Any]]:
        wanted = _object_at(params)
        log_filter = LogFilter.parse(wanted)
        if "blockHash" in wanted:
            number = self._chain.number_of(data_at([wanted["blockHash"]], 0, 32))
            first = last = require_block(number)
        else:
            first = require_block(self._number([wanted.get("fromBlock", "latest")], 0))
            last = require_block(self._number([wanted.get("toBlock", "latest")], 0))
        if last - first >= MAX_LOG_SPAN:
            raise RpcFault(-32005, f"requested range exceeds the limit of {MAX_LOG_SPAN} blocks")
        deadline = time.monotonic() + _LONGEST_ANSWER_S
        logs: list[dict[str, Any]] = []
        for number in range(first, last + 1):
            logs += filter(log_filter.takes, self._logs(number))
            if len(logs) > _MAX_LOGS:
                raise RpcFault(-32005, f"more than {_MAX_LOGS} logs: ask for fewer blocks")
            if time.monotonic() >= deadline:
                raise _too_long()
        return logs

    def _logs(self, number: int) -> Iterator[dict[str, Any]]:
        if self._chain.header(number).bloom:
            for receipt in receipt_forms(*self._chain.block(number)):
                yield from receipt["logs"]

    # State

    def _account(self, params: Params) -> tuple[int, int, bytes]:
        return self._chain.account(address_at(params, 0), require_block(self._number(params, 1)))

    def _get_storage(self, params: Params) -> str:
        slot = integer_at(params, 1)
        value = self._chain.storage(address_at(params, 0), slot, require_block(self._number(params, 2)))
        return bytes_form(value.to_bytes(32, "big"))

    def _call(self, params: Params) -> str:
        call = _object_at(params)
        if call.get("data", call.get("input")) != call.get("input", call.get("data")):
            raise MalformedError('"data" and "input" differ')
        tag = params[1] if len(params) > 1 else "latest"
        is_now = isinstance(tag, str) and tag in {"latest", "pending"}
        result = self._chain.call(
            None if call.get("to") is None else address_at([call["to"]], 0),
            data_at([call.get("input", call.get("data", "0x"))], 0),
            sender=None if call.get("from") is None else address_at([call["from"]], 0),
            gas=integer_at([call.get("gas", hex(BLOCK_GAS_LIMIT))], 0),
            value=integer_at([call.get("value", "0x0")], 0),
            # Blocks come with transactions alone: "latest" is judged at the present time, as the next block would.
            number=None if is_now else require_block(self._number([tag], 0)),
        )
        return bytes_form(result)

    def _number(self, params: Params, index: int) -> int | None:
        """The block that a tag, number or hash names; None when there is none."""
        tag = params[index] if len(params) > index else "latest"
        head = int(self._chain.header().block_number)
        if isinstance(tag, dict):  # EIP-1898
            tag = tag.get("blockHash", tag.get("blockNumber"))
        if not isinstance(tag, str):
            raise MalformedError(f"argument {index} is not a block's number, hash or tag")
        if tag in {"latest", "pending", "safe", "finalized"}:
            return head
        if tag == "earliest":
            return 0
        if len(tag) == 66:
            return self._chain.number_of(data_at([tag], 0, 32))
        number = integer_at([tag], 0)
        return number if number <= head else None


def _refuse_method(_params: Params) -> Any:
    raise RpcFault(-32601, "the method does not exist or is not available")


def _too_long() -> RpcFault:
    return RpcFault(-32005, f"the answer takes longer than {_LONGEST_ANSWER_S:.0f} s: ask for less at once")


def _with_bounded_gas(call: Mapping[str, Any]) -> dict[str, Any]:
    gas = integer_at([call.get("gas", hex(MAX_CALL_GAS))], 0)
    return {**call, "gas": hex(min(gas, MAX_CALL_GAS))}


def _object_at(params: Params) -> dict[str, Any]:
    if not params or not isinstance(params[0], dict):
        raise MalformedError("argument 0 is not an object")
    return params[0]
