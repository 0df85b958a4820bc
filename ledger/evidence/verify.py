"""The verifier: offline, from one evidence file and the auditor's policy (DESIGN, section 7).

Each evidence file is taken through these steps; the code below repeats their numbers:

 1. The policy is loaded; where a node is given, that node has the policy's chain and contracts.
 2. The evidence is canonical and the statement in it decodes and re-encodes to itself.
 3. The signature is canonical and made by a key that the history names as the participant's.
 4. Entry and leaf hash are computed from this statement and this signature.
 5. The leaf is included under the checkpoint, whose size counts; the checkpoint is the first that covers it.
 6. The log signed the checkpoint with a key that the policy pins, and nobody else did.
 7. The checkpoint equals the contract's event; where an effect is shown, that event is this statement's.
 8. The events are in their blocks' receipts.
 9. The blocks are sealed by ceil(2n/3) distinct validators of the policy's open epoch, or under a root that it pins, or
    known to the auditor's node.
10. The history folds to the head in the event, and key and participant could act.
11. The content is the registered one, and the data on disk match it.
12. The lineage, parent by parent; `ledger.evidence.lineage` sees the parents' evidence.

What is cryptographically true is found here; whose word counts is the `Policy`'s. A step refutes by MalformedError or
VerificationError, and leaves open by UnavailableError; what it returns is only the words of its line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.anchoring import Anchor, Effect, leaf_of
from ledger.evidence.content import describe_dataset, verify_content, verify_data
from ledger.evidence.evidence import Evidence, parse_evidence
from ledger.evidence.node import Node, verify_node
from ledger.evidence.policy import Policy
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.report import Outcome, Report, Step
from ledger.evidence.signing import Signing
from ledger.evidence.statement_form import read_statement
from ledger.statements import Entry, Statement, UnknownStatementTypeError

__all__ = ["Verifier"]

_T = TypeVar("_T")
_SHOWN: Final = 400


class _NotApplicable(Exception):  # noqa: N818 - no error: nothing to check
    """The step does not apply to this statement."""


class _NotChecked(Exception):  # noqa: N818 - no error: nothing is left open by this alone
    """The step was not asked for, or builds on one that did not pass."""


class Verifier:
    """Takes evidence through the steps under one policy, with a node besides where one is given."""

    def __init__(self, policy: Policy, node: Node | None = None) -> None:
        self._policy = policy
        self._policy_step = _check_policy(policy, node)
        self._node = node if self._policy_step.outcome is Outcome.PASS else None

    def verify(self, raw: bytes, *, source: str = "evidence", data: Path | None = None) -> Report:
        """Verify one evidence file; raises nothing, whatever stands in it.

        ``data`` is the folder with the files of the dataset version that the evidence registers.
        """
        return _Run(self._policy, self._node, raw, data).report(source, self._policy_step)


def _check_policy(policy: Policy, node: Node | None) -> Step:
    # 1. The policy is loaded; where a node is given, that node has the policy's chain and contracts.
    detail = f"loaded, SHA-256 {policy.sha256}"
    if node is None:
        return Step(1, Outcome.PASS, detail)
    try:
        verify_node(node, policy)
    except UnavailableError as error:
        return Step(1, Outcome.NOT_CHECKED, f"{detail}; {error}", leaves_open=True)
    return Step(1, Outcome.PASS, f"{detail}; the node {node.name} has its chain and contracts")


class _Run:
    """One evidence file on its way through the steps."""

    def __init__(self, policy: Policy, node: Node | None, raw: bytes, data: Path | None) -> None:
        self._policy = policy
        self._node = node
        self._raw = raw
        self._data = data
        self._steps: dict[int, Step] = {}
        self._evidence: Evidence | None = None
        self._anchor: Anchor | None = None
        self._statement: Statement | None = None
        self._effect: Effect | None = None
        self._signing: Signing | None = None
        self._basis: list[str] = []

    def report(self, source: str, policy_step: Step) -> Report:
        """Take all steps and say what they established."""
        for number, check in enumerate(self._checks(), start=2):
            self._steps[number] = _take(number, check)
        passed = {number for number, step in self._steps.items() if step.outcome is Outcome.PASS}
        anchor, signing, statement = self._anchor, self._signing, self._statement
        is_anchored = passed >= {5, 7, 8, 9}
        content_holds = self._steps[11].outcome is not Outcome.FAIL
        return Report(
            source=source,
            steps=(policy_step, *self._steps.values()),
            statement=statement,
            digest=signing.digest if signing else None,
            time=anchor.published.time if anchor and is_anchored else None,
            signer=signing.describe() if signing and passed >= {3, 10} else None,
            in_force=self._effect.describe() if self._effect and is_anchored else None,
            rests_on=tuple(dict.fromkeys(self._basis)) if is_anchored else (),
            dataset=describe_dataset(statement, self._needed_evidence.content) if statement and content_holds else None,
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
        self._evidence = evidence = parse_evidence(self._raw)
        self._anchor = anchor = Anchor(self._policy, evidence)
        domains = self._policy.domains
        self._statement = statement = read_statement(evidence, anchor, domains)
        if evidence.effect is not None:
            self._effect = Effect(self._policy, self._node, evidence.effect, statement)
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
        checkpoint = _lean_on(6, lambda: anchor.checkpoint)
        anchor.verify_inclusion(entry)
        _lean_on(7, lambda: anchor.published)
        anchor.verify_first()
        return f"entry {anchor.index} of {checkpoint.size}, covered by no checkpoint before"

    def _check_log_signature(self) -> str:
        # 6. The log signed the checkpoint with a key that the policy pins, and nobody else did.
        return self._needed_anchor.verify_log_signature()

    def _check_event(self) -> str:
        # 7. The checkpoint equals the contract's event; where an effect is shown, that event is this statement's.
        anchor = self._needed_anchor
        _lean_on(6, lambda: anchor.checkpoint)
        anchor.verify_published()
        effect = f"; the effect is {self._effect.event.name}" if self._effect else ""
        return f"CheckpointPublished, size {anchor.published.size}{effect}"

    def _check_receipt(self) -> str:
        # 8. The events are in their blocks' receipts.
        words = []
        for event in self._events():
            event.verify_receipt()
            words.append(f"{event.name} in receipt {event.proof.receipt_index} of block {event.header.number}")
        return ", ".join(words)

    def _check_block(self) -> str:
        # 9. The blocks are sealed by pinned validators, or under a pinned root, or known to the auditor's node.
        words = []
        for event in self._events():
            self._basis.append(event.verify_block(self._policy, self._node))
            words.append(f"block {event.header.number} by {self._basis[-1]}")
        anchor = self._needed_anchor
        _lean_on(7, lambda: anchor.published)
        anchor.verify_time()
        return ", ".join(dict.fromkeys(words))

    def _check_signer(self) -> str:
        # 10. The history folds to the head in the event, and key and participant could act.
        anchor = self._needed_anchor
        published = _lean_on(7, lambda: anchor.published)
        anchor.verify_history()
        signing = self._needed_signing
        _lean_on(3, lambda: signing.signer)
        return signing.verify_standing(published)

    def _check_data(self) -> str:
        # 11. The content is the registered one, and the data on disk match it.
        statement, content = self._needed_statement, self._needed_evidence.content
        if statement.type.name != "DatasetRegistration":
            raise _NotApplicable("no data belong to this statement")
        if content is None:
            if self._data is not None:
                raise UnavailableError("the evidence carries no manifest to compare the data with")
            raise _NotChecked("the evidence carries no manifest")
        manifest, chunks = verify_content(statement, content)
        words = f"the manifest of {len(manifest.files)} files is the registered one"
        if self._data is None:
            raise _NotChecked(f"{words}; the data were not given")
        return f"{words}, and {verify_data(self._data, manifest, chunks)}"

    def _check_lineage(self) -> str:
        # 12. The lineage, parent by parent; what other evidence shows of it is seen by ledger.evidence.lineage.
        parents = self._needed_statement.message.get("parents")
        if not isinstance(parents, tuple) or not parents:
            raise _NotApplicable("derived from nothing")
        raise _NotChecked(f"{len(parents)} parents, whose evidence was not given")

    def _events(self) -> list[ProvenEvent]:
        chain = self._needed_anchor.chain
        return [chain] if self._effect is None else [chain, self._effect.chain]

    @property
    def _needed_evidence(self) -> Evidence:
        return _need(self._evidence)

    @property
    def _needed_anchor(self) -> Anchor:
        return _need(self._anchor)

    @property
    def _needed_statement(self) -> Statement:
        return _need(self._statement)

    @property
    def _needed_signing(self) -> Signing:
        return _need(self._signing)

    @property
    def _needed_entry(self) -> Entry:
        signing = self._needed_signing
        return Entry.of(signing.digest, signing.statement.participant, signing.signature)


def _need(value: _T | None) -> _T:
    """What step 2 yields; without it the step that asks is not checked."""
    if value is None:
        raise _NotChecked("step 2 did not pass")
    return value


def _lean_on(number: int, read: Callable[[], _T]) -> _T:
    """What another step checks; where that fails, it fails there and is not checked here."""
    try:
        return read()
    except (MalformedError, VerificationError, UnavailableError) as error:
        raise _NotChecked(f"step {number} did not pass") from error


def _take(number: int, check: Callable[[], str]) -> Step:
    try:
        return Step(number, Outcome.PASS, check())
    except _NotApplicable as reason:
        return Step(number, Outcome.NOT_APPLICABLE, str(reason))
    except _NotChecked as reason:
        return Step(number, Outcome.NOT_CHECKED, str(reason))
    except (UnavailableError, UnknownStatementTypeError) as error:
        return Step(number, Outcome.NOT_CHECKED, str(error), leaves_open=True)
    except VerificationError as error:
        return Step(number, Outcome.FAIL, str(error), expected=_shown(error.expected), found=_shown(error.found))
    except MalformedError as error:
        return Step(number, Outcome.FAIL, str(error)[:_SHOWN])


def _shown(value: object) -> str | None:
    if value is None:
        return None
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)[:_SHOWN]
