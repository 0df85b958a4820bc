"""Blocks as they are read from a node: checked where the ledger leans on them, whole where evidence needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from typing import Any, Self, TypeVar

from ledger.errors import MalformedError, UnavailableError
from ledger.types import Address, Bytes32

__all__ = [
    "Block",
    "EventRef",
    "Head",
    "Log",
    "Reading",
    "Receipt",
    "at_number",
    "parse_moment",
    "parse_quantity",
    "until_none",
]


@dataclass(frozen=True)
class Log:
    """An event as the chain keeps it."""

    address: Address
    topics: tuple[Bytes32, ...]
    data: bytes
    index_in_block: int
    index_in_receipt: int


@dataclass(frozen=True)
class EventRef:
    """An event and where it stands: block, transaction, and position among the block's events."""

    block: int
    transaction: Bytes32
    position: int
    topics: tuple[Bytes32, ...]
    data: bytes

    @classmethod
    def parse(cls, form: Any) -> Self:
        """Read a JSON-RPC log. Raises: UnavailableError: the node answered something else."""
        with Reading("event"):
            return cls(
                block=_number(form["blockNumber"]),
                transaction=_hash(form["transactionHash"]),
                position=_number(form["logIndex"]),
                topics=tuple(_hash(topic) for topic in form["topics"]),
                data=bytes.fromhex(form["data"][2:]),
            )


@dataclass(frozen=True)
class Receipt:
    """What became of one transaction. ``raw`` is the JSON-RPC form, from which its RLP can be rebuilt."""

    transaction_hash: Bytes32
    transaction_index: int
    block_number: int
    block_hash: Bytes32
    is_successful: bool
    gas_used: int
    contract_address: Address | None
    logs: tuple[Log, ...]
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, form: Any) -> Self:
        """Read a JSON-RPC receipt. Raises: UnavailableError: the node answered something else."""
        with Reading("receipt"):
            created = form.get("contractAddress")
            return cls(
                transaction_hash=_hash(form["transactionHash"]),
                transaction_index=_number(form["transactionIndex"]),
                block_number=_number(form["blockNumber"]),
                block_hash=_hash(form["blockHash"]),
                is_successful=_number(form["status"]) == 1,
                gas_used=_number(form["gasUsed"]),
                contract_address=_address(created) if created else None,
                logs=tuple(_parse_log(log, index) for index, log in enumerate(form["logs"])),
                raw=form,
            )

    @classmethod
    def parse_of(cls, transaction_hash: Bytes32, form: Any) -> Self | None:
        """Read the answer for one transaction; None while it has no receipt. Raises: UnavailableError."""
        receipt = None if form is None else cls.parse(form)
        if receipt is not None and receipt.transaction_hash != transaction_hash:
            raise UnavailableError(
                f"the node answered the receipt of {receipt.transaction_hash} for {transaction_hash}", retry_after_s=1.0
            )
        return receipt


@dataclass(frozen=True)
class Head:
    """A block's place: the newest, or the newest final one."""

    number: int
    hash: Bytes32
    parent_hash: Bytes32
    timestamp: int

    @classmethod
    def parse(cls, form: Any) -> Self:
        """Read a JSON-RPC block's place. Raises: UnavailableError: the node answered something else."""
        with Reading("block"):
            return cls(
                number=_number(form["number"]),
                hash=_hash(form["hash"]),
                parent_hash=_hash(form["parentHash"]),
                timestamp=parse_moment(form["timestamp"]),
            )


