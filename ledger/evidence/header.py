"""Block headers: RLP, JSON-RPC, hash (Yellow Paper, section 4.3; EIPs 1559, 4895, 4844, 4788, 7685)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from ledger.errors import MalformedError
from ledger.evidence.rlp import RlpItem, encode_int, encode_rlp, expect_bytes, expect_list, parse_int, parse_rlp
from ledger.evidence.rpc_values import read_bytes, read_int
from ledger.keccak import keccak256
from ledger.types import Address, Bytes32

__all__ = ["Header", "encode_header"]

# JSON-RPC name and size in bytes; None: a scalar; 0: any size. The first fifteen are in every header.
_FIELDS: Final[tuple[tuple[str, int | None], ...]] = (
    ("parentHash", 32), ("sha3Uncles", 32), ("miner", 20), ("stateRoot", 32), ("transactionsRoot", 32),
    ("receiptsRoot", 32), ("logsBloom", 256), ("difficulty", None), ("number", None), ("gasLimit", None),
    ("gasUsed", None), ("timestamp", None), ("extraData", 0), ("mixHash", 32), ("nonce", 8),
)  # fmt: skip
# What forks appended, in this order, each present or not.
_FORK_FIELDS: Final[tuple[tuple[str, int | None], ...]] = (
    ("baseFeePerGas", None), ("withdrawalsRoot", 32), ("blobGasUsed", None), ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32), ("requestsHash", 32),
)  # fmt: skip
_NUMBER_SIZE: Final = 8
_POSITION: Final = {name: position for position, (name, _) in enumerate(_FIELDS)}


@dataclass(frozen=True, slots=True)
class Header:
    """A block header as its RLP says, with any number of fork fields after the first fifteen."""

    fields: tuple[bytes, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a header's RLP; what is accepted encodes back to itself.

        Raises:
            MalformedError: not a list of fifteen fields or more, each bytes, the known ones of their size.
        """
        items = expect_list(parse_rlp(raw))
        if len(items) < len(_FIELDS):
            raise MalformedError(f"a block header has {len(_FIELDS)} fields or more, found {len(items)}")
        fields = tuple(expect_bytes(item) for item in items)
        for (name, size), field in zip(_FIELDS, fields, strict=False):
            if size is None:
                parse_int(field, _NUMBER_SIZE if name in {"number", "timestamp"} else 32)
            elif size:
                expect_bytes(field, size)
        return cls(fields)

    def to_bytes(self) -> bytes:
        """The header's RLP."""
        items: list[RlpItem] = list(self.fields)
        return encode_rlp(items)

    def with_extra_data(self, extra_data: bytes) -> Header:
        """The same header with other extra data."""
        at = _POSITION["extraData"]
        return Header((*self.fields[:at], extra_data, *self.fields[at + 1 :]))

    @property
    def hash(self) -> Bytes32:
        """Keccak-256 of the RLP: the block's hash, once seals and round are out of a QBFT header."""
        return Bytes32(keccak256(self.to_bytes()))

    @property
    def number(self) -> int:
        """The block's number."""
        return int.from_bytes(self._field("number"), "big")

    @property
    def timestamp(self) -> int:
        """The block's time, UTC seconds."""
        return int.from_bytes(self._field("timestamp"), "big")

    @property
    def receipts_root(self) -> Bytes32:
        """Root of the block's receipts trie."""
        return Bytes32(self._field("receiptsRoot"))

    @property
    def parent_hash(self) -> Bytes32:
        """Hash of the block before."""
        return Bytes32(self._field("parentHash"))

    @property
    def proposer(self) -> Address:
        """Who proposed the block, which JSON-RPC calls its miner."""
        return Address(self._field("miner"))

    @property
    def extra_data(self) -> bytes:
        """The extra data: under QBFT the validators, the round and the seals."""
        return self._field("extraData")

    def _field(self, name: str) -> bytes:
        return self.fields[_POSITION[name]]


def encode_header(block: Mapping[str, object]) -> bytes:
    """Encode the header of a JSON-RPC block; fork fields by presence, in canonical order.

    The hash is not compared here: under QBFT it is not the hash of these bytes (see `ledger.evidence.qbft`).

    Raises:
        MalformedError: a field is missing or not of its type.
    """
    present = [(name, size) for name, size in _FORK_FIELDS if block.get(name) is not None]
    fields: list[RlpItem] = []
    for name, size in (*_FIELDS, *present):
        raw = encode_int(read_int(block, name)) if size is None else read_bytes(block, name, size or None)
        fields.append(raw)
    return encode_rlp(fields)
