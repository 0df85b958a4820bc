"""The delivery file (docs/spec/evidence-delivery.md): that a provider withheld the key to what a consumer receipted.

The consumer makes it and reveals the private key of that one transfer in it, so that anybody can try the key that was
released, or would be. Its parts are evidence files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.content.release import RecipientKey
from ledger.errors import MalformedError
from ledger.evidence.documents import Document, check_format, each_of, expect_members, expect_object, expect_text
from ledger.evidence.evidence import Evidence, read_evidence
from ledger.evidence.members import ChainProof, dump_chain, format_hex, parse_chain
from ledger.log.text import format_base64, parse_base64
from ledger.merkle import HASH_SIZE_BYTES
from ledger.statements import ENTRY_SIZE_BYTES
from ledger.types import parse_hex

__all__ = [
    "DELIVERY_FORMAT",
    "Delivery",
    "DeliveryKind",
    "Release",
    "Silence",
    "build_withheld",
    "build_wrong_key",
    "parse_delivery",
    "read_delivery",
]

DELIVERY_FORMAT: Final = "concord-delivery/1"
_MAX_SIZE_BYTES: Final = 1 << 28
_OWN_MEMBERS: Final = {"wrong-key": ("sealing", "release"), "withheld": ("since",)}


class DeliveryKind(StrEnum):
    """What the provider did."""

    WRONG_KEY = "wrong-key"  # released what does not open with the transfer's key, or not to the sealing's key
    WITHHELD = "withheld"  # stated nothing in the log that took the receipt until its deadline had passed


@dataclass(frozen=True, slots=True)
class Release:
    """What the provider sealed, and what it released for it."""

    sealing: Evidence
    release: Evidence


@dataclass(frozen=True, slots=True)
class Silence:
    """All that came after the receipt in its log, up to the size that a later event of the contract says it had.

    ``left`` are the roots of the complete subtrees before the receipt, from the left: what entries they hold is not
    told.
    """

    chain: ChainProof
    left: tuple[bytes, ...]
    entries: tuple[bytes, ...]

    def to_document(self) -> Document:
        """The member as JSON values."""
        return {
            "chain": dump_chain(self.chain),
            "left": [format_base64(each) for each in self.left],
            "entries": [format_base64(each) for each in self.entries],
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """A receipt, the private key of its transfer, and what the provider did about it."""

    receipt: Evidence
    recipient: RecipientKey
    shown: Release | Silence

    @property
    def kind(self) -> DeliveryKind:
        """Of which kind it is."""
        return DeliveryKind.WRONG_KEY if isinstance(self.shown, Release) else DeliveryKind.WITHHELD

    def to_document(self) -> Document:
        """The evidence as JSON values."""
        document: Document = {
            "format": DELIVERY_FORMAT,
            "kind": self.kind.value,
            "private_key": format_hex(self.recipient.private),
            "receipt": self.receipt.to_document(),
        }
        if isinstance(self.shown, Silence):
            return document | {"since": self.shown.to_document()}
        parts: Document = {"sealing": self.shown.sealing.to_document(), "release": self.shown.release.to_document()}
        return document | parts

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return encode_canonical(self.to_document())


def build_wrong_key(receipt: Evidence, recipient: RecipientKey, *, sealing: Evidence, release: Evidence) -> Delivery:
    """A key was released that is not the sealing's. Nothing is verified here."""
    return Delivery(receipt, recipient, Release(sealing, release))


def build_withheld(receipt: Evidence, recipient: RecipientKey, since: Silence) -> Delivery:
    """No key was released. Nothing is verified here."""
    return Delivery(receipt, recipient, since)


def parse_delivery(raw: bytes) -> Delivery:
    """Read a delivery file, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format or kind, or a missing, unknown or mistyped member.
    """
    return read_delivery(parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES))


def read_delivery(value: JsonValue) -> Delivery:
    """Read it from its canonical document. Raises: MalformedError, as `parse_delivery`."""
    check_format(value, DELIVERY_FORMAT)
    kind = expect_object(value, "the evidence").get("kind")
    if not isinstance(kind, str) or kind not in _OWN_MEMBERS:
        raise MalformedError(f"the kind of a delivery is {' or '.join(_OWN_MEMBERS)}, not {ascii(kind)[:64]}")
    members = ("format", "kind", "private_key", "receipt", *_OWN_MEMBERS[kind])
    document = expect_members(value, "the evidence", members)
    recipient = RecipientKey(parse_hex(expect_text(document, "private_key")))
    receipt = read_evidence(document["receipt"])
    if kind == DeliveryKind.WITHHELD:
        return Delivery(receipt, recipient, _parse_silence(document["since"]))
    shown = Release(read_evidence(document["sealing"]), read_evidence(document["release"]))
    return Delivery(receipt, recipient, shown)


def _parse_silence(value: JsonValue) -> Silence:
    since = expect_members(value, "since", ("chain", "left", "entries"))
    return Silence(
        parse_chain(since["chain"], "chain"),
        each_of(since, "left", lambda text: parse_base64(text, HASH_SIZE_BYTES)),
        each_of(since, "entries", lambda text: parse_base64(text, ENTRY_SIZE_BYTES)),
    )
