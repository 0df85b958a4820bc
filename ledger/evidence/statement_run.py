"""The twelve steps (docs/spec/evidence.md) for a statement in a log: from its bytes to the block that anchors it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.evidence.anchoring import Anchor, Effect, leaf_of
from ledger.evidence.content import describe_dataset, verify_content, verify_data
from ledger.evidence.evidence import Evidence
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.report import Outcome, Report
from ledger.evidence.signing import Signing
from ledger.evidence.statement_form import read_statement
from ledger.evidence.steps import (
    NotApplicable,
    NotChecked,
    TrustedWorld,
    await_parents,
    lean_on,
    need,
    take_steps,
    verify_blocks,
)
from ledger.statements import Entry, Statement

__all__ = ["StatementRun"]


class StatementRun:
    """One evidence file on its way through the steps."""

    def __init__(
        self, world: TrustedWorld, evidence: Evidence | MalformedError | UnavailableError, data: Path | None
    ) -> None:
        self._world = world
        self._policy = world.policy
        self._given = evidence
        self._data = data
        self._evidence: Evidence | None = None
        self._anchor: Anchor | None = None
        self._statement: Statement | None = None
        self._effect: Effect | None = None
        self._signing: Signing | None = None
        self._basis: list[str] = []

    def report(self, source: str) -> Report:
        """Take all steps and say what they established."""
        steps = take_steps(self._world.policy_step, self._checks())
        passed = {step.number for step in steps if step.outcome is Outcome.PASS}
        anchor, signing, statement = self._anchor, self._signing, self._statement
        is_anchored = passed >= {5, 7, 8, 9}
        content_holds = steps[10].outcome is not Outcome.FAIL
        return Report(
            source=source,
            steps=steps,
            statement=statement,
            digest=signing.digest if signing else None,
            time=signing.find_time(anchor.published) if signing and anchor and is_anchored and 3 in passed else None,
            signer=signing.describe() if signing and passed >= {3, 10} else None,
            in_force=self._effect.describe() if self._effect and is_anchored else None,
            rests_on=tuple(dict.fromkeys(self._basis)) if is_anchored else (),
            dataset=describe_dataset(statement, self._needed_evidence.content) if statement and content_holds else None,
            existed=self._find_existed() if passed >= {4, 5, 6, 7, 8} else None,
        )

    def _checks(self) -> tuple[Callable[[], str], ...]:
        return (
            self._check_statement,
            self._check_signature,
            self._check_entry,
            self._check_inclusion,
            self._check_log_signature,
            self._check_event,
            self._check_receipt,
            self._check_block,
            self._check_signer,
            self._check_data,
            self._check_lineage,
        )

    def _check_statement(self) -> str:
        # 2. The evidence is canonical and the statement in it decodes and re-encodes to itself.
        if isinstance(self._given, MalformedError | UnavailableError):
            raise self._given
        self._evidence = evidence = self._given
        self._anchor = anchor = Anchor(self._policy, evidence, self._world.fold)
        domains = self._policy.domains
        self._statement = statement = read_statement(evidence, anchor, domains)
        if evidence.effect is not None:
            self._effect = Effect(self._policy, self._world.node, evidence.effect, statement, anchor)
        digest = statement.digest(domains)
        self._signing = Signing(
            statement, digest, evidence.signature, evidence.cosignature, anchor.history, self._effect
        )
        return f"{statement.type.name} of participant {statement.participant}"

    def _check_signature(self) -> str:
        # 3. The signature is canonical and made by a key that the history names as the participant's.
        signing = self._needed_signing
        signing.verify_signatures()
        return signing.describe_signature()

    def _check_entry(self) -> str:
        # 4. Entry and leaf hash are computed from this statement and this signature.
        entry = self._needed_entry
        return f"digest {entry.digest}, leaf hash 0x{leaf_of(entry).hex()}"

    def _check_inclusion(self) -> str:
        # 5. The leaf is included under the checkpoint, whose size counts; the checkpoint is the first that covers it.
        anchor, entry = self._needed_anchor, self._needed_entry
        checkpoint = lean_on(6, lambda: anchor.checkpoint)
        anchor.verify_inclusion(entry)
        lean_on(7, lambda: anchor.published)
        anchor.verify_first()
        words = f"entry {anchor.index} of {checkpoint.size}, covered by no checkpoint before"
        if anchor.later is None:
            return words
        later = lean_on(6, lambda: need(anchor.later).checkpoint)
        anchor.later.verify_extends(checkpoint)
        return f"{words}; the later checkpoint of {later.size} continues that one"

    def _check_log_signature(self) -> str:
        # 6. The log signed the checkpoint with a key that the policy pins, and nobody else did.
        anchor = self._needed_anchor
        words = anchor.verify_log_signature()
        if anchor.later is not None:
            words += f"; the later checkpoint {anchor.later.verify_log_signature()}"
        return words

    def _check_event(self) -> str:
        # 7. The checkpoint equals the contract's event; where an effect is shown, that event is this statement's.
        anchor = self._needed_anchor
        lean_on(6, lambda: anchor.checkpoint)
        anchor.verify_published()
        words = f"CheckpointPublished, size {anchor.published.size}"
        if anchor.later is not None:
            lean_on(6, lambda: need(anchor.later).checkpoint)
            anchor.later.verify_published()
            anchor.later.verify_same_log(anchor.published)
            words += f", and later size {anchor.later.published.size}"
        return f"{words}; the effect is {self._effect.event.name}" if self._effect else words

    def _check_receipt(self) -> str:
        # 8. The events are in their blocks' receipts.
        words = []
        for event in self._events():
            event.verify_receipt()
            words.append(f"{event.name} in receipt {event.proof.receipt_index} of block {event.header.number}")
        return ", ".join(words)

    def _check_block(self) -> str:
        # 9. The blocks are sealed by pinned validators, or under a pinned root, or known to the auditor's node.
        words, self._basis = verify_blocks(self._events(), self._policy, self._world.node)
        anchor = self._needed_anchor
        lean_on(7, lambda: anchor.published)
        anchor.verify_time()
        if anchor.later is not None:
            anchor.later.verify_time()
        return words

    def _check_signer(self) -> str:
        # 10. The history folds to the head in the event, and key and participant could act.
        anchor = self._needed_anchor
        published = lean_on(7, lambda: anchor.published)
        anchor.verify_history()
        signing = self._needed_signing
        lean_on(3, lambda: signing.signer)
        return signing.verify_standing(published)

    def _check_data(self) -> str:
        # 11. The content is the registered one, and the data on disk match it.
        statement, content = self._needed_statement, self._needed_evidence.content
        if statement.type.name != "DatasetRegistration":
            raise NotApplicable("no data belong to this statement")
        if content is None:
            if self._data is not None:
                raise UnavailableError(
                    "the evidence carries no manifest to compare the data with: it was left out, or erased"
                )
            raise NotChecked("the evidence carries no manifest: it was left out, or the version was erased before")
        manifest, chunks = verify_content(statement, content)
        words = f"the manifest of {len(manifest.files)} files is the registered one"
        if self._data is None:
            raise NotChecked(f"{words}; the data were not given")
        return f"{words}, and {verify_data(self._data, manifest, chunks)}"

    def _check_lineage(self) -> str:
        # 12. The lineage, parent by parent; what other evidence shows of it is seen by ledger.evidence.lineage.
        return await_parents(self._needed_statement)

    def _events(self) -> list[ProvenEvent]:
        chain = self._needed_anchor.chain
        effect = [] if self._effect is None else [self._effect.chain]
        later = self._needed_anchor.later
        return [chain, *effect, *([] if later is None else [later.chain])]

    def _find_existed(self) -> int | None:
        """The time of the later checkpoint where its block stands, whatever is known of the first one's."""
        later = self._needed_anchor.later
        if later is None:
            return None
        try:
            later.chain.verify_block(self._policy, self._world.node)
            later.verify_time()
        except LedgerError:
            return None
        return later.published.time

    @property
    def _needed_evidence(self) -> Evidence:
        return need(self._evidence)

    @property
    def _needed_anchor(self) -> Anchor:
        return need(self._anchor)

    @property
    def _needed_statement(self) -> Statement:
        return need(self._statement)

    @property
    def _needed_signing(self) -> Signing:
        return need(self._signing)

    @property
    def _needed_entry(self) -> Entry:
        signing = self._needed_signing
        return Entry.of(signing.digest, signing.statement.participant, signing.signature)
