"""What a log holds from one entry on, up to the size that an event of its contract says it had: every entry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ledger.errors import MalformedError, VerificationError
from ledger.evidence.anchoring import Anchor, leaf_of
from ledger.evidence.delivery import Silence
from ledger.evidence.evidence import Evidence
from ledger.evidence.log_state import LogState, read_log_state
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.steps import Check, TrustedWorld, does_not_apply, lean_on, need, verify_blocks
from ledger.merkle import complete_subtrees, leaf_hash, node_hash
from ledger.statements import Entry
from ledger.types import Bytes32

__all__ = ["SilenceRun", "compute_root_after"]

_NOT_ASKED = "nothing of its own"


class SilenceRun:
    """All entries after one, on their way through the steps 5 and 7 to 9."""

    def __init__(self, world: TrustedWorld, silence: Silence) -> None:
        self._world = world
        self._silence = silence
        self._chain = ProvenEvent("since", silence.chain)
        self.basis: list[str] = []

    def checks(self, entry: Entry | None, receipt: Evidence, sealing: Evidence) -> Sequence[Check]:
        """The steps from 3 on, for the ``entry`` that ``receipt`` shows, of what ``sealing`` shows."""
        policy, fold = self._world.policy, self._world.fold
        anchor, sealed = Anchor(policy, receipt, fold), Anchor(policy, sealing, fold)
        not_asked = does_not_apply(_NOT_ASKED)
        return (
            not_asked,
            not_asked,
            lambda: self._check_entries(need(entry), anchor.index),
            not_asked,
            lambda: self._check_event(anchor, sealed),
            self._check_receipt,
            self._check_block,
            *[not_asked] * 3,
        )

    @cached_property
    def _state(self) -> LogState:
        return read_log_state(self._chain, self._world.policy.address_of("CheckpointLog"))

    @property
    def size(self) -> int:
        """How many entries the log had at the end. Raises: MalformedError, VerificationError."""
        return self._state.size

    @property
    def time(self) -> int:
        """When it had so many on chain, UTC seconds. Raises: MalformedError."""
        return self._chain.header.timestamp

    @property
    def operator(self) -> Bytes32:
        """Whose log it is. Raises: MalformedError, VerificationError."""
        return next(log.operator for log in self._world.policy.logs if log.id == self._state.log)

    def indexes_of(self, participant: Bytes32) -> list[int]:
        """The indexes of the participant's entries among those that are shown."""
        first = self.size - len(self._silence.entries)
        entries = enumerate(self._silence.entries, start=first)
        return [index for index, raw in entries if Entry.parse(raw).participant == participant]

    def _check_entries(self, entry: Entry, index: int) -> str:
        # 5. The entries shown are all that came after, up to the size in the event.
        state = lean_on(7, lambda: self._state)
        shown = self._silence.entries
        if index + 1 + len(shown) != state.size:
            raise VerificationError(
                "not every entry since the receipt is shown", expected=state.size - index - 1, found=len(shown)
            )
        for raw in shown:
            Entry.parse(raw)
        found = compute_root_after(index, self._silence.left, [leaf_of(entry), *map(leaf_hash, shown)])
        if found != state.root:
            raise VerificationError(
                "the entries since the receipt lead to another root than the one on chain",
                expected=state.root,
                found=found,
            )
        return f"{len(shown)} entries since, all there are up to {state.size}"

    def _check_event(self, anchor: Anchor, sealed: Anchor) -> str:
        # 7. The event is of the policy's contract, about the log that has the sealing and then the receipt.
        state = self._state
        log, sealed_in = lean_on(7, lambda: anchor.published).log, lean_on(7, lambda: sealed.published).log
        for what, found in (("entries since the receipt are", state.log), ("receipted sealing is", sealed_in)):
            if found != log:
                raise VerificationError(f"the {what} of another log", expected=str(log), found=str(found))
        if sealed.index >= anchor.index:
            raise VerificationError(
                "the sealing came into the log after its receipt", expected=f"below {anchor.index}", found=sealed.index
            )
        return f"{state.event}, size {state.size}"

    def _check_receipt(self) -> str:
        # 8. The event is in its block's receipts.
        self._chain.verify_receipt()
        return f"the event in receipt {self._chain.proof.receipt_index} of block {self._chain.header.number}"

    def _check_block(self) -> str:
        # 9. The block is one that the auditor trusts.
        words, self.basis = verify_blocks([self._chain], self._world.policy, self._world.node)
        return words


def compute_root_after(index: int, left: Sequence[bytes], leaves: Sequence[bytes]) -> bytes:
    """The root of the tree whose first ``index`` leaves are under the complete subtrees ``left``, then ``leaves``.

    Raises:
        MalformedError: another number of subtrees than ``index`` leaves have.
        ValueError: no leaves.
    """
    if not leaves:
        raise ValueError("at least one leaf follows")
    parts = complete_subtrees(0, index) if index else []
    if len(parts) != len(left):
        raise MalformedError(f"{index} entries lie under {len(parts)} complete subtrees, found {len(left)}")
    stack = [(level, root) for (level, _), root in zip(parts, left, strict=True)]
    for leaf in leaves:
        level, node = 0, leaf
        while stack and stack[-1][0] == level:
            node = node_hash(stack.pop()[1], node)
            level += 1
        stack.append((level, node))
    root = stack.pop()[1]
    while stack:
        root = node_hash(stack.pop()[1], root)
    return root
