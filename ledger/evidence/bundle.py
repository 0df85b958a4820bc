"""The bundle (docs/spec/evidence-bundle.md): many evidence files in one, with what they share written once.

A bundle is a function of its members: what is read must be what packing its members writes, so that no byte of it is
free. Its members come back byte for byte and are judged like any other evidence; the bundle adds nothing to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, cast

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.bundle_parts import PART_NAMES, Bounds, Packer, Unpacker
from ledger.evidence.documents import (
    Document,
    check_format,
    expect_members,
    expect_object,
    member_list,
    parse_number,
)
from ledger.evidence.event_evidence import EVENT_FORMAT, EventEvidence, read_event_evidence
from ledger.evidence.evidence import EVIDENCE_FORMAT, Evidence, read_evidence
from ledger.evidence.history import HistoryRecord
from ledger.evidence.members import dump_history, parse_history

__all__ = ["BUNDLE_FORMAT", "BundleMember", "build_bundle", "parse_bundle", "read_bundle"]

BUNDLE_FORMAT: Final = "concord-bundle/1"

BundleMember = Evidence | EventEvidence


def build_bundle(members: Iterable[bytes]) -> bytes:
    """Pack evidence files, of statements and of events, into one; the order is the bundle's own, copies are dropped.

    Raises:
        MalformedError: one is no such file, their histories contradict each other, or there is none, or more than a
            verifier takes.
    """
    try:
        return _pack([_read_member(parse_canonical(raw)) for raw in members], Bounds())
    except UnavailableError as error:
        raise MalformedError(
            f"{error}; several bundles of fewer members each, or without the hashes of chunks, are judged together"
        ) from error


def parse_bundle(raw: bytes) -> tuple[bytes, ...]:
    """The bundle's members as the files that they were, each with its history: `read_bundle` shares that in memory.

    Raises: as `read_bundle`.
    """
    return tuple(member.to_bytes() for member in read_bundle(raw))


def read_bundle(raw: bytes) -> tuple[BundleMember, ...]:
    """The bundle's members, read strictly: packing them again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format, a malformed member, a part that is missing, unused, twice
            there or out of order, or members out of order.
        UnavailableError: more of all that than is taken.
    """
    bounds = Bounds()
    bounds.check_size(len(raw), 0)
    value = parse_canonical(raw)
    check_format(value, BUNDLE_FORMAT)
    document = expect_members(value, "the bundle", ("format", "history", "evidence", *PART_NAMES))
    items = member_list(document, "evidence")
    bounds.check_size(len(raw), len(items))
    shared = _SharedHistory(document, bounds)
    unpacker = Unpacker(document, bounds)
    members = [_unpack(item, unpacker, shared) for item in items]
    if _pack(members, Bounds()) != raw:
        raise MalformedError("the bundle is not what its members are packed to: a part is unused, twice or misplaced")
    return tuple(members)


class _SharedHistory:
    """The records that the members' histories begin with; those of one number share them in memory."""

    def __init__(self, document: Document, bounds: Bounds) -> None:
        """Read the bundle's history. Raises: MalformedError."""
        self._records = parse_history(document["history"])
        self._bounds = bounds
        self._prefixes: dict[int, tuple[HistoryRecord, ...]] = {}

    def take(self, packed: Document) -> tuple[HistoryRecord, ...]:
        """A member's records. Raises: MalformedError: more than there are; UnavailableError: too many in all."""
        count = parse_number(packed, "history", len(self._records))
        self._bounds.count_history(count)
        if count not in self._prefixes:
            self._prefixes[count] = self._records[:count]
        return self._prefixes[count]


def _unpack(item: JsonValue, unpacker: Unpacker, shared: _SharedHistory) -> BundleMember:
    packed = expect_object(item, "a member")
    if "history" not in packed:
        return _read_member(unpacker.unpack(packed))
    records = shared.take(packed)
    return replace(_read_member(unpacker.unpack(packed) | {"history": []}), history=records)


def _read_member(value: JsonValue) -> BundleMember:
    form = expect_object(value, "a member").get("format")
    if form == EVENT_FORMAT:
        return read_event_evidence(value)
    if form == EVIDENCE_FORMAT:
        return read_evidence(value)
    raise MalformedError(f"a bundle has members of {EVIDENCE_FORMAT} and {EVENT_FORMAT}, not {ascii(form)[:64]}")


def _pack(members: Sequence[BundleMember], bounds: Bounds) -> bytes:
    records = max((member.history or () for member in members), key=len, default=())
    shortened: dict[bytes, Document] = {}
    for member in members:
        short = _shorten(member, records)
        shortened[hashlib.sha256(encode_canonical(short)).digest()] = short
    if not shortened:
        raise MalformedError("a bundle has 1 member or more, found 0")
    packer = Packer(bounds)
    packed: list[JsonValue] = []
    for key in sorted(shortened):
        if "history" in shortened[key]:
            bounds.count_history(int(cast("str", shortened[key]["history"])))
        packed.append(packer.pack(shortened[key]))
    document: Document = {"format": BUNDLE_FORMAT, "history": dump_history(records), "evidence": packed}
    document.update(packer.parts)
    raw = encode_canonical(document)
    bounds.check_size(len(raw), len(packed))
    return raw


def _shorten(member: BundleMember, records: tuple[HistoryRecord, ...]) -> Document:
    """The member's document with the number of its history's records instead of them."""
    if member.history is None:
        return member.to_document()
    count = len(member.history)
    if member.history != records[:count]:
        raise MalformedError("the members' histories contradict each other: one of them is not of this registry")
    return replace(member, history=()).to_document() | {"history": str(count)}