@dataclass(frozen=True)
class Block:
    """A block with its transactions and receipts.

    ``header`` is the JSON-RPC form with every header field; ``transactions`` are JSON-RPC forms, ``receipts`` in the
    same order. Where a block was read for its receipts, there are no transactions.
    """

    number: int
    hash: Bytes32
    parent_hash: Bytes32
    timestamp: int
    header: Mapping[str, Any] = field(repr=False)
    transactions: tuple[Mapping[str, Any], ...] = field(repr=False)
    receipts: tuple[Receipt, ...] = field(repr=False)

    @classmethod
    def parse(cls, form: Any, receipt_forms: Any) -> Self:
        """Read a JSON-RPC block (with whole transactions, or with their hashes) and its receipts.

        Raises:
            UnavailableError: the node answered something else, or receipts of another block (its head moved while it
                was read).
        """
        with Reading("block"):
            block = cls(
                number=_number(form["number"]),
                hash=_hash(form["hash"]),
                parent_hash=_hash(form["parentHash"]),
                timestamp=parse_moment(form["timestamp"]),
                header={name: value for name, value in form.items() if name not in _BODY},
                transactions=tuple(each for each in form["transactions"] if not isinstance(each, str)),
                receipts=tuple(Receipt.parse(receipt) for receipt in receipt_forms),
            )
            hashes = [_hash(each if isinstance(each, str) else each["hash"]) for each in form["transactions"]]
        belong = all(receipt.block_hash == block.hash for receipt in block.receipts)
        if not belong or hashes != [receipt.transaction_hash for receipt in block.receipts]:
            raise UnavailableError(
                f"block {block.number} and its receipts do not belong together: the chain moved; read it again",
                retry_after_s=1.0,
            )
        return block


_BODY = frozenset({"transactions", "uncles", "withdrawals", "size", "totalDifficulty"})


class Reading:
    """Turns whatever goes wrong with a node's JSON into ``UnavailableError``."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, _STRANGE):
            raise UnavailableError(
                f"the node's answer is not a {self._what} ({str(error)[:_LONGEST_REASON]}); look at the node's version",
                retry_after_s=5.0,
            ) from error


def until_none(forms: Sequence[Any]) -> list[Any]:
    """What follows a block that a node does not have, or says so once, is not read: blocks have no gaps."""
    return list(takewhile(lambda form: form is not None, forms))


_Placed = TypeVar("_Placed", Head, Block)


def at_number(number: int, found: _Placed) -> _Placed:
    """What was found, if it is the block that was asked for. Raises: UnavailableError."""
    if found.number != number:
        raise UnavailableError(f"the node answered block {found.number} for block {number}", retry_after_s=1.0)
    return found


_STRANGE = (LookupError, ArithmeticError, TypeError, ValueError, AttributeError, RecursionError, MalformedError)
_LONGEST_REASON = 200


def _parse_log(form: Mapping[str, Any], index: int) -> Log:
    return Log(
        address=_address(form["address"]),
        topics=tuple(_hash(topic) for topic in form["topics"]),
        data=bytes.fromhex(form["data"][2:]),
        index_in_block=_number(form["logIndex"]),
        index_in_receipt=index,
    )


def parse_quantity(text: str, *, end: int = 1 << 63) -> int:
    """A whole number from 0 to below ``end``: what the database keeps, unless told otherwise. Raises: ValueError."""
    number = int(text, 16)
    if not 0 <= number < end:
        raise ValueError("a number out of range")
    return number


def parse_moment(text: str) -> int:
    """Seconds of UTC, as a datetime can say them. Raises: ValueError."""
    return parse_quantity(text, end=_TIMES_END)


_number = parse_quantity
_TIMES_END = 1 << 37  # in seconds of UTC: the year 6325; datetime ends with 9999


def _hash(text: str) -> Bytes32:
    raw = bytes.fromhex(text[2:])
    if text[:2] != "0x" or len(raw) != Bytes32.SIZE:
        raise ValueError("no hash")
    return bytes.__new__(Bytes32, raw)  # Bytes32() without checking the length again, in C


@lru_cache(maxsize=256)  # an event has its contract's, one of a few
def _address(text: str) -> Address:
    if text[:2] != "0x":
        raise ValueError("no hex")
    return Address(bytes.fromhex(text[2:]))
