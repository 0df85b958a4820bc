"""Old evidence linked to a newer anchored checkpoint, by newer evidence of the same log and the log's tiles."""

from __future__ import annotations

from ledger.errors import VerificationError
from ledger.evidence.build import upgrade_evidence
from ledger.evidence.evidence import Evidence, Later
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import SignedNote
from ledger.log.reader import TileReader
from ledger.merkle import verify_consistency

__all__ = ["link_evidence"]


def link_evidence(evidence: Evidence, newer: Evidence, tiles: TileReader) -> Evidence:
    """Link ``evidence`` to the checkpoint that anchors ``newer``; ``tiles`` are believed as far as they prove it.

    Whether either evidence is true is for the verifier to say.

    Raises:
        MalformedError: a checkpoint of theirs is malformed.
        VerificationError: the newer checkpoint is of another log, or is not larger, or does not continue the older.
        NotFoundError, UnavailableError, FatalError: as the reader.
    """
    link = newer.later or Later(newer.log.checkpoint, (), newer.anchor)
    old, new = (_read(note) for note in (evidence.log.checkpoint, link.checkpoint))
    if old.origin != new.origin:
        raise VerificationError("the newer evidence is of another log", expected=old.origin, found=new.origin)
    if new.size <= old.size:
        raise VerificationError("the newer evidence has no larger checkpoint", expected=old.size, found=new.size)
    proof = tiles.prove_consistency(old.size, new.size)
    verify_consistency(old.size, new.size, proof, old.root, new.root)
    return upgrade_evidence(
        evidence, checkpoint=link.checkpoint, proof=proof, anchor=link.anchor, history=newer.history
    )


def _read(note: bytes) -> Checkpoint:
    return Checkpoint.parse(SignedNote.parse(note).text)
