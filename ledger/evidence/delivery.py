"""The delivery file (docs/spec/evidence-delivery.md): that a provider did not deliver what a consumer receipted.

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
from ledger.evidence.documents import Document, each_of, expect_members, expect_object, expect_text
from ledger.evidence.event_evidence import EVENT_FORMAT, EventEvidence, read_event_evidence
from ledger.evidence.evidence import Evidence, read_evidence
from ledger.evidence.members import ChainProof, dump_chain, format_hex, parse_chain
from ledger.evidence.shown_chunk import ShownChunk, read_shown_chunk
from ledger.log.text import format_base64, parse_base64
from ledger.merkle import HASH_SIZE_BYTES
from ledger.statements import ENTRY_SIZE_BYTES
from ledger.types import parse_hex

__all__ = [
    "DELIVERY_FORMAT",
    "DELIVERY_FORMAT_2",
    "Delivery",
    "DeliveryKind",
    "Silence",
    "WrongData",
    "build_withheld",
    "build_wrong_data",
    "build_wrong_key",
    "parse_delivery",
    "read_delivery",
]

DELIVERY_FORMAT: Final = "concord-delivery/1"
DELIVERY_FORMAT_2: Final = "concord-delivery/2"
"""Of the kinds that version 1 does not know."""
_MAX_SIZE_BYTES: Final = 1 << 28
_OWN_MEMBERS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    DELIVERY_FORMAT: {"wrong-key": ("release",), "withheld": ("since",)},
    DELIVERY_FORMAT_2: {"wrong-data": ("release", "registration", "chunk")},
}


class DeliveryKind(StrEnum):
    """What the provider did."""

    WRONG_KEY = "wrong-key"  # released what does not open with the transfer's key, or not to the sealing's key
    WITHHELD = "withheld"  # stated nothing in the log that took the receipt until its deadline had passed
    WRONG_DATA = "wrong-data"  # released the right key, which does not open what was receipted to what was registered


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
class WrongData:
    """The right key, and a chunk of what was receipted that it does not open to what was registered.

    ``registration`` is evidence of the statement, or the contract's event, which anybody can have.
    """

    release: Evidence
    registration: Evidence | EventEvidence
    chunk: ShownChunk

    def to_members(self) -> Document:
        """The members as JSON values."""
        return {
            "release": self.release.to_document(),
            "registration": self.registration.to_document(),
            "chunk": self.chunk.to_document(),
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """A receipt, the sealing that was receipted, the private key of the transfer, and what the provider did about it.

    ``shown`` is evidence of what it released, or the log since the receipt, or what the released key opens.
    """

    receipt: Evidence
    sealing: Evidence
    recipient: RecipientKey
    shown: Evidence | Silence | WrongData

    @property
    def kind(self) -> DeliveryKind:
        """Of which kind it is."""
        if isinstance(self.shown, WrongData):
            return DeliveryKind.WRONG_DATA
        return DeliveryKind.WITHHELD if isinstance(self.shown, Silence) else DeliveryKind.WRONG_KEY

    @property
    def release(self) -> Evidence | None:
        """What was released; None: nothing is shown of that."""
        if isinstance(self.shown, WrongData):
            return self.shown.release
        return None if isinstance(self.shown, Silence) else self.shown

    def to_document(self) -> Document:
        """The evidence as JSON values."""
        common: Document = {
            "kind": self.kind.value,
            "private_key": format_hex(self.recipient.private),
            "receipt": self.receipt.to_document(),
            "sealing": self.sealing.to_document(),
        }
        if isinstance(self.shown, WrongData):
            return {"format": DELIVERY_FORMAT_2, **common, **self.shown.to_members()}
        name = "since" if isinstance(self.shown, Silence) else "release"
        return {"format": DELIVERY_FORMAT, **common, name: self.shown.to_document()}

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return encode_canonical(self.to_document())


def build_wrong_key(receipt: Evidence, recipient: RecipientKey, *, sealing: Evidence, release: Evidence) -> Delivery:
    """A key was released that is not the sealing's. Nothing is verified here."""
    return Delivery(receipt, sealing, recipient, release)


def build_withheld(receipt: Evidence, recipient: RecipientKey, *, sealing: Evidence, since: Silence) -> Delivery:
    """No key was released. Nothing is verified here."""
    return Delivery(receipt, sealing, recipient, since)


def build_wrong_data(receipt: Evidence, recipient: RecipientKey, *, sealing: Evidence, wrong: WrongData) -> Delivery:
    """The sealing's key was released, and what was sealed is not what was registered. Nothing is verified here."""
    return Delivery(receipt, sealing, recipient, wrong)


def parse_delivery(raw: bytes) -> Delivery:
    """Read a delivery file, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format or kind, or a missing, unknown or mistyped member.
    """
    return read_delivery(parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES))


def read_delivery(value: JsonValue) -> Delivery:
    """Read it from its canonical document. Raises: MalformedError, as `parse_delivery`."""
    form = expect_object(value, "the evidence").get("format")
    kinds = _OWN_MEMBERS.get(form) if isinstance(form, str) else None
    if kinds is None:
        raise MalformedError(f"the format is {ascii(form)[:64]}, not {' or '.join(_OWN_MEMBERS)}")
    kind = expect_object(value, "the evidence").get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise MalformedError(f"the kind of a {form} is {' or '.join(kinds)}, not {ascii(kind)[:64]}")
    document = expect_members(
        value, "the evidence", ("format", "kind", "private_key", "receipt", "sealing", *kinds[kind])
    )
    recipient = RecipientKey(parse_hex(expect_text(document, "private_key")))
    receipt, sealing = read_evidence(document["receipt"]), read_evidence(document["sealing"])
    return Delivery(receipt, sealing, recipient, _read_shown(document))


def _read_shown(document: Document) -> Evidence | Silence | WrongData:
    if "since" in document:
        return _parse_silence(document["since"])
    release = read_evidence(document["release"])
    if "chunk" not in document:
        return release
    registration = _read_registration(document["registration"])
    return WrongData(release, registration, read_shown_chunk(document["chunk"]))


def _read_registration(value: JsonValue) -> Evidence | EventEvidence:
    form = expect_object(value, "registration").get("format")
    return read_event_evidence(value) if form == EVENT_FORMAT else read_evidence(value)


def _parse_silence(value: JsonValue) -> Silence:
    since = expect_members(value, "since", ("chain", "left", "entries"))
    return Silence(
        parse_chain(since["chain"], "chain"),
        each_of(since, "left", lambda text: parse_base64(text, HASH_SIZE_BYTES)),
        each_of(since, "entries", lambda text: parse_base64(text, ENTRY_SIZE_BYTES)),
    )
