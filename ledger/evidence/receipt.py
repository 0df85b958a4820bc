"""Transaction receipts: RLP (EIP-2718 types and the untyped ones), JSON-RPC, logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from ledger.errors import MalformedError
from ledger.evidence.rlp import RlpItem, encode_int, encode_rlp, expect_bytes, expect_list, parse_int, parse_rlp
from ledger.evidence.rpc_values import read_bytes, read_int, read_list, read_object
from ledger.types import Address, Bytes32

__all__ = ["EventLog", "Receipt", "encode_receipt"]

_MAX_TYPE: Final = 0x7F
_BLOOM_SIZE: Final = 256
_STATE_ROOT_SIZE: Final = 32
_MAX_TOPICS: Final = 4


@dataclass(frozen=True, slots=True)
class EventLog:
    """One event of a receipt, not yet decoded."""

    address: Address
    topics: tuple[Bytes32, ...]
    data: bytes

    @classmethod
    def _parse(cls, item: RlpItem) -> Self:
        address, topics, data = expect_list(item, 3)
        parsed = tuple(Bytes32(expect_bytes(topic, 32)) for topic in expect_list(topics))
        if len(parsed) > _MAX_TOPICS:
            raise MalformedError(f"an event has at most {_MAX_TOPICS} topics, found {len(parsed)}")
        return cls(Address(expect_bytes(address, 20)), parsed, expect_bytes(data))


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt's type (0 for the untyped ones) and its events in order."""

    type: int
    logs: tuple[EventLog, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a receipt as it stands in the receipts trie.

        Raises:
            MalformedError: a type beyond 0x7f, or not status, gas, bloom and logs.
        """
        kind = raw[0] if raw and 0 < raw[0] <= _MAX_TYPE else 0
        status, gas, bloom, logs = expect_list(parse_rlp(raw[1:] if kind else raw), 4)
        if expect_bytes(status) not in {b"", b"\x01"} and len(expect_bytes(status)) != _STATE_ROOT_SIZE:
            raise MalformedError("a receipt's status is 0, 1 or a state root")
        parse_int(gas)
        expect_bytes(bloom, _BLOOM_SIZE)
        return cls(kind, tuple(EventLog._parse(item) for item in expect_list(logs)))


def encode_receipt(receipt: Mapping[str, object]) -> bytes:
    """Encode a JSON-RPC receipt as it stands in the receipts trie.

    Raises:
        MalformedError: a field is missing or not of its type.
    """
    kind = read_int(receipt, "type") if receipt.get("type") is not None else 0
    if kind > _MAX_TYPE:
        raise MalformedError(f"JSON-RPC: no receipt has type {kind}")
    by_root = receipt.get("status") is None
    status = read_bytes(receipt, "root", _STATE_ROOT_SIZE) if by_root else encode_int(read_int(receipt, "status"))
    logs: list[RlpItem] = [_encode_log(read_object(log, "log")) for log in read_list(receipt, "logs")]
    payload = encode_rlp(
        [
            status,
            encode_int(read_int(receipt, "cumulativeGasUsed")),
            read_bytes(receipt, "logsBloom", _BLOOM_SIZE),
            logs,
        ]
    )
    return bytes([kind]) + payload if kind else payload


def _encode_log(log: Mapping[str, object]) -> list[RlpItem]:
    topics: list[RlpItem] = [read_bytes({"topic": topic}, "topic", 32) for topic in read_list(log, "topics")]
    return [read_bytes(log, "address", 20), topics, read_bytes(log, "data")]
