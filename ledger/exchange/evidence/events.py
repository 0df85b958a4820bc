"""Evidence of contract events: effects of statements, also those that came past this gateway, and attestations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from ledger.chain import ChainEvent, decode_receipt_events
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.evidence import EventEvidence, HistoryRecord, build_event_evidence
from ledger.evidence.events import SUBJECTS
from ledger.exchange.evidence.assembly import History
from ledger.exchange.evidence.attesting import AttestedPlace
from ledger.exchange.evidence.proving import EventPlace, EventProver, Pins
from ledger.exchange.parts import Parts
from ledger.statements import Statement
from ledger.store.rows import EffectRow
from ledger.types import Bytes32

__all__ = ["EventAssembly"]

_RETRY_AFTER_S: Final = 1.0
FindStatement = Callable[[Bytes32], Statement | None]
_HEADS: Final = ("historyHead", "head")


class EventAssembly:
    """Assembles ``concord-event/1``."""

    def __init__(self, parts: Parts, prover: EventProver) -> None:
        self._parts = parts
        self._prover = prover
        self._heads = History(parts)

    def find_place(self, digest: Bytes32, name: str | None = None) -> EventPlace:
        """Where the event stands that shows a statement's effect, or another that its transaction emitted.

        Raises:
            NotFoundError: the statement is in force nowhere, or its transaction emitted no such event.
            ConflictError: the event is not final yet (``not-final``).
            UnavailableError: the chain does not answer.
        """
        effect = self._parts.store.chain.find_effect(digest)
        if effect is None:
            raise NotFoundError(f"no contract's event shows that {digest} took effect")
        if effect.block > self._parts.edge.final_head().number:
            raise ConflictError("the event is not final yet: ask again soon", code="not-final", retry_after_s=1.0)
        if name is None or name == effect.event:
            return effect
        return self._find_beside(effect, name)

    def build(self, place: EventPlace, pins: Pins, *, find_statement: FindStatement | None = None) -> EventEvidence:
        """The evidence of an event, with the history up to the head that it carries, if it does.

        ``find_statement`` gives the statement whose digest the event names first, where the asker may read it.

        Raises:
            ConflictError: its block lies outside the pins.
            UnavailableError: the chain does not answer, or what it says is not indexed here yet.
        """
        chain = self._prover.prove(place, pins)
        plain = build_event_evidence(chain)
        statement = None
        if find_statement is not None and plain.name in SUBJECTS:
            statement = find_statement(Bytes32.parse(str(next(iter(plain.members.values())))))
        return build_event_evidence(chain, statement=statement, history=self._history(plain))

    def _history(self, event: EventEvidence) -> tuple[HistoryRecord, ...] | None:
        head = next((event.members[name] for name in _HEADS if name in event.members), None)
        if head is None:
            return None
        try:
            return self._heads.until(Bytes32.parse(cast("str", head)))
        except NotFoundError as error:
            raise UnavailableError(
                "the registry's history is not indexed up to this event yet: ask again", retry_after_s=_RETRY_AFTER_S
            ) from error

    def _find_beside(self, effect: EffectRow, name: str) -> AttestedPlace:
        receipt = self._parts.edge.receipt(effect.transaction)
        if receipt is None:
            raise UnavailableError("the chain no longer shows the event: ask again", retry_after_s=_RETRY_AFTER_S)
        events = decode_receipt_events(receipt, 0, self._parts.deployment.contracts)
        named = [event for event in events if event.name == name]
        found = next((each for each in named if _is_about(each, effect.digest)), named[0] if named else None)
        if found is None:
            names = ", ".join(dict.fromkeys(event.name for event in events))
            raise NotFoundError(f"the transaction emitted no {name[:64]!r}; it emitted {names}")
        return AttestedPlace(found.block_number, found.tx_hash, found.log_index_in_block)


def _is_about(event: ChainEvent, digest: Bytes32) -> bool:
    return event.args.get("digest") == digest
