"""The evidence file (docs/spec/evidence.md): canonical JSON, read strictly, with no member that nothing binds.

Reading says only that the form is right; what it claims counts after `ledger.evidence.verify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.evidence.documents import (
    Document,
    check_format,
    each_of,
    expect_members,
    expect_object,
    expect_text,
    parse_number,
)
from ledger.evidence.history import HistoryRecord
from ledger.evidence.members import (
    BlockProof,
    ChainProof,
    StatedForm,
    dump_chain,
    dump_history,
    format_hex,
    parse_chain,
    parse_history,
    parse_stated,
)
from ledger.log.text import format_base64, parse_base64
from ledger.types import Bytes32, parse_hex

__all__ = [
    "EVIDENCE_FORMAT",
    "BlockProof",
    "ChainProof",
    "Content",
    "Evidence",
    "Later",
    "LogProof",
    "Metadata",
    "parse_evidence",
    "read_evidence",
]

EVIDENCE_FORMAT: Final = "concord-evidence/1"
_MAX_SIZE_BYTES: Final = 1 << 30
_MAX_INDEX: Final = 2**63 - 1
_HASH_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class LogProof:
    """The entry's place in the log: index, inclusion proof and the signed checkpoint that it leads to."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Later:
    """A later anchored checkpoint of the same log: signed note, consistency proof to it, and its contract event."""

    checkpoint: bytes
    proof: tuple[bytes, ...]
    anchor: ChainProof


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
    later: Later | None = None

    def to_document(self) -> Document:
        """The evidence as JSON values."""
        document: Document = {
            "format": EVIDENCE_FORMAT,
            "statement": StatedForm(self.type_name, self.message).to_document(),
            "signature": format_hex(self.signature),
            "log": {
                "index": str(self.log.index),
                "proof": [format_base64(each) for each in self.log.proof],
                "checkpoint": self.log.checkpoint.decode(),
            },
            "anchor": dump_chain(self.anchor),
            "history": dump_history(self.history),
        }
        if self.cosignature is not None:
            document["cosignature"] = format_hex(self.cosignature)
        if self.effect is not None:
            document["effect"] = dump_chain(self.effect)
        if self.content is not None:
            document["content"] = _dump_content(self.content)
        if self.later is not None:
            document["later"] = _dump_later(self.later)
        return document

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return encode_canonical(self.to_document())


def parse_evidence(raw: bytes) -> Evidence:
    """Read an evidence file, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format, or a missing, unknown or mistyped member.
    """
    return read_evidence(parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES))


def read_evidence(value: JsonValue) -> Evidence:
    """Read evidence from its canonical document. Raises: MalformedError, as `parse_evidence`."""
    check_format(value, EVIDENCE_FORMAT)
    document = expect_members(
        value,
        "the evidence",
        ("format", "statement", "signature", "log", "anchor", "history"),
        ("cosignature", "effect", "content", "later"),
    )
    stated = parse_stated(document["statement"])
    return Evidence(
        type_name=stated.type_name,
        message=stated.message,
        signature=parse_hex(expect_text(document, "signature")),
        log=_parse_log(document["log"]),
        anchor=parse_chain(document["anchor"], "anchor"),
        history=parse_history(document["history"]),
        cosignature=parse_hex(expect_text(document, "cosignature")) if "cosignature" in document else None,
        effect=parse_chain(document["effect"], "effect") if "effect" in document else None,
        content=_parse_content(document["content"]) if "content" in document else None,
        later=_parse_later(document["later"]) if "later" in document else None,
    )


def _parse_log(value: JsonValue) -> LogProof:
    log = expect_members(value, "log", ("index", "proof", "checkpoint"))
    proof = each_of(log, "proof", _parse_hash)
    return LogProof(parse_number(log, "index", _MAX_INDEX), proof, expect_text(log, "checkpoint").encode())


def _parse_later(value: JsonValue) -> Later:
    later = expect_members(value, "later", ("checkpoint", "proof", "anchor"))
    proof = each_of(later, "proof", _parse_hash)
    return Later(expect_text(later, "checkpoint").encode(), proof, parse_chain(later["anchor"], "anchor"))


def _parse_hash(text: str) -> bytes:
    return parse_base64(text, _HASH_SIZE)


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


def _dump_content(content: Content) -> Document:
    document: Document = {"version_salt": str(content.version_salt), "manifest": content.manifest}
    if content.chunks is not None:
        document["chunks"] = content.chunks
    if content.metadata is not None:
        document["metadata"] = {"salt": str(content.metadata.salt), "document": content.metadata.document}
    return document


def _dump_later(later: Later) -> Document:
    return {
        "checkpoint": later.checkpoint.decode(),
        "proof": [format_base64(each) for each in later.proof],
        "anchor": dump_chain(later.anchor),
    }
