"""The twelve steps (docs/spec/evidence.md) for what a log promised and broke, and the claim that it did.

The steps say whether the evidence is what it claims to be: receipt or note are the log's, the event is the contract's.
What both together show is the claim: *verified* where the promise is broken, *refuted* where it was kept.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from ledger.canonical import JsonValue
from ledger.errors import MalformedError, VerificationError
from ledger.evidence.anchoring import leaf_of
from ledger.evidence.breach import Breach, BreachKind, Contradiction, Promise
from ledger.evidence.log_note import LogNote, check_log, tell_old_key, tell_shared_key
from ledger.evidence.log_state import LogState, read_log_state
from ledger.evidence.policy import PinnedLog
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.report import Claim, Report, Verdict
from ledger.evidence.signing import format_time
from ledger.evidence.statement_form import refuse_renamed_type
from ledger.evidence.steps import (
    Check,
    TrustedWorld,
    does_not_apply,
    lean_on,
    need,
    take_steps,
    verify_blocks,
)
from ledger.log.tlog_proof import TlogProof
from ledger.merkle import verify_consistency, verify_inclusion
from ledger.statements import Entry, Statement, UnknownStatementTypeError

__all__ = ["QUESTION", "BreachRun"]

QUESTION: Final = "did the log break its promise"
_NOBODY: Final = "what the log promised counts, whoever signed the statement"


class BreachRun:
    """The evidence of a breach on its way through the steps."""

    def __init__(self, world: TrustedWorld, breach: Breach) -> None:
        self._world = world
        self._breach = breach
        self._chain = ProvenEvent("chain", breach.chain)
        self._entry: Entry | None = None
        self._basis: list[str] = []

    def report(self, source: str) -> Report:
        """Take all steps, and say whether the promise is broken where they pass."""
        steps = take_steps(self._world.policy_step, self._checks())
        report = Report(source=source, steps=steps, rests_on=tuple(self._basis))
        if report.steps_verdict is not Verdict.VERIFIED:
            return report
        return Report(source=source, steps=steps, rests_on=tuple(self._basis), claim=self._judge())

    def _checks(self) -> tuple[Check, ...]:
        is_promise = self._breach.promise is not None
        return (
            self._check_form,
            does_not_apply(_NOBODY),
            self._check_entry if is_promise else does_not_apply("no entry is shown"),
            self._check_inclusion if is_promise else self._check_consistency,
            self._check_log_signature,
            self._check_event,
            self._check_receipt,
            self._check_block,
            does_not_apply(_NOBODY),
            does_not_apply("no data belong to a breach"),
            does_not_apply("derived from nothing"),
        )

    def _check_form(self) -> str:
        # 2. The evidence is canonical, with a receipt or a note, and a statement that decodes.
        promise = self._breach.promise
        if promise is None:
            return f"a checkpoint of {self._note.checkpoint.size} entries"
        self._read_anchor_by()
        domains = self._world.policy.domains
        try:
            statement = Statement.parse(promise.statement.type_name, promise.statement.message)
        except UnknownStatementTypeError:
            refuse_renamed_type(promise.statement.message, promise.signature, domains, self._verify_inclusion)
            raise
        digest = statement.digest(domains)
        self._entry = Entry.of(digest, statement.participant, promise.signature)
        return f"the receipt of a {statement.type.name} of participant {statement.participant}"

    def _check_entry(self) -> str:
        # 4. Entry and leaf hash are computed from this statement and this signature.
        entry = need(self._entry)
        return f"digest {entry.digest}, leaf hash 0x{leaf_of(entry).hex()}"

    def _check_inclusion(self) -> str:
        # 5. The receipt leads from the entry to its checkpoint, and where another leaf stands in its place, that too.
        proof = self._receipt
        self._verify_inclusion(need(self._entry))
        words = f"entry {proof.index} of {self._note.checkpoint.size}"
        other = self._breach.replacement
        if other is None:
            return words
        state = lean_on(7, lambda: self._state)
        verify_inclusion(other.leaf_hash, proof.index, state.size, other.proof, state.root)
        return f"{words}; on chain, of {state.size}, leaf hash 0x{other.leaf_hash.hex()}"

    def _verify_inclusion(self, entry: Entry) -> None:
        proof, checkpoint = self._receipt, self._note.checkpoint
        verify_inclusion(leaf_of(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)

    def _check_consistency(self) -> str:
        # 5. The root that the larger tree has at the smaller one's size is shown by a consistency proof.
        shown, checkpoint = need(self._breach.contradiction), self._note.checkpoint
        state = lean_on(7, lambda: self._state)
        sizes = sorted((checkpoint.size, state.size))
        if sizes[0] == 0:
            raise VerificationError("no fork: every log continues the empty one")
        larger = checkpoint.root if checkpoint.size > state.size else state.root
        verify_consistency(sizes[0], sizes[1], shown.proof, shown.root, larger)
        return f"the tree of {sizes[1]} entries has root 0x{shown.root.hex()} at size {sizes[0]}"

    def _check_log_signature(self) -> str:
        # 6. The log signed the note with a key that the policy pins, and nobody else did.
        state = lean_on(7, lambda: self._state)
        return self._note.verify_signature(state.log)

    def _check_event(self) -> str:
        # 7. The event is of the policy's contract, about the log that signed.
        state = self._state
        check_log(self._world.policy, state.log, self._note)
        return f"{state.event}, size {state.size}"

    def _check_receipt(self) -> str:
        # 8. The event is in its block's receipts.
        self._chain.verify_receipt()
        return f"the event in receipt {self._chain.proof.receipt_index} of block {self._chain.header.number}"

    def _check_block(self) -> str:
        # 9. The block is sealed by pinned validators, or under a pinned root, or known to the auditor's node.
        words, self._basis = verify_blocks([self._chain], self._world.policy, self._world.node)
        return words

    def _judge(self) -> Claim:
        claim = self._judge_kind()
        signed, log = self._note.key_ids, self._log
        doubt = tell_shared_key(signed, log, self._world.policy) or tell_old_key(signed, log.keys)
        if doubt is None or claim.verdict is not Verdict.VERIFIED:
            return claim
        return self._claim(
            Verdict.UNDETERMINED,
            f"Whether the log {self._name} made the promise that was broken can not be told: {doubt}",
        )

    def _judge_kind(self) -> Claim:
        if self._breach.kind is BreachKind.FORKED:
            return self._judge_forked(need(self._breach.contradiction))
        return self._judge_missed() if self._breach.kind is BreachKind.MISSED else self._judge_replaced()

    def _judge_missed(self) -> Claim:
        index, promised = self._receipt.index, self._read_anchor_by()
        kept = self._state.had_by(index, promised)
        until = format_time(promised)
        if kept is None:
            return self._claim(
                Verdict.UNDETERMINED,
                f"Whether entry {index} was on chain by {until} can not be told from this event: have the log attested "
                "after that time, or show the checkpoint that first covered the entry",
            )
        if kept and self._is_recorded_by(promised):
            return self._claim(Verdict.REFUTED, f"The log kept its promise: entry {index} was on chain by {until}")
        if kept:
            return self._claim(
                Verdict.UNDETERMINED,
                f"The log had an entry {index} on chain by {until}; whether it is this one, the event does not show: "
                "where it is another, evidence of kind replaced shows that",
            )
        size = min(span.size for span in self._state.spans)
        return self._claim(
            Verdict.VERIFIED,
            f"The log {self._name} broke its promise: it promised to have entry {index} on chain by {until}, and after "
            f"that time the contract still had {size} entries of it",
        )

    def _is_recorded_by(self, moment: int) -> bool:
        """Whether the contract had the receipt's own tree by then: that one holds the entry."""
        state, checkpoint = self._state, self._note.checkpoint
        is_same = (checkpoint.size, checkpoint.root) == (state.size, state.root)
        return is_same and any(span.size == state.size and span.since <= moment for span in state.spans)

    def _judge_replaced(self) -> Claim:
        index, other = self._receipt.index, need(self._breach.replacement)
        if other.leaf_hash == leaf_of(need(self._entry)):
            return self._claim(
                Verdict.REFUTED, f"The log kept its promise: on chain, entry {index} is the one promised"
            )
        return self._claim(
            Verdict.VERIFIED,
            f"The log {self._name} broke its promise: it receipted one entry at index {index} and has another one "
            "there on chain",
        )

    def _judge_forked(self, shown: Contradiction) -> Claim:
        checkpoint, state = self._note.checkpoint, self._state
        smaller = checkpoint.root if checkpoint.size <= state.size else state.root
        if shown.root == smaller:
            return self._claim(Verdict.REFUTED, "The log kept its promise: what it signed and what is on chain agree")
        return self._claim(
            Verdict.VERIFIED,
            f"The log {self._name} broke its promise: the checkpoint of {checkpoint.size} entries that it signed and "
            f"that of {state.size} on chain are of two histories",
        )

    def _claim(self, verdict: Verdict, sentence: str) -> Claim:
        state, header = self._state, self._chain.header
        facts: dict[str, JsonValue] = {
            "kind": self._breach.kind.value,
            "log": str(state.log),
            "origin": self._note.checkpoint.origin,
            "signed_size": str(self._note.checkpoint.size),
            "size_on_chain": str(state.size),
            "event": state.event,
            "block": str(header.number),
            "time": format_time(header.timestamp),
        }
        if self._entry is not None:
            facts |= {
                "digest": str(self._entry.digest),
                "index": str(self._receipt.index),
                "anchor_by": format_time(self._read_anchor_by()),
            }
        return Claim(QUESTION, verdict, sentence, facts)

    @property
    def _name(self) -> str:
        return f"{self._log.origin} of operator {self._log.operator}"

    @property
    def _log(self) -> PinnedLog:
        return need(self._world.policy.find_log(self._state.log))

    @cached_property
    def _state(self) -> LogState:
        return read_log_state(self._chain, self._world.policy.address_of("CheckpointLog"))

    @cached_property
    def _receipt(self) -> TlogProof:
        proof = TlogProof.parse(need(self._breach.promise).receipt)
        if proof.extra is not None:
            raise MalformedError("a receipt has no extra data: nothing would bind it")
        return proof

    @cached_property
    def _note(self) -> LogNote:
        promise: Promise | None = self._breach.promise
        raw = self._receipt.note.to_bytes() if promise else need(self._breach.contradiction).checkpoint
        return LogNote(self._world.policy, raw)

    def _read_anchor_by(self) -> int:
        moment = self._note.checkpoint.anchor_by
        if moment is None:
            raise MalformedError("a receipt's checkpoint has an anchor-by line")
        return int(moment.timestamp())
