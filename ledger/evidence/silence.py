"""What a log holds from one entry on, up to a checkpoint that its contract recorded: every entry, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import MalformedError, VerificationError
from ledger.evidence.anchoring import Anchor, Recorded, leaf_of
from ledger.evidence.delivery import Silence
from ledger.evidence.evidence import Evidence
from ledger.evidence.steps import Check, TrustedWorld, does_not_apply, lean_on, need, verify_blocks
from ledger.merkle import complete_subtrees, leaf_hash, node_hash
from ledger.statements import Entry
from ledger.types import Bytes32

__all__ = ["SilenceRun", "compute_root_after"]

_NOT_ASKED = "nothing of its own"


class SilenceRun:
    """All entries after one, on their way through the steps 4 to 9."""

    def __init__(self, world: TrustedWorld, silence: Silence) -> None:
        self._world = world
        self._silence = silence
        self._recorded = Recorded("since", world.policy, silence.checkpoint, silence.anchor)
        self.basis: list[str] = []

    def checks(self, entry: Entry | None, evidence: Evidence) -> Sequence[Check]:
        """The steps from 3 on, for the ``entry`` that ``evidence`` shows."""
        anchor = Anchor(self._world.policy, evidence, self._world.fold)
        not_asked = does_not_apply(_NOT_ASKED)
        return (
            not_asked,
            not_asked,
            lambda: self._check_entries(need(entry), anchor.index),
            self._recorded.verify_log_signature,
            lambda: self._check_event(anchor),
            self._check_receipt,
            self._check_block,
            *[not_asked] * 3,
        )

    @property
    def size(self) -> int:
        """How many entries the log had at the end. Raises: MalformedError."""
        return self._recorded.published.size

    @property
    def time(self) -> int:
        """When the contract recorded that, UTC seconds. Raises: MalformedError."""
        return self._recorded.published.time

    def indexes_of(self, participant: Bytes32) -> list[int]:
        """The indexes of the participant's entries among those that are shown."""
        first = self.size - len(self._silence.entries)
        entries = enumerate(self._silence.entries, start=first)
        return [index for index, raw in entries if Entry.parse(raw).participant == participant]

    def _check_entries(self, entry: Entry, index: int) -> str:
        # 5. The entries shown are all that came after, up to the size of the checkpoint.
        checkpoint = lean_on(6, lambda: self._recorded.checkpoint)
        shown = self._silence.entries
        if index + 1 + len(shown) != checkpoint.size:
            raise VerificationError(
                "not every entry since the receipt is shown", expected=checkpoint.size - index - 1, found=len(shown)
            )
        for raw in shown:
            Entry.parse(raw)
        leaves = [leaf_of(entry), *map(leaf_hash, shown)]
        found = compute_root_after(index, self._silence.left, leaves)
        if found != checkpoint.root:
            raise VerificationError(
                "the entries since the receipt lead to another root than the checkpoint's",
                expected=checkpoint.root,
                found=found,
            )
        return f"{len(shown)} entries since, all there are up to {checkpoint.size}"

    def _check_event(self, anchor: Anchor) -> str:
        # 7. The checkpoint is the contract's, of the same log.
        lean_on(6, lambda: self._recorded.checkpoint)
        self._recorded.verify_published()
        log = lean_on(7, lambda: anchor.published).log
        if self._recorded.published.log != log:
            raise VerificationError(
                "the entries since the receipt are of another log",
                expected=str(log),
                found=str(self._recorded.published.log),
            )
        return f"CheckpointPublished, size {self.size}"

    def _check_receipt(self) -> str:
        # 8. The event is in its block's receipts.
        self._recorded.chain.verify_receipt()
        chain = self._recorded.chain
        return f"the event in receipt {chain.proof.receipt_index} of block {chain.header.number}"

    def _check_block(self) -> str:
        # 9. The block is one that the auditor trusts.
        words, self.basis = verify_blocks([self._recorded.chain], self._world.policy, self._world.node)
        lean_on(7, lambda: self._recorded.published)
        self._recorded.verify_time()
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
