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
    "Silence",
    "build_withheld",
    "build_wrong_key",
    "parse_delivery",
    "read_delivery",
]

DELIVERY_FORMAT: Final = "concord-delivery/1"
_MAX_SIZE_BYTES: Final = 1 << 28
_OWN_MEMBERS: Final = {"wrong-key": "release", "withheld": "since"}


class DeliveryKind(StrEnum):
    """What the provider did."""

    WRONG_KEY = "wrong-key"  # released what does not open with the transfer's key, or not to the sealing's key
    WITHHELD = "withheld"  # stated nothing in the log that took the receipt until its deadline had passed


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
    """A receipt, the sealing that was receipted, the private key of the transfer, and what the provider did about it.

    ``shown`` is evidence of what it released, or the log since the receipt.
    """

    receipt: Evidence
    sealing: Evidence
    recipient: RecipientKey
    shown: Evidence | Silence

    @property
    def kind(self) -> DeliveryKind:
        """Of which kind it is."""
        return DeliveryKind.WITHHELD if isinstance(self.shown, Silence) else DeliveryKind.WRONG_KEY

    def to_document(self) -> Document:
        """The evidence as JSON values."""
        return {
            "format": DELIVERY_FORMAT,
            "kind": self.kind.value,
            "private_key": format_hex(self.recipient.private),
            "receipt": self.receipt.to_document(),
            "sealing": self.sealing.to_document(),
            _OWN_MEMBERS[self.kind]: self.shown.to_document(),
        }

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return encode_canonical(self.to_document())


def build_wrong_key(receipt: Evidence, recipient: RecipientKey, *, sealing: Evidence, release: Evidence) -> Delivery:
    """A key was released that is not the sealing's. Nothing is verified here."""
    return Delivery(receipt, sealing, recipient, release)


def build_withheld(receipt: Evidence, recipient: RecipientKey, *, sealing: Evidence, since: Silence) -> Delivery:
    """No key was released. Nothing is verified here."""
    return Delivery(receipt, sealing, recipient, since)


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
    own = _OWN_MEMBERS[kind]
    document = expect_members(value, "the evidence", ("format", "kind", "private_key", "receipt", "sealing", own))
    recipient = RecipientKey(parse_hex(expect_text(document, "private_key")))
    receipt, sealing = read_evidence(document["receipt"]), read_evidence(document["sealing"])
    shown = _parse_silence(document[own]) if kind == DeliveryKind.WITHHELD else read_evidence(document[own])
    return Delivery(receipt, sealing, recipient, shown)


def _parse_silence(value: JsonValue) -> Silence:
    since = expect_members(value, "since", ("chain", "left", "entries"))
    return Silence(
        parse_chain(since["chain"], "chain"),
        each_of(since, "left", lambda text: parse_base64(text, HASH_SIZE_BYTES)),
        each_of(since, "entries", lambda text: parse_base64(text, ENTRY_SIZE_BYTES)),
    )
