"""The event file (docs/spec/evidence-event.md): a contract's event with the chain's proof of it, without a log entry.

What came to a contract past every gateway is shown so, and what an attestation recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.errors import MalformedError
from ledger.evidence.decoding import decode_event
from ledger.evidence.documents import Document, check_format, expect_members, expect_object, expect_text
from ledger.evidence.history import HistoryRecord
from ledger.evidence.members import (
    ChainProof,
    StatedForm,
    dump_chain,
    dump_history,
    parse_chain,
    parse_history,
    parse_stated,
)
from ledger.evidence.receipt import EventLog, Receipt
from ledger.statements import Statement

__all__ = ["EVENT_FORMAT", "EventEvidence", "build_event_evidence", "parse_event_evidence", "read_event_evidence"]

EVENT_FORMAT: Final = "concord-event/1"
_MAX_SIZE_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class EventEvidence:
    """One event of a contract: its proof, what it says, and what makes that readable.

    ``members`` are the event's by name, as JSON values. ``statement`` is the one whose digest the event names,
    ``history`` the registry's records up to the head that the event carries.
    """

    chain: ChainProof
    contract: str
    name: str
    members: Document
    statement: StatedForm | None = None
    history: tuple[HistoryRecord, ...] | None = None

    def to_document(self) -> Document:
        """The evidence as JSON values."""
        document: Document = {
            "format": EVENT_FORMAT,
            "chain": dump_chain(self.chain),
            "event": {"contract": self.contract, "name": self.name, "members": self.members},
        }
        if self.statement is not None:
            document["statement"] = self.statement.to_document()
        if self.history is not None:
            document["history"] = dump_history(self.history)
        return document

    def to_bytes(self) -> bytes:
        """The evidence file."""
        return encode_canonical(self.to_document())


def parse_event_evidence(raw: bytes) -> EventEvidence:
    """Read an event file, strictly: writing it again gives ``raw``.

    Raises:
        MalformedError: not canonical JSON, another format, or a missing, unknown or mistyped member.
    """
    return read_event_evidence(parse_canonical(raw, max_size_bytes=_MAX_SIZE_BYTES))


def read_event_evidence(value: JsonValue) -> EventEvidence:
    """Read event evidence from its canonical document. Raises: MalformedError, as `parse_event_evidence`."""
    check_format(value, EVENT_FORMAT)
    document = expect_members(value, "the evidence", ("format", "chain", "event"), ("statement", "history"))
    event = expect_members(document["event"], "event", ("contract", "name", "members"))
    return EventEvidence(
        chain=parse_chain(document["chain"], "chain"),
        contract=expect_text(event, "contract"),
        name=expect_text(event, "name"),
        members=expect_object(event["members"], "members"),
        statement=parse_stated(document["statement"]) if "statement" in document else None,
        history=parse_history(document["history"]) if "history" in document else None,
    )


def build_event_evidence(
    chain: ChainProof, *, statement: Statement | None = None, history: Iterable[HistoryRecord] | None = None
) -> EventEvidence:
    """Put the evidence of an event together; nothing is verified here.

    ``statement`` is the one whose digest the event names, where it may be shown. ``history``, only for an event that
    carries the registry's head, are all records up to that head: without them nothing is said about permission.

    Raises:
        MalformedError: no such event in the receipt, or one that this version does not know.
    """
    decoded = decode_event(_find(chain))
    return EventEvidence(
        chain=chain,
        contract=decoded.event.contract,
        name=decoded.event.name,
        members=decoded.members,
        statement=None if statement is None else StatedForm.of(statement),
        history=None if history is None else tuple(history),
    )


def _find(chain: ChainProof) -> EventLog:
    logs = Receipt.parse(chain.receipt).logs
    if not 0 <= chain.log_position < len(logs):
        raise MalformedError(f"the receipt has {len(logs)} events, none at position {chain.log_position}")
    return logs[chain.log_position]
