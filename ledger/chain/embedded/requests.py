"""Reading JSON-RPC requests and their arguments strictly, and what is answered when they are wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from ledger.errors import MalformedError
from ledger.types import Address

__all__ = [
    "SEND",
    "LogFilter",
    "Params",
    "RpcFault",
    "address_at",
    "data_at",
    "group_requests",
    "integer_at",
    "parse_body",
    "read_request",
    "require_block",
    "require_bounded_call",
]

SEND: Final = "eth_sendRawTransaction"
_LAST_PRECOMPILE: Final = 0xFFFF

Params = Sequence[Any]

_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")


class RpcFault(Exception):  # noqa: N818 - the JSON-RPC word for what "error" carries; never leaves ledger.chain
    """A JSON-RPC error: code, message and data."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def form(self) -> dict[str, Any]:
        """The ``error`` member."""
        return {"code": self.code, "message": str(self)} | ({"data": self.data} if self.data is not None else {})


def parse_body(body: bytes, max_size_bytes: int, max_batch: int) -> Any:
    """The request, or the list of requests, in an HTTP body. Raises: RpcFault."""
    if len(body) > max_size_bytes:
        raise RpcFault(-32600, f"the request has more than {max_size_bytes} bytes")
    try:
        requests = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RpcFault(-32700, "parse error: the body is not JSON") from error
    if isinstance(requests, list) and not 0 < len(requests) <= max_batch:
        raise RpcFault(-32600, f"a batch holds 1 to {max_batch} requests")
    return requests


def read_request(request: Any) -> tuple[str, Params]:
    """Method and arguments of a request. Raises: RpcFault."""
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise RpcFault(-32600, 'invalid request: expected an object with "jsonrpc", "id", "method" and "params"')
    params = request.get("params", [])
    if not isinstance(params, list):
        raise RpcFault(-32602, "invalid params: expected a list")
    return request["method"], params


def group_requests(requests: Sequence[Any]) -> Iterator[list[Any]]:
    """Neighbouring well-formed transactions together, everything else alone."""
    group: list[Any] = []
    for request in requests:
        is_transaction = (
            isinstance(request, dict) and request.get("method") == SEND and isinstance(request.get("params"), list)
        )
        if group and not is_transaction:
            yield group
            group = []
        if is_transaction:
            group.append(request)
        else:
            yield [request]
    if group:
        yield group


def data_at(params: Params, index: int, size_bytes: int | None = None) -> bytes:
    """The DATA argument at ``index``. Raises: MalformedError."""
    text = params[index] if len(params) > index else None
    if not isinstance(text, str) or not _DATA.match(text):
        raise MalformedError(f"argument {index} is not 0x-prefixed hex")
    raw = bytes.fromhex(text[2:])
    if size_bytes is not None and len(raw) != size_bytes:
        raise MalformedError(f"argument {index} has {len(raw)} bytes, expected {size_bytes}")
    return raw


def address_at(params: Params, index: int) -> Address:
    """The address at ``index``. Raises: MalformedError."""
    return Address(data_at(params, index, 20))


def integer_at(params: Params, index: int) -> int:
    """The QUANTITY at ``index``. Raises: MalformedError."""
    text = params[index] if len(params) > index else None
    if not isinstance(text, str) or not _QUANTITY.match(text):
        raise MalformedError(f"argument {index} is not a 0x-prefixed number")
    return int(text, 16)


def require_block(number: int | None) -> int:
    """The number of a block that there is. Raises: RpcFault."""
    if number is None:
        raise RpcFault(-32001, "block not found")
    return number


def require_bounded_call(call: Mapping[str, Any]) -> None:
    """Refuse a stranger's call that runs code of its own, or a precompiled contract (a pairing takes seconds).

    Raises:
        RpcFault: it does.
        MalformedError: "to" is no address.
    """
    if call.get("to") is None:
        raise RpcFault(-32602, 'invalid params: name the contract in "to": code of your own is not executed')
    if int.from_bytes(address_at([call["to"]], 0)) <= _LAST_PRECOMPILE:
        raise RpcFault(-32602, "invalid params: precompiled contracts can not be called from outside")


@dataclass(frozen=True)
class LogFilter:
    """The addresses and topics of an ``eth_getLogs`` filter; an empty set takes all."""

    addresses: frozenset[str]
    topics: tuple[frozenset[str], ...]

    @classmethod
    def parse(cls, wanted: Mapping[str, Any]) -> Self:
        """Read a filter. Raises: MalformedError."""
        topics = wanted.get("topics") or []
        if not isinstance(topics, list):
            raise MalformedError("topics is a list")
        return cls(_choices(wanted.get("address"), 20), tuple(_choices(each, 32) for each in topics))

    def takes(self, log: Mapping[str, Any]) -> bool:
        """Whether a log passes."""
        if self.addresses and log["address"] not in self.addresses:
            return False
        found = log["topics"]
        return len(found) >= len(self.topics) and all(
            not choices or topic in choices for topic, choices in zip(found, self.topics, strict=False)
        )


def _choices(given: Any, size_bytes: int) -> frozenset[str]:
    items = given if isinstance(given, list) else [] if given is None else [given]
    return frozenset("0x" + data_at(items, index, size_bytes).hex() for index in range(len(items)))
