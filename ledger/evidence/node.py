"""A node of the auditor's choice, over JSON-RPC (https://ethereum.github.io/execution-apis/) by the standard library.

Its limits are Besu's: at most 5,000 blocks of events and, with room to spare, 200 calls at a time.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.header import Header, encode_header
from ledger.evidence.policy import Policy
from ledger.evidence.qbft import compute_block_hash
from ledger.evidence.receipt import EventLog
from ledger.evidence.rpc_values import read_bytes, read_int, read_list, read_object
from ledger.keccak import keccak256
from ledger.types import Address, Bytes32

__all__ = ["Node", "verify_node"]

_BATCH: Final = 200
_LOG_SPAN: Final = 5000
_MAX_ANSWER_BYTES: Final = 1 << 28
_USER_AGENT: Final = "concord-verify"

Call = tuple[str, list[object]]


class Node:
    """A JSON-RPC endpoint, ``Node("http://127.0.0.1:8545")``; a fetch raises UnavailableError when it can not tell."""

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        """Raise MalformedError unless the URL is one of HTTP."""
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise MalformedError(f"not a node's URL: {error}") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise MalformedError("a node's URL begins with http:// or https:// and names a host")
        self._url = url
        self._timeout_s = timeout_s
        # Never the whole URL: it may hold a secret.
        self.name = parts.hostname + (f":{port}" if port else "")

    def fetch_chain_id(self) -> int:
        """The chain id. Raises: UnavailableError."""
        return self._read_int(self._call("eth_chainId", []))

    def fetch_head(self) -> int:
        """The number of the last block. Raises: UnavailableError."""
        return self._read_int(self._call("eth_blockNumber", []))

    def fetch_block(self, number: int) -> Mapping[str, object]:
        """A block without its transactions, as JSON-RPC gives it. Raises: UnavailableError: also for no such block."""
        return self._block(number, self._call("eth_getBlockByNumber", [hex(number), False]))

    def fetch_block_hash(self, number: int) -> Bytes32:
        """The hash of a block. Raises: UnavailableError."""
        return self._hash(self.fetch_block(number), "hash")

    def fetch_block_hashes(self, first: int, last: int) -> list[Bytes32]:
        """The hashes of the blocks ``first`` to ``last``, each the parent of the next.

        Raises:
            UnavailableError: also when they do not form a chain (the head moved: try again).
        """
        hashes: list[Bytes32] = []
        for number, block in self._fetch_blocks(first, last):
            if hashes and self._hash(block, "parentHash") != hashes[-1]:
                raise UnavailableError(f"the node {self.name}: block {number} does not follow the one before")
            hashes.append(self._hash(block, "hash"))
        return hashes

    def fetch_headers(self, first: int, last: int) -> Iterator[bytes]:
        """The headers of the blocks ``first`` to ``last`` as RLP, with their seals, each hashing to its block's hash.

        Raises:
            UnavailableError: also for a header with fields that this version can not encode.
        """
        for number, block in self._fetch_blocks(first, last):
            try:
                header = encode_header(block)
                found = compute_block_hash(Header.parse(header))
            except MalformedError as error:
                raise self._unclear(error) from error
            if found != self._hash(block, "hash"):
                raise self._unclear(f"block {number}, whose fields do not hash to its hash")
            yield header

    def _fetch_blocks(self, first: int, last: int) -> Iterator[tuple[int, Mapping[str, object]]]:
        for start in range(first, last + 1, _BATCH):
            numbers = range(start, min(start + _BATCH, last + 1))
            answers = self._call_all([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
            for number, answer in zip(numbers, answers, strict=True):
                yield number, self._block(number, answer)

    def fetch_code_hash(self, address: Address) -> Bytes32:
        """Keccak-256 of the code at ``address``. Raises: UnavailableError: also where there is none."""
        code = self._read_bytes(self._call("eth_getCode", [str(address), "latest"]))
        if not code:
            raise UnavailableError(f"the node {self.name} has no contract at {address}")
        return Bytes32(keccak256(code))

    def fetch_events(self, address: Address, topics: Sequence[Bytes32], first: int, last: int) -> Iterator[EventLog]:
        """The events of a contract whose first topic is among ``topics``, in order. Raises: UnavailableError."""
        for start in range(first, last + 1, _LOG_SPAN):
            span: dict[str, object] = {
                "address": str(address),
                "topics": [[str(topic) for topic in topics]],
                "fromBlock": hex(start),
                "toBlock": hex(min(start + _LOG_SPAN - 1, last)),
            }
            answer = self._call("eth_getLogs", [span])
            try:
                for log in read_list({"logs": answer}, "logs"):
                    yield _parse_event(read_object(log, "log"))
            except MalformedError as error:
                raise self._unclear(error) from error

    def _block(self, number: int, answer: object) -> Mapping[str, object]:
        if answer is None:
            raise UnavailableError(f"the node {self.name} has no block {number}")
        try:
            block = read_object(answer, "block")
            found = read_int(block, "number")
        except MalformedError as error:
            raise self._unclear(error) from error
        if found != number:
            raise self._unclear(f"block {found} instead of {number}")
        return block

    def _hash(self, block: Mapping[str, object], name: str) -> Bytes32:
        try:
            return Bytes32(read_bytes(block, name, 32))
        except MalformedError as error:
            raise self._unclear(error) from error

    def _read_int(self, answer: object) -> int:
        try:
            return read_int({"answer": answer}, "answer")
        except MalformedError as error:
            raise self._unclear(error) from error

    def _read_bytes(self, answer: object) -> bytes:
        try:
            return read_bytes({"answer": answer}, "answer")
        except MalformedError as error:
            raise self._unclear(error) from error

    def _call(self, method: str, params: list[object]) -> object:
        answer = self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        return self._result(answer)

    def _call_all(self, calls: Sequence[Call]) -> list[object]:
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(calls)
        ]
        answers = self._post(requests)
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise self._unclear(self._error_of(answers) or "not one answer a call")
        by_id = {_id_of(answer): answer for answer in answers}
        if set(by_id) != set(range(len(calls))):
            raise self._unclear("answers to other calls")
        return [self._result(by_id[number]) for number in range(len(calls))]

    def _result(self, answer: object) -> object:
        if not isinstance(answer, dict) or "result" not in answer:
            raise self._unclear(self._error_of(answer) or "neither result nor error")
        return answer["result"]

    @staticmethod
    def _error_of(answer: object) -> str | None:
        error = answer.get("error") if isinstance(answer, dict) else None
        return ascii(error.get("message"))[:200] if isinstance(error, dict) else None

    def _unclear(self, reason: object) -> UnavailableError:
        return UnavailableError(f"the node {self.name} answered something that can not be used: {reason}")

    def _post(self, body: object) -> object:
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "User-Agent": _USER_AGENT},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:  # noqa: S310 - as above
                raw = response.read(_MAX_ANSWER_BYTES)
            return json.loads(raw)
        except urllib.error.HTTPError as error:
            error.close()
            raise UnavailableError(f"the node {self.name} answered HTTP status {error.code}") from error
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            raise UnavailableError(f"the node {self.name} does not answer: {error}") from error


def verify_node(node: Node, policy: Policy) -> None:
    """Check that the node is of the policy's chain and that the contracts there have the code that the policy names.

    Raises:
        UnavailableError: the node does not answer, or it contradicts the policy: then it can settle nothing.
    """
    try:
        _expect(node, "chain id", str(policy.chain_id), str(node.fetch_chain_id()))
        _expect(node, "genesis hash", str(policy.genesis_hash), str(node.fetch_block_hash(0)))
        for name, pinned in policy.contracts.items():
            _expect(node, f"code hash of {name}", str(pinned.code_hash), str(node.fetch_code_hash(pinned.address)))
    except VerificationError as error:
        raise UnavailableError(f"{error}: it is no node of this policy's consortium") from error


def _expect(node: Node, what: str, expected: str, found: str) -> None:
    if expected != found:
        raise VerificationError(f"the node {node.name} has the {what} {found}, the policy {expected}")


def _id_of(answer: object) -> int | None:
    """Which call an answer is to; None where its id is none of ours, which are whole numbers."""
    number = answer.get("id") if isinstance(answer, dict) else None
    return number if type(number) is int else None


def _parse_event(log: Mapping[str, object]) -> EventLog:
    topics = tuple(Bytes32(read_bytes({"topic": topic}, "topic", 32)) for topic in read_list(log, "topics"))
    return EventLog(Address(read_bytes(log, "address", 20)), topics, read_bytes(log, "data"))
