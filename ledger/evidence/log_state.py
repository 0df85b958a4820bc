"""What `CheckpointLog` recorded of a log, and during which time, as one of its events shows it."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.evidence.decoding import decode_event
from ledger.evidence.events import EVENTS, expect_event
from ledger.evidence.proven_event import ProvenEvent
from ledger.types import Address, Bytes32

__all__ = ["LogState", "Span", "read_log_state"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, UTC seconds, at whose beginning and just before whose end the log had this size on chain."""

    size: int
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class LogState:
    """A log's size and root on chain at an event, and what the event shows of the time before."""

    event: str
    log: Bytes32
    size: int
    root: Bytes32
    spans: tuple[Span, ...]

    def had_by(self, index: int, moment: int) -> bool | None:
        """Whether the contract had the entry ``index`` by the end of a second; None: the event does not say."""
        if any(span.size > index and span.since <= moment for span in self.spans):
            return True
        return False if any(span.size <= index and span.until > moment for span in self.spans) else None


def read_log_state(chain: ProvenEvent, contract: Address) -> LogState:
    """Read a `LogAttested` or a `CheckpointPublished` of ``contract``.

    Raises:
        MalformedError: not of the event's layout, or the block's header is malformed.
        VerificationError: another contract's event, or another event.
    """
    event = expect_event(chain.event, contract, (EVENTS["LogAttested"], EVENTS["CheckpointPublished"]))
    members = {name: str(value) for name, value in decode_event(chain.event).members.items()}
    size, now = int(members["size"]), chain.header.timestamp
    if event.name == "LogAttested":
        spans: tuple[Span, ...] = (Span(size, int(members["time"]), now),)
    else:
        before = Span(int(members["previousSize"]), int(members["previousTime"]), now)
        spans = (before, Span(size, now, now))
    return LogState(event.name, Bytes32.parse(members["log"]), size, Bytes32.parse(members["root"]), spans)
