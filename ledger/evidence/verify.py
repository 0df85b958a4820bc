"""The verifier: offline, from one evidence file and the auditor's policy (docs/spec/evidence.md).

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

from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.breach import Breach
from ledger.evidence.breach_run import BreachRun
from ledger.evidence.delivery import Delivery
from ledger.evidence.delivery_run import DeliveryRun
from ledger.evidence.event_evidence import EventEvidence
from ledger.evidence.event_run import EventRun
from ledger.evidence.fork import Fork
from ledger.evidence.fork_run import ForkRun
from ledger.evidence.history import HistoryFold
from ledger.evidence.opening import Opened, open_file
from ledger.evidence.policy import Policy
from ledger.evidence.report import Outcome, Report, Step
from ledger.evidence.statement_run import StatementRun
from ledger.evidence.steps import TrustedWorld

if TYPE_CHECKING:  # HTTP is slow to import, and seldom needed
    from ledger.evidence.node import Node

__all__ = ["Verifier"]


class Verifier:
    """Takes evidence through the steps under one policy, with a node besides where one is given."""

    def __init__(self, policy: Policy, node: Node | None = None) -> None:
        step = _check_policy(policy, node)
        fold = HistoryFold(policy.chain_id, policy.address_of("ParticipantRegistry"))
        self._world = TrustedWorld(policy, node if step.outcome is Outcome.PASS else None, step, fold)

    def verify(self, raw: bytes, *, source: str = "evidence", data: Path | None = None) -> Report:
        """Verify one evidence file; raises nothing, whatever stands in it.

        ``data`` is the folder with the files of the dataset version that the evidence registers. A bundle is not one
        evidence: `ledger.evidence.verify_all` takes it.
        """
        opened = open_file(source, raw)
        if len(opened) != 1 or opened[0].source != source:
            opened = (Opened(source, MalformedError("a bundle, where the evidence of one fact belongs")),)
        return self.judge(opened[0], data=data)

    def judge(self, opened: Opened, *, data: Path | None = None) -> Report:
        """Verify evidence that was opened; raises nothing, whatever stands in it. ``data`` as in `verify`."""
        content, source = opened.content, opened.source
        if isinstance(content, EventEvidence):
            return EventRun(self._world, content).report(source)
        if isinstance(content, Breach):
            return BreachRun(self._world, content).report(source)
        if isinstance(content, Fork):
            return ForkRun(self._world, content).report(source)
        if isinstance(content, Delivery):
            return DeliveryRun(self._world, content).report(source)
        return StatementRun(self._world, content, data).report(source)


def _check_policy(policy: Policy, node: Node | None) -> Step:
    # 1. The policy is loaded; where a node is given, that node has the policy's chain and contracts.
    detail = f"loaded, SHA-256 {policy.sha256}"
    if node is None:
        return Step(1, Outcome.PASS, detail)
    from ledger.evidence.node import verify_node  # noqa: PLC0415 - HTTP is slow to import, and seldom needed

    try:
        verify_node(node, policy)
    except UnavailableError as error:
        return Step(1, Outcome.NOT_CHECKED, f"{detail}; {error}", leaves_open=True)
    return Step(1, Outcome.PASS, f"{detail}; the node {node.name} has its chain and contracts")
