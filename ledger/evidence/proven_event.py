"""One event with its proof: position in the receipt, receipt in the block, block by the policy's pin or by seals.

Each part is parsed when it is first asked for, so that each step fails for what is its own.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.evidence import BlockProof, ChainProof
from ledger.evidence.header import Header
from ledger.evidence.policy import PinnedRange, Policy
from ledger.evidence.qbft import ExtraData, compute_block_hash, has_seals, normalize_header, verify_sealed_header
from ledger.evidence.receipt import EventLog, Receipt
from ledger.evidence.trie import verify_receipt
from ledger.merkle import compute_root_from_inclusion, leaf_hash
from ledger.types import Bytes32

if TYPE_CHECKING:  # HTTP is slow to import, and seldom needed
    from ledger.evidence.node import Node

__all__ = ["ProvenEvent", "verify_block"]


class ProvenEvent:
    """A chain proof, opened part by part. ``name`` is its member in the evidence."""

    def __init__(self, name: str, proof: ChainProof) -> None:
        self.name = name
        self.proof = proof

    @cached_property
    def header(self) -> Header:
        """The block's header. Raises: MalformedError."""
        return Header.parse(self.proof.header)

    @property
    def place(self) -> tuple[int, int, int]:
        """Its place in the chain: block, receipt, position. Raises: MalformedError."""
        return self.header.number, self.proof.receipt_index, self.proof.log_position

    @cached_property
    def event(self) -> EventLog:
        """The event, not yet decoded. Raises: MalformedError: no receipt, or no event at that position."""
        logs = Receipt.parse(self.proof.receipt).logs
        if self.proof.log_position >= len(logs):
            raise MalformedError(f"the receipt has {len(logs)} events, none at position {self.proof.log_position}")
        return logs[self.proof.log_position]

    def verify_receipt(self) -> None:
        """Check that the receipt is the block's. Raises: MalformedError, VerificationError."""
        proof = self.proof
        verify_receipt(self.header.receipts_root, proof.receipt_index, proof.receipt, proof.receipt_proof)

    def verify_block(self, policy: Policy, node: Node | None) -> str:
        """Check that the block is one that the auditor trusts; return what that rests on, in words.

        Raises:
            MalformedError, VerificationError: as `verify_block`.
            UnavailableError: neither the policy nor a node knows the block.
        """
        return verify_block(self.header, self.proof.block, policy, node)


def verify_block(header: Header, proof: BlockProof | None, policy: Policy, node: Node | None) -> str:
    """Check that a block is one that the policy pins, by its seals or under a root, or known to the auditor's node.

    Without a proof the header's seals count, where the policy's open epoch of validators holds the block. With one the
    root counts that the policy pins, whether validators sealed those blocks or not.

    Raises:
        MalformedError: seals that nothing binds, or neither seals nor a proof.
        VerificationError: false, surplus or too few seals, other validators than the pinned ones, a proof that leads to
            another root, or policy or node know another block.
        UnavailableError: the policy pins neither range nor validators for it and there is no node, or that one does not
            answer.
    """
    block_hash = compute_block_hash(header)
    if proof is None:
        basis = _check_sealed(header, policy)
        missing = f"block {header.number} is sealed, and {_suggest_pin(header.number, policy)}"
    else:
        if normalize_header(header) != header:
            raise MalformedError("the header carries seals or a round that its block's hash does not cover")
        pinned = _find_pin(header.number, block_hash, proof, policy)
        basis = f"the pin of {pinned} in your policy" if pinned else None
        missing = (
            f"the proof of block {header.number} was made under another pin (blocks {proof.first} to {proof.last}): "
            + _suggest_pin(header.number, policy)
        )
    if node is not None:
        _compare_with_node(header.number, block_hash, node, basis)
        return f"{basis} and the node {node.name}" if basis else f"the node {node.name}"
    if basis is None:
        raise UnavailableError(missing)
    return basis


def _check_sealed(header: Header, policy: Policy) -> str | None:
    """Check every seal; return what that rests on, None where no open epoch of the policy holds the block.

    Where the policy does not say who the validators are, the seals must still be a quorum's of those that the header
    names, so that not a byte of them stands unchecked.
    """
    if not has_seals(header):
        raise MalformedError("the header has no seals, and no proof under a root that a policy could pin")
    epoch = next((each for each in policy.sealed_epochs if each.holds(header.number)), None)
    validators = epoch.validators if epoch else ExtraData.of(header).validators
    sealed = verify_sealed_header(header.to_bytes(), validators)
    if epoch is None or epoch.last is not None:
        return None
    return f"the seals of {len(sealed.sealers)} of {len(validators)} validators that your policy pins"


def _find_pin(number: int, block_hash: Bytes32, proof: BlockProof, policy: Policy) -> PinnedRange | None:
    """The policy's range that the proof is under; None where the policy knows neither its range nor its root."""
    if not proof.first <= number <= proof.last:
        raise VerificationError(
            f"block {number} is outside the blocks of its proof",
            expected=f"{proof.first} to {proof.last}",
            found=number,
        )
    size = proof.last - proof.first + 1
    found = Bytes32(compute_root_from_inclusion(leaf_hash(block_hash), number - proof.first, size, proof.proof))
    if found != proof.root:
        raise VerificationError(
            f"the proof of block {number} leads to another root than it names",
            expected=str(proof.root),
            found=str(found),
        )
    for pinned in policy.epochs:
        same_range = (pinned.first, pinned.last) == (proof.first, proof.last)
        if same_range and pinned.root == proof.root:
            return pinned
        if same_range:
            raise VerificationError(
                f"your policy pins another root for the {pinned}", expected=str(pinned.root), found=str(proof.root)
            )
        if pinned.root == proof.root:
            raise VerificationError(
                "your policy pins this root for another range of blocks",
                expected=str(pinned),
                found=f"blocks {proof.first} to {proof.last}",
            )
    return None


def _suggest_pin(number: int, policy: Policy) -> str:
    """What to ask for so that the policy can tell."""
    holding = [each for each in policy.epochs if each.holds(number)]
    if not holding:
        return "your policy pins no range with this block; extend it with a node of your choice"
    if holding[-1].last is None:
        return f"your policy pins the validators of the {holding[-1]}: ask for the evidence with their seals"
    return f"your policy pins a root: ask for the evidence with first={holding[-1].first} and last={holding[-1].last}"


def _compare_with_node(number: int, block_hash: Bytes32, node: Node, basis: str | None) -> None:
    found = node.fetch_block_hash(number)
    if found == block_hash:
        return
    if basis is not None:  # the evidence agrees with the policy; it is the node that tells another history
        raise UnavailableError(
            f"block {number} stands by {basis}, and the node {node.name} has another one ({found}): that chain was "
            "rewritten since, or the node follows another one"
        )
    raise VerificationError(
        f"the node {node.name} knows another block {number}", expected=str(found), found=str(block_hash)
    )
