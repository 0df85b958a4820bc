"""The way from an entry to the chain (inclusion, checkpoint, event, history) and from a statement to its effect.

Each part is read when it is first asked for, so that each of the verifier's steps fails for what is its own.
"""

from __future__ import annotations

from functools import cached_property

from ledger.errors import LedgerError, MalformedError, UnavailableError, VerificationError
from ledger.evidence.events import (
    CheckpointPublished,
    Event,
    find_effect,
    parse_checkpoint_published,
    parse_signer,
)
from ledger.evidence.evidence import ChainProof, Evidence
from ledger.evidence.history import History, compute_history_head
from ledger.evidence.node import Node
from ledger.evidence.policy import PinnedLog, Policy
from ledger.evidence.proven_event import ProvenEvent
from ledger.evidence.report import InForce
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import NoteSignature, SignedNote, VerifierKey, verify_sole_signature
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.statements import Entry, Statement
from ledger.types import Address

__all__ = ["Anchor", "Effect", "leaf_of"]


def leaf_of(entry: Entry) -> bytes:
    """The leaf hash that stands for an entry in the log."""
    return leaf_hash(entry.to_bytes())


class Anchor:
    """The log proof of one evidence file and the contract event that anchors it, under a policy."""

    def __init__(self, policy: Policy, evidence: Evidence) -> None:
        self._policy = policy
        self._log_proof = evidence.log
        self.chain = ProvenEvent("anchor", evidence.anchor)
        self.history = History(evidence.history)

    @property
    def index(self) -> int:
        """The entry's index in the log."""
        return self._log_proof.index

    @cached_property
    def _note(self) -> SignedNote:
        return SignedNote.parse(self._log_proof.checkpoint)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, whoever signed it. Raises: MalformedError."""
        return Checkpoint.parse(self._note.text)

    @cached_property
    def published(self) -> CheckpointPublished:
        """The contract's event. Raises: MalformedError, VerificationError: no checkpoint of its contract."""
        return parse_checkpoint_published(self.chain.event, self._policy.address_of("CheckpointLog"))

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

    def verify_log_signature(self) -> str:
        """Check that the log signed the checkpoint with a pinned key, alone; return who signed.

        Raises:
            MalformedError: not a signed checkpoint, or another line than the one signature of the log.
            VerificationError: the signature is false, or the checkpoint is of another log than the event.
            UnavailableError: the policy does not know the log, or not this key of it.
        """
        checkpoint = self.checkpoint
        log = self._find_log(checkpoint.origin)
        if len(self._note.signatures) != 1:
            raise MalformedError(
                f"surplus signatures: {len(self._note.signatures)} lines, where the log's alone belongs"
            )
        line = self._note.signatures[0]
        if log.origin != checkpoint.origin or line.name != log.origin:
            raise VerificationError(
                "the checkpoint is of another log, or signed by another", expected=log.origin, found=checkpoint.origin
            )
        key = next((key for key in log.keys if key.key_id == line.key_id), None)
        if key is None:
            self._refuse_renamed_key(log, line)
            raise UnavailableError(
                f"your policy knows no key {line.key_id.hex()} of the log {log.origin}: extend it with a node of your "
                "choice"
            )
        verify_sole_signature(self._note, key)
        return f"by {log.origin}+{key.key_id.hex()}, the key of operator {log.operator} that your policy pins"

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
        log = self._policy.find_log(published.log)
        if log is None:
            candidates = [each for each in self._policy.logs if each.origin == checkpoint.origin]
            if candidates:
                raise VerificationError(
                    f"the contract recorded the checkpoint for another log than {checkpoint.origin}",
                    expected=" or ".join(str(each.id) for each in candidates),
                    found=str(published.log),
                )

    def verify_time(self) -> None:
        """Check that the event has its block's time. Raises: MalformedError, VerificationError."""
        if self.published.time != self.chain.header.timestamp:
            raise VerificationError(
                "the event names another time than its block",
                expected=self.chain.header.timestamp,
                found=self.published.time,
            )

    def verify_history(self) -> None:
        """Check that the records are all there are up to the event. Raises: MalformedError, VerificationError."""
        registry = self._policy.address_of("ParticipantRegistry")
        found = compute_history_head(self._policy.chain_id, registry, self.history.records)
        if found != self.published.history_head:
            raise VerificationError(
                f"the {len(self.history.records)} records of the history do not fold to the head in the event: one is "
                "changed, missing or surplus",
                expected=str(self.published.history_head),
                found=str(found),
            )
        self.history.check_known()

    def _find_log(self, origin: str) -> PinnedLog:
        """The policy's log, by the id in the event, or by origin where the event can not be read."""
        try:
            log = self._policy.find_log(self.published.log)
        except (MalformedError, VerificationError):
            log = None
        log = log or next((each for each in self._policy.logs if each.origin == origin), None)
        if log is None:
            raise UnavailableError(
                f"your policy does not know the log {origin!a}: extend it with a node of your choice"
            )
        return log

    def _refuse_renamed_key(self, log: PinnedLog, line: NoteSignature) -> None:
        """Raise MalformedError if the signature is a pinned key's under another key id than its own.

        One base64 character holds the key id's last two bits and the signature's first four: where it was changed, so
        were both, and each value of the four is tried.
        """
        first, rest = line.signature[0], line.signature[1:]
        likely = [bytes([high << 4 | first & 0x0F]) + rest for high in range(16)]
        for key in log.keys:
            lines = [NoteSignature(key.name, key.key_id, signature) for signature in likely]
            if any(_is_signed(SignedNote(self._note.text, (each,)), key) for each in lines):
                raise MalformedError(f"the signature of {key.key_id.hex()} stands under the key id {line.key_id.hex()}")


def _is_signed(note: SignedNote, key: VerifierKey) -> bool:
    try:
        verify_sole_signature(note, key)
    except VerificationError:
        return False
    return True


class Effect:
    """The contract event that shows that a statement took effect."""

    def __init__(self, policy: Policy, node: Node | None, proof: ChainProof, statement: Statement) -> None:
        self._policy = policy
        self._node = node
        self._statement = statement
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

    def settles(self, signer: Address, deadline: int) -> bool:
        """Whether the contract itself found this signer active and the deadline not passed.

        A registration lifted out of a log is taken after its deadline, so the block's time is compared again.
        """
        return self.stands and self.chain.header.timestamp <= deadline and self.signer in {None, signer}

    def describe(self) -> InForce:
        """The event with its block. Raises: MalformedError, VerificationError."""
        return InForce(self.event.name, self.chain.header.number, self.chain.header.timestamp)
