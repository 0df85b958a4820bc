"""What several formats carry alike: chain proofs, records of the registry's history, statements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.evidence.documents import Document, each_of, expect_members, expect_object, expect_text, parse_number
from ledger.evidence.history import HistoryRecord
from ledger.statements import Statement
from ledger.types import Bytes32, parse_hex

__all__ = [
    "BlockProof",
    "ChainProof",
    "StatedForm",
    "dump_chain",
    "dump_history",
    "format_hex",
    "parse_chain",
    "parse_history",
    "parse_stated",
]

_MAX_POSITION: Final = 2**32 - 1
_TYPE_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,63}\Z", re.ASCII)
_CHAIN_MEMBERS: Final = ("header", "receipt", "receipt_index", "receipt_proof", "log_position")


@dataclass(frozen=True, slots=True)
class BlockProof:
    """That a block is one of the blocks ``first`` to ``last``: RFC 6962 inclusion of its hash under ``root``."""

    first: int
    last: int
    root: Bytes32
    proof: tuple[Bytes32, ...]


@dataclass(frozen=True, slots=True)
class ChainProof:
    """One event of a block: header and receipt as RLP, the trie branch, and the event's position in the receipt.

    ``block`` is None where the header carries the seals of its validators.
    """

    header: bytes
    receipt_index: int
    receipt: bytes
    receipt_proof: tuple[bytes, ...]
    log_position: int
    block: BlockProof | None = None


@dataclass(frozen=True, slots=True)
class StatedForm:
    """A statement as a file carries it, not decoded yet: its type's name and its message."""

    type_name: str
    message: Document

    @classmethod
    def of(cls, statement: Statement) -> StatedForm:
        """The form of a statement."""
        return cls(statement.type.name, statement.to_json())

    def to_document(self) -> Document:
        """The form as JSON values."""
        return {"type": self.type_name, "message": self.message}


def parse_stated(value: JsonValue) -> StatedForm:
    """Read a statement's form. Raises: MalformedError."""
    statement = expect_members(value, "statement", ("type", "message"))
    name = expect_text(statement, "type")
    if not _TYPE_NAME.match(name):
        raise MalformedError("a statement's type is a name of at most 64 letters and digits, a capital in front")
    return StatedForm(name, expect_object(statement["message"], "message"))


def parse_chain(value: JsonValue, name: str) -> ChainProof:
    """Read a chain proof, the member ``name``. Raises: MalformedError."""
    chain = expect_members(value, name, _CHAIN_MEMBERS, ("block",))
    return ChainProof(
        header=parse_hex(expect_text(chain, "header")),
        receipt_index=parse_number(chain, "receipt_index", _MAX_POSITION),
        receipt=parse_hex(expect_text(chain, "receipt")),
        receipt_proof=each_of(chain, "receipt_proof", parse_hex),
        log_position=parse_number(chain, "log_position", _MAX_POSITION),
        block=_parse_block(chain["block"]) if "block" in chain else None,
    )


def dump_chain(chain: ChainProof) -> Document:
    """A chain proof as JSON values."""
    document: Document = {
        "header": format_hex(chain.header),
        "receipt_index": str(chain.receipt_index),
        "receipt": format_hex(chain.receipt),
        "receipt_proof": _hex_list(chain.receipt_proof),
        "log_position": str(chain.log_position),
    }
    if chain.block is not None:
        document["block"] = {
            "first": str(chain.block.first),
            "last": str(chain.block.last),
            "root": str(chain.block.root),
            "proof": _hex_list(chain.block.proof),
        }
    return document


def parse_history(value: JsonValue) -> tuple[HistoryRecord, ...]:
    """Read the records of a history. Raises: MalformedError."""
    if not isinstance(value, list):
        raise MalformedError("history is not a list")
    return tuple(map(_parse_record, value))


def dump_history(records: Iterable[HistoryRecord]) -> list[JsonValue]:
    """The records of a history as JSON values."""
    return [_dump_record(record) for record in records]


def format_hex(raw: bytes) -> str:
    """Bytes as ``0x`` and lower-case hex."""
    return "0x" + raw.hex()


def _parse_block(value: JsonValue) -> BlockProof:
    block = expect_members(value, "block", ("first", "last", "root", "proof"))
    first, last = parse_number(block, "first"), parse_number(block, "last")
    if last < first:
        raise MalformedError(f"a block proof over the blocks {first} to {last}")
    return BlockProof(first, last, Bytes32.parse(expect_text(block, "root")), each_of(block, "proof", Bytes32.parse))


def _parse_record(value: JsonValue) -> HistoryRecord:
    record = expect_members(value, "a history record", ("kind", "participant", "detail", "block", "time"))
    return HistoryRecord(
        kind=parse_number(record, "kind", 0xFF),
        participant=Bytes32.parse(expect_text(record, "participant")),
        detail=Bytes32.parse(expect_text(record, "detail")),
        block=parse_number(record, "block"),
        time=parse_number(record, "time"),
    )


def _dump_record(record: HistoryRecord) -> Document:
    return {
        "kind": str(record.kind),
        "participant": str(record.participant),
        "detail": str(record.detail),
        "block": str(record.block),
        "time": str(record.time),
    }


def _hex_list(items: Sequence[bytes]) -> list[JsonValue]:
    return [format_hex(item) for item in items]
