"""The evidence file (docs/spec/evidence.md): canonical JSON, read strictly, with no member that nothing binds.

Reading says only that the form is right; what it claims counts after `ledger.evidence.verify`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.errors import MalformedError
from ledger.evidence.documents import (
    Document,
    check_format,
    each_of,
    expect_members,
    expect_object,
    expect_text,
    member_list,
    parse_number,
)
from ledger.evidence.history import HistoryRecord
from ledger.log.text import format_base64, parse_base64
from ledger.types import Bytes32, parse_hex

__all__ = [
    "EVIDENCE_FORMAT",
    "BlockProof",
    "ChainProof",
    "Content",
    "Evidence",
    "LogProof",
    "Metadata",
    "parse_evidence",
]

EVIDENCE_FORMAT: Final = "concord-evidence/1"
_MAX_SIZE_BYTES: Final = 1 << 30
_MAX_INDEX: Final = 2**63 - 1
_MAX_POSITION: Final = 2**32 - 1
_HASH_SIZE: Final = 32
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
class LogProof:
    """The entry's place in the log: index, inclusion proof and the signed checkpoint that it leads to."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Metadata:
    """A dataset version's metadata document with the salt under which it was registered."""

    salt: Bytes32
    document: Document


@dataclass(frozen=True, slots=True)
class Content:
    """What a registration's hashes stand for: version salt, manifest, and optionally chunk hashes and metadata."""

    version_salt: Bytes32
    manifest: Document
    chunks: Document | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is needed to check one statement without asking anybody."""

    type_name: str
    message: Document
    signature: bytes
    log: LogProof
    anchor: ChainProof
    history: tuple[HistoryRecord, ...]
    cosignature: bytes | None = None
    effect: ChainProof | None = None
    content: Content | None = None

    def to_document(self) -> Document:
        """The evidence as JSON values."""
        document: Document = {
            "format": EVIDENCE_FORMAT,
            "statement": {"type": self.type_name, "message": self.message},
            "signature": _hex(self.signature),
            "log": {
                "index": str(self.log.index),
                "proof": [format_base64(each) for each in self.log.proof],
                "checkpoint": self.log.checkpoint.decode(),
            },
            "anchor": _dump_chain(self.anchor),
            "history": [_dump_record(record) for record in self.history],
        }
        if self.cosignature is not None:
            document["cosignature"] = _hex(self.cosignature)
        if self.effect is not None:
            document["effect"] = _dump_chain(self.effect)
        if self.content is not None:
            document["content"] = _dump_content(self.content)
        return document

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return encode_canonical(self.to_document())


def parse_evidence(raw: bytes) -> Evidence:
    """Read an evidence file, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format, or a missing, unknown or mistyped member.
    """
    value = parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES)
    check_format(value, EVIDENCE_FORMAT)
    document = expect_members(
        value,
        "the evidence",
        ("format", "statement", "signature", "log", "anchor", "history"),
        ("cosignature", "effect", "content"),
    )
    statement = expect_members(document["statement"], "statement", ("type", "message"))
    return Evidence(
        type_name=_parse_type_name(expect_text(statement, "type")),
        message=expect_object(statement["message"], "message"),
        signature=parse_hex(expect_text(document, "signature")),
        log=_parse_log(document["log"]),
        anchor=_parse_chain(document["anchor"], "anchor"),
        history=tuple(map(_parse_record, member_list(document, "history"))),
        cosignature=parse_hex(expect_text(document, "cosignature")) if "cosignature" in document else None,
        effect=_parse_chain(document["effect"], "effect") if "effect" in document else None,
        content=_parse_content(document["content"]) if "content" in document else None,
    )


def _parse_type_name(name: str) -> str:
    if not _TYPE_NAME.match(name):
        raise MalformedError("a statement's type is a name of at most 64 letters and digits, a capital in front")
    return name


def _parse_log(value: JsonValue) -> LogProof:
    log = expect_members(value, "log", ("index", "proof", "checkpoint"))
    proof = each_of(log, "proof", lambda text: parse_base64(text, _HASH_SIZE))
    return LogProof(parse_number(log, "index", _MAX_INDEX), proof, expect_text(log, "checkpoint").encode())


def _parse_chain(value: JsonValue, name: str) -> ChainProof:
    chain = expect_members(value, name, _CHAIN_MEMBERS, ("block",))
    return ChainProof(
        header=parse_hex(expect_text(chain, "header")),
        receipt_index=parse_number(chain, "receipt_index", _MAX_POSITION),
        receipt=parse_hex(expect_text(chain, "receipt")),
        receipt_proof=each_of(chain, "receipt_proof", parse_hex),
        log_position=parse_number(chain, "log_position", _MAX_POSITION),
        block=_parse_block(chain["block"]) if "block" in chain else None,
    )


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


def _parse_content(value: JsonValue) -> Content:
    content = expect_members(value, "content", ("version_salt", "manifest"), ("chunks", "metadata"))
    return Content(
        version_salt=Bytes32.parse(expect_text(content, "version_salt")),
        manifest=expect_object(content["manifest"], "manifest"),
        chunks=expect_object(content["chunks"], "chunks") if "chunks" in content else None,
        metadata=_parse_metadata(content["metadata"]) if "metadata" in content else None,
    )


def _parse_metadata(value: JsonValue) -> Metadata:
    metadata = expect_members(value, "metadata", ("salt", "document"))
    return Metadata(Bytes32.parse(expect_text(metadata, "salt")), expect_object(metadata["document"], "document"))


def _dump_chain(chain: ChainProof) -> Document:
    document: Document = {
        "header": _hex(chain.header),
        "receipt_index": str(chain.receipt_index),
        "receipt": _hex(chain.receipt),
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


def _dump_record(record: HistoryRecord) -> Document:
    return {
        "kind": str(record.kind),
        "participant": str(record.participant),
        "detail": str(record.detail),
        "block": str(record.block),
        "time": str(record.time),
    }


def _dump_content(content: Content) -> Document:
    document: Document = {"version_salt": str(content.version_salt), "manifest": content.manifest}
    if content.chunks is not None:
        document["chunks"] = content.chunks
    if content.metadata is not None:
        document["metadata"] = {"salt": str(content.metadata.salt), "document": content.metadata.document}
    return document


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _hex_list(items: Sequence[bytes]) -> list[JsonValue]:
    return [_hex(item) for item in items]
