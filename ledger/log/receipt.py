"""Receipts: what *accepted* returns, a tlog-proof whose checkpoint promises its anchoring (docs/spec/receipt.md)."""

from __future__ import annotations

from ledger.errors import FatalError, MalformedError, VerificationError
from ledger.log.checkpoint import Checkpoint, verify_sole_checkpoint
from ledger.log.note import SignedNote, VerifierKey
from ledger.log.reader import TileReader
from ledger.log.tlog_proof import TlogProof
from ledger.merkle import leaf_hash, verify_inclusion

__all__ = ["build_receipt", "build_receipts", "verify_receipt", "verify_receipt_entry"]


def build_receipt(reader: TileReader, index: int, note: bytes) -> bytes:
    """Return the receipt of entry ``index`` under a signed checkpoint that covers it.

    Raises:
        MalformedError: ``note`` is no signed checkpoint.
        NotFoundError: the checkpoint does not cover the entry, or the log is smaller than it.
        FatalError: the stored files do not hash to the checkpoint.
    """
    return build_receipts(reader, index, 1, note)[0]


def build_receipts(reader: TileReader, first_index: int, count: int, note: bytes) -> list[bytes]:
    """Return the receipts of a batch, each checked against the checkpoint before it is given out.

    Raises:
        MalformedError, NotFoundError, FatalError: as `build_receipt`.
    """
    signed = SignedNote.parse(note)
    checkpoint = Checkpoint.parse(signed.text)
    indexes = range(first_index, first_index + count)
    proofs = reader.prove_inclusions(indexes, checkpoint.size)
    entries = reader.entries(first_index, count)
    receipts: list[bytes] = []
    for index, entry, proof in zip(indexes, entries, proofs, strict=True):
        try:
            verify_inclusion(leaf_hash(entry), index, checkpoint.size, proof, checkpoint.root)
        except VerificationError as error:
            raise FatalError(
                f"entry {index} and its tiles do not hash to the checkpoint of size {checkpoint.size}: stop the "
                "service and compare its log folder with a mirror"
            ) from error
        receipts.append(TlogProof(index, tuple(proof), signed).to_bytes())
    return receipts


def verify_receipt(receipt: bytes, entry: bytes, key: VerifierKey) -> Checkpoint:
    """Check that the log of ``key`` took ``entry`` and promised when to anchor it; return the checkpoint.

    Raises:
        MalformedError: not a tlog-proof, extra data or signatures that nothing binds, no anchor-by line, or a proof of
            another shape than index and size ask for.
        VerificationError: not signed by ``key``, another log, or the proof leads from ``entry`` to another root.
    """
    verify_sole_checkpoint(TlogProof.parse(receipt).note.to_bytes(), key)
    return verify_receipt_entry(receipt, entry)


def verify_receipt_entry(receipt: bytes, entry: bytes) -> Checkpoint:
    """Check that a receipt is of ``entry``, whoever signed it; return its checkpoint.

    Raises:
        MalformedError: as `verify_receipt`.
        VerificationError: the proof leads from ``entry`` to another root.
    """
    proof = TlogProof.parse(receipt)
    if proof.extra is not None:
        raise MalformedError("a receipt has no extra data: nothing would bind it")
    checkpoint = Checkpoint.parse(proof.note.text)
    if checkpoint.anchor_by is None:
        raise MalformedError("a receipt's checkpoint has an anchor-by line")
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint
