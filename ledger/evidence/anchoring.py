"""The way from an entry to the chain (inclusion, checkpoint, event, history) and from a statement to its effect.

Each part is read when it is first asked for, so that each of the verifier's steps fails for what is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.evidence.events import (
    CheckpointPublished,
    Event,
    find_effect,
    parse_checkpoint_published,
    parse_signer,
)
from ledger.evidence.evidence import ChainProof, Evidence, Later
from ledger.evidence.history import History, HistoryFold
from ledger.evidence.log_note import LogNote, check_log
from ledger.evidence.policy import Policy
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.report import InForce
from ledger.log.checkpoint import Checkpoint
from ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.statements import Entry, Statement
from ledger.types import Address, Bytes32

if TYPE_CHECKING:  # HTTP is slow to import, and seldom needed
    from ledger.evidence.node import Node

__all__ = ["Anchor", "Effect", "LaterAnchor", "leaf_of"]


def leaf_of(entry: Entry) -> bytes:
    """The leaf hash that stands for an entry in the log."""
    return leaf_hash(entry.to_bytes())


class Recorded:
    """A signed checkpoint and the contract event that records it, under a policy."""

    def __init__(self, name: str, policy: Policy, note: bytes, proof: ChainProof) -> None:
        self._policy = policy
        self.note = LogNote(policy, note)
        self.chain = ProvenEvent(name, proof)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, whoever signed it. Raises: MalformedError."""
        return self.note.checkpoint

    @cached_property
    def published(self) -> CheckpointPublished:
        """The contract's event. Raises: MalformedError, VerificationError: no checkpoint of its contract."""
        return parse_checkpoint_published(self.chain.event, self._policy.address_of("CheckpointLog"))

    def verify_log_signature(self) -> str:
        """Check that the log signed the checkpoint; return who signed. Raises: as `LogNote.verify_signature`."""
        try:
            log_id = self.published.log
        except (MalformedError, VerificationError):
            log_id = None
        return self.note.verify_signature(log_id)

    def verify_published(self) -> None:
        """Check that checkpoint and event agree. Raises: MalformedError, VerificationError."""
        published, checkpoint = self.published, self.checkpoint
        found = (published.size, published.root)
        if found != (checkpoint.size, checkpoint.root):
            raise VerificationError(
                "the contract recorded another checkpoint than the signed one",
                expected=f"size {published.size}, root {published.root}",
                found=f"size {checkpoint.size}, root 0x{checkpoint.root.hex()}",
            )
        check_log(self._policy, published.log, self.note)

    def verify_time(self) -> None:
        """Check that the event has its block's time. Raises: MalformedError, VerificationError."""
        if self.published.time != self.chain.header.timestamp:
            raise VerificationError(
                "the event names another time than its block",
                expected=self.chain.header.timestamp,
                found=self.published.time,
            )


class LaterAnchor(Recorded):
    """A later anchored checkpoint of the same log, to which the first one is linked."""

    def __init__(self, policy: Policy, later: Later) -> None:
        super().__init__("later", policy, later.checkpoint, later.anchor)
        self._proof = later.proof

    def verify_extends(self, earlier: Checkpoint) -> None:
        """Check that its tree continues the earlier one. Raises: MalformedError, VerificationError."""
        checkpoint = self.checkpoint
        if checkpoint.size <= earlier.size:
            raise VerificationError(
                "the later checkpoint is not larger than the first",
                expected=f"above {earlier.size}",
                found=checkpoint.size,
            )
        verify_consistency(earlier.size, checkpoint.size, self._proof, earlier.root, checkpoint.root)

    def verify_same_log(self, earlier: CheckpointPublished) -> None:
        """Check that its event is of the same log and later. Raises: MalformedError, VerificationError."""
        if self.published.log != earlier.log:
            raise VerificationError(
                "the later checkpoint is of another log", expected=str(earlier.log), found=str(self.published.log)
            )
        if self.published.previous_size < earlier.size or self.published.time < earlier.time:
            raise VerificationError(
                "the later checkpoint was recorded before the first",
                expected=f"after size {earlier.size} of second {earlier.time}",
                found=f"after size {self.published.previous_size}, second {self.published.time}",
            )


class Anchor(Recorded):
    """The log proof of one evidence file and the contract event that anchors it, under a policy."""

    def __init__(self, policy: Policy, evidence: Evidence, fold: HistoryFold) -> None:
        super().__init__("anchor", policy, evidence.log.checkpoint, evidence.anchor)
        self._log_proof = evidence.log
        self._records = evidence.history
        self._fold = fold
        self.later = None if evidence.later is None else LaterAnchor(policy, evidence.later)

    @property
    def index(self) -> int:
        """The entry's index in the log."""
        return self._log_proof.index

    @cached_property
    def _heads(self) -> Sequence[Bytes32]:
        return self._fold.heads(self._records)

    @cached_property
    def history(self) -> History:
        """The records up to the anchor's event; where they do not lead to its head, all that are there."""
        try:
            count = self._heads.index(self.published.history_head)
        except (MalformedError, VerificationError, ValueError):
            return History(self._records)
        return History(self._records[:count])

    @property
    def whole_history(self) -> History:
        """All records that are given: with a later checkpoint, up to that one's event."""
        return History(self._records)

    def reaches_past(self, event: ProvenEvent) -> bool:
        """Whether the records go on beyond an event, by its place in the chain. Raises: MalformedError."""
        last = self if self.later is None else self.later
        return event.place < last.chain.place

    def verify_inclusion(self, entry: Entry) -> None:
        """Check that the entry is at its index under the checkpoint. Raises: MalformedError, VerificationError."""
        checkpoint = self.checkpoint
        verify_inclusion(leaf_of(entry), self.index, checkpoint.size, self._log_proof.proof, checkpoint.root)

    def verify_first(self) -> None:
        """Check that the checkpoint before did not cover the entry. Raises: VerificationError."""
        if self.index < self.published.previous_size:
            raise VerificationError(
                "an earlier checkpoint covers the entry already: this is a later one passed off as the first",
                expected=f"an index from {self.published.previous_size}",
                found=self.index,
            )

    def verify_history(self) -> None:
        """Check that the records are all there are up to the event, or to the later one, and lead through the first.

        Raises:
            MalformedError, VerificationError: they do not.
            UnavailableError: a record of a kind that this version does not know.
        """
        last = self if self.later is None else self.later
        for event in dict.fromkeys((last, self)):
            found = self._heads[-1] if event is last else self._heads[len(self.history.records)]
            if found != event.published.history_head:
                raise VerificationError(
                    f"the {len(self._records)} records of the history do not fold to the head in the event: one is "
                    "changed, missing or surplus",
                    expected=str(event.published.history_head),
                    found=str(found),
                )
        History(self._records).check_known()


class Effect:
    """The contract event that shows that a statement took effect."""

    def __init__(
        self, policy: Policy, node: Node | None, proof: ChainProof, statement: Statement, anchor: Anchor
    ) -> None:
        self._policy = policy
        self._node = node
        self._statement = statement
        self._anchor = anchor
        self.chain = ProvenEvent("effect", proof)

    @cached_property
    def event(self) -> Event:
        """Which event it is. Raises: MalformedError, VerificationError: not an effect of this statement."""
        contract = self._policy.address_of(self._statement.type.contract)
        digest = self._statement.digest(self._policy.domains)
        return find_effect(self.chain.event, contract, self._statement.type, digest)

    @property
    def signer(self) -> Address | None:
        """The key whose signature the contract checked, None where the event does not say. Raises: MalformedError."""
        return parse_signer(self.chain.event, self.event)

    @cached_property
    def stands(self) -> bool:
        """Whether the event is proven; why it is not is said by the steps about events, receipts and blocks."""
        try:
            self.event  # noqa: B018 - read for what it raises
            self.chain.verify_receipt()
            self.chain.verify_block(self._policy, self._node)
        except LedgerError:
            return False
        return True

    @property
    def is_covered(self) -> bool:
        """Whether the history goes on beyond it, so that what came before is known. Raises: MalformedError."""
        return self._anchor.reaches_past(self.chain)

    @property
    def history(self) -> History:
        """The records up to its block's end, as far as they are given. Raises: MalformedError."""
        return self._history_until(self.chain.header.number + 1)

    @property
    def history_before(self) -> History:
        """The records before its block, as far as they are given. Raises: MalformedError."""
        return self._history_until(self.chain.header.number)

    def _history_until(self, block: int) -> History:
        return History([each for each in self._anchor.whole_history.records if each.block < block])

    def is_in_time(self, deadline: int) -> bool:
        """Whether its block came by the deadline. Raises: MalformedError.

        A registration lifted out of a log is taken after its deadline, so the contract alone does not say so.
        """
        return self.chain.header.timestamp <= deadline

    def describe(self) -> InForce:
        """The event with its block. Raises: MalformedError, VerificationError."""
        return InForce(self.event.name, self.chain.header.number, self.chain.header.timestamp)
