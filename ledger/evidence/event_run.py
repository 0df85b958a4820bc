"""The twelve steps (docs/spec/evidence.md) for a contract's event without a log entry; the log's do not apply."""

from __future__ import annotations

from typing import Final

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.decoding import decode_event
from ledger.evidence.event_evidence import EventEvidence
from ledger.evidence.events import EFFECTS, EVENTS, SUBJECTS, Event, expect_event, find_event
from ledger.evidence.history import History
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.receipt import Receipt
from ledger.evidence.report import Attestation, InForce, Outcome, Report, ShownEvent
from ledger.evidence.steps import (
    Check,
    NotApplicable,
    NotChecked,
    TrustedWorld,
    await_parents,
    does_not_apply,
    lean_on,
    take_steps,
    verify_blocks,
)
from ledger.statements import Statement
from ledger.types import Bytes32

__all__ = ["EventRun"]

_HEADS: Final = {
    "HistoryExtended": "head",
    "GrantAttested": "historyHead",
    "CheckpointPublished": "historyHead",
    "LogAttested": "historyHead",
}
_NO_ENTRY: Final = "an event has no entry in a log"


class EventRun:
    """The evidence of one event on its way through the steps."""

    def __init__(self, world: TrustedWorld, evidence: EventEvidence) -> None:
        self._world = world
        self._evidence = evidence
        self._chain = ProvenEvent("chain", evidence.chain)
        self._statement: Statement | None = None
        self._digest: Bytes32 | None = None
        self._basis: list[str] = []

    def report(self, source: str) -> Report:
        """Take all steps and say what they established."""
        steps = take_steps(self._world.policy_step, self._checks())
        passed = {step.number for step in steps if step.outcome is Outcome.PASS}
        is_shown = passed >= {2, 7, 8, 9}
        evidence, header = self._evidence, self._chain.header if is_shown else None
        return Report(
            source=source,
            steps=steps,
            statement=self._statement,
            digest=self._digest,
            time=header.timestamp if header else None,
            in_force=InForce(evidence.name, header.number, header.timestamp)
            if header and evidence.name in EFFECTS.get(SUBJECTS.get(evidence.name, ""), ())
            else None,
            rests_on=tuple(self._basis) if is_shown else (),
            shown=ShownEvent(evidence.contract, evidence.name, evidence.members, header.number, header.timestamp)
            if header
            else None,
            attestation=self._read_attestation(header.timestamp) if header and 10 in passed else None,
        )

    def _checks(self) -> tuple[Check, ...]:
        return (
            self._check_form,
            does_not_apply("no signature is shown with an event: where one belongs to it, the contract checked it"),
            does_not_apply(_NO_ENTRY),
            does_not_apply(_NO_ENTRY),
            does_not_apply(_NO_ENTRY),
            self._check_event,
            self._check_receipt,
            self._check_block,
            self._check_standing,
            does_not_apply("no data belong to an event"),
            self._check_lineage,
        )

    def _check_form(self) -> str:
        # 2. The evidence is canonical, and the statement in it is of the type that the event is about.
        evidence = self._evidence
        if evidence.history is not None and evidence.name not in _HEADS:
            raise MalformedError("a history belongs to an event that carries the head of one")
        if evidence.statement is None:
            return f"the event {evidence.name[:64]!a}"
        subject = SUBJECTS.get(evidence.name)
        if evidence.statement.type_name != subject:
            raise VerificationError(
                f"the statement is of another type than {evidence.name[:64]!a} is about",
                expected=subject or "none",
                found=evidence.statement.type_name,
            )
        self._statement = Statement.parse(subject, evidence.statement.message)
        self._digest = self._statement.digest(self._world.policy.domains)
        return f"{subject} of participant {self._statement.participant}"

    def _check_event(self) -> str:
        # 7. The event is of the policy's contract, says what the evidence says, and is about the statement.
        evidence, log = self._evidence, self._chain.event
        event = self._find_event()
        decoded = decode_event(log).members
        if evidence.members != decoded or evidence.contract != event.contract:
            raise VerificationError("the evidence says something else than the event does")
        first = Receipt.parse(evidence.chain.receipt).logs.index(log)
        if first != evidence.chain.log_position:
            raise VerificationError(
                "the receipt has the same event further in front", expected=first, found=evidence.chain.log_position
            )
        if self._digest is not None and self._digest != log.topics[1]:
            raise VerificationError(
                f"{event.name} is about another statement", expected=str(log.topics[1]), found=str(self._digest)
            )
        if event.name in SUBJECTS:
            self._digest = log.topics[1]
        return f"{event.name} of {event.contract}"

    def _find_event(self) -> Event:
        name, log = self._evidence.name, self._chain.event
        found = find_event(log)
        if found is None and name not in EVENTS:
            raise UnavailableError("the event is of a kind that this version does not know: a newer verifier is needed")
        if found is None or found.name != name:
            words = "another kind" if found is None else found.name
            raise VerificationError("the event is called by another name", expected=words, found=ascii(name)[:64])
        return expect_event(log, self._world.policy.address_of(found.contract), (found,))

    def _check_receipt(self) -> str:
        # 8. The event is in its block's receipts.
        self._chain.verify_receipt()
        return f"{self._evidence.name[:64]!a} in receipt {self._chain.proof.receipt_index} of block {self._number}"

    def _check_block(self) -> str:
        # 9. The block is sealed by pinned validators, or under a pinned root, or known to the auditor's node.
        words, self._basis = verify_blocks([self._chain], self._world.policy, self._world.node)
        return words

    def _check_standing(self) -> str:
        # 10. What the contract checked when it emitted the event; a history folds to the head in the event.
        lean_on(7, self._find_event)
        name = self._evidence.name
        if name not in _HEADS:
            return f"the contract itself judged who may act, in block {lean_on(8, lambda: self._number)}"
        records = self._evidence.history
        if records is None:
            raise NotChecked("the registry's history up to the head in the event was not given")
        found = self._world.fold.heads(records)[-1]
        if str(found) != self._evidence.members.get(_HEADS[name]):
            raise VerificationError(
                f"the {len(records)} records of the history do not fold to the head in the event: one is changed, "
                "missing or surplus",
                expected=str(self._evidence.members.get(_HEADS[name])),
                found=str(found),
            )
        History(records).check_known()
        return f"the {len(records)} records of the history fold to the head in the event"

    def _check_lineage(self) -> str:
        # 12. As for a statement in a log: parent by parent.
        if self._statement is None:
            raise NotApplicable("no statement is shown")
        return await_parents(self._statement)

    @property
    def _number(self) -> int:
        return self._chain.header.number

    def _read_attestation(self, attested_at: int) -> Attestation | None:
        evidence = self._evidence
        if evidence.name != "GrantAttested" or evidence.history is None:
            return None
        member = {name: str(value) for name, value in evidence.members.items()}
        return Attestation(
            grant=Bytes32.parse(member["digest"]),
            provider=Bytes32.parse(member["participant"]),
            consumer=Bytes32.parse(member["consumer"]),
            valid_from=int(member["validFrom"]),
            valid_until=int(member["validUntil"]),
            granted_at=int(member["grantedAt"]),
            revoked_at=int(member["revokedAt"]),
            retired_at=int(member["retiredAt"]),
            attested_at=attested_at,
            history=History(evidence.history),
            dataset=Bytes32.parse(member["dataset"]),
        )
