"""The breach file (docs/spec/evidence-breach.md): that a log broke a promise which it signed.

What the log promised is its signed note or receipt; what it did is what `CheckpointLog` recorded of it. Two signed
notes that contradict each other are the older sister of this format (`ledger.evidence.fork`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.errors import MalformedError
from ledger.evidence.documents import Document, check_format, each_of, expect_members, expect_object, expect_text
from ledger.evidence.members import ChainProof, StatedForm, dump_chain, format_hex, parse_chain, parse_stated
from ledger.log.text import format_base64, parse_base64
from ledger.merkle import HASH_SIZE_BYTES
from ledger.statements import Statement
from ledger.types import parse_hex

__all__ = [
    "BREACH_FORMAT",
    "Breach",
    "BreachKind",
    "Contradiction",
    "Promise",
    "Replacement",
    "build_forked",
    "build_missed",
    "build_replaced",
    "parse_breach",
    "read_breach",
]

BREACH_FORMAT: Final = "concord-breach/1"
_MAX_SIZE_BYTES: Final = 1 << 24
_PROMISE_MEMBERS: Final = ("receipt", "statement", "signature")


class BreachKind(StrEnum):
    """What the log did."""

    MISSED = "missed"  # not anchored by the time that its receipt names
    REPLACED = "replaced"  # anchored another entry at the index that its receipt names
    FORKED = "forked"  # anchored a history that does not continue a checkpoint which it signed


@dataclass(frozen=True, slots=True)
class Promise:
    """A receipt and the statement with its signature, whose entry it is about."""

    receipt: bytes
    statement: StatedForm
    signature: bytes


@dataclass(frozen=True, slots=True)
class Replacement:
    """Another leaf hash, included at the receipt's index under the recorded root."""

    leaf_hash: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A signed checkpoint, and the root that the larger of it and the recorded one has at the smaller one's size."""

    checkpoint: bytes
    root: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """What was promised, and the contract's event that shows what became of it.

    ``promise`` belongs to MISSED and REPLACED, ``replacement`` to REPLACED, ``contradiction`` to FORKED.
    """

    kind: BreachKind
    chain: ChainProof
    promise: Promise | None = None
    replacement: Replacement | None = None
    contradiction: Contradiction | None = None

    def to_document(self) -> Document:
        """The evidence as JSON values."""
        document: Document = {"format": BREACH_FORMAT, "kind": self.kind.value, "chain": dump_chain(self.chain)}
        if self.promise is not None:
            document |= {
                "receipt": self.promise.receipt.decode(),
                "statement": self.promise.statement.to_document(),
                "signature": format_hex(self.promise.signature),
            }
        if self.replacement is not None:
            document |= {
                "leaf_hash": format_base64(self.replacement.leaf_hash),
                "proof": [format_base64(each) for each in self.replacement.proof],
            }
        if self.contradiction is not None:
            document |= {
                "checkpoint": self.contradiction.checkpoint.decode(),
                "root": format_base64(self.contradiction.root),
                "proof": [format_base64(each) for each in self.contradiction.proof],
            }
        return document

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return encode_canonical(self.to_document())


def build_missed(receipt: bytes, statement: Statement, signature: bytes, chain: ChainProof) -> Breach:
    """A missed anchor-by: ``chain`` proves a `LogAttested` or `CheckpointPublished` of that log after that time.

    Nothing is verified here.
    """
    return Breach(BreachKind.MISSED, chain, Promise(receipt, StatedForm.of(statement), signature))


def build_replaced(
    receipt: bytes,
    statement: Statement,
    signature: bytes,
    chain: ChainProof,
    *,
    leaf_hash: bytes,
    proof: Iterable[bytes],
) -> Breach:
    """Another entry at the receipt's index: its leaf hash and inclusion proof under the root in the event of ``chain``.

    Nothing is verified here.
    """
    promise = Promise(receipt, StatedForm.of(statement), signature)
    return Breach(BreachKind.REPLACED, chain, promise, Replacement(leaf_hash, tuple(proof)))


def build_forked(checkpoint: bytes, chain: ChainProof, *, root: bytes, proof: Iterable[bytes]) -> Breach:
    """A signed checkpoint that the history in the event of ``chain`` does not continue, or that does not continue it.

    ``root`` is the one that the larger of the two has at the smaller one's size, ``proof`` the consistency proof that
    shows it. Nothing is verified here.
    """
    return Breach(BreachKind.FORKED, chain, contradiction=Contradiction(checkpoint, root, tuple(proof)))


def parse_breach(raw: bytes) -> Breach:
    """Read a breach file, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format or kind, or a missing, unknown or mistyped member.
    """
    return read_breach(parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES))


def read_breach(value: JsonValue) -> Breach:
    """Read a breach from its canonical document. Raises: MalformedError, as `parse_breach`."""
    check_format(value, BREACH_FORMAT)
    kind = _parse_kind(expect_object(value, "the evidence").get("kind"))
    document = expect_members(value, "the evidence", ("format", "kind", "chain", *_OWN_MEMBERS[kind]))
    chain = parse_chain(document["chain"], "chain")
    if kind is BreachKind.FORKED:
        return Breach(kind, chain, contradiction=_parse_contradiction(document))
    promise = Promise(
        expect_text(document, "receipt").encode(),
        parse_stated(document["statement"]),
        parse_hex(expect_text(document, "signature")),
    )
    return Breach(kind, chain, promise, _parse_replacement(document) if kind is BreachKind.REPLACED else None)


def _parse_kind(value: JsonValue) -> BreachKind:
    kind = next((each for each in BreachKind if each.value == value), None)
    if kind is None:
        raise MalformedError(f"the kind of a breach is {', '.join(BreachKind)}, not {ascii(value)[:64]}")
    return kind


def _parse_replacement(document: Document) -> Replacement:
    return Replacement(_parse_hash(expect_text(document, "leaf_hash")), each_of(document, "proof", _parse_hash))


def _parse_contradiction(document: Document) -> Contradiction:
    checkpoint = expect_text(document, "checkpoint").encode()
    return Contradiction(
        checkpoint, _parse_hash(expect_text(document, "root")), each_of(document, "proof", _parse_hash)
    )


def _parse_hash(text: str) -> bytes:
    return parse_base64(text, HASH_SIZE_BYTES)


_OWN_MEMBERS: Final = {
    BreachKind.MISSED: _PROMISE_MEMBERS,
    BreachKind.REPLACED: (*_PROMISE_MEMBERS, "leaf_hash", "proof"),
    BreachKind.FORKED: ("checkpoint", "root", "proof"),
}
