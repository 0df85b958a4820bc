"""The log: one append-only RFC 6962 tree of entries, kept as C2SP tlog tiles, with signed checkpoints and receipts."""

from ledger.log.checkpoint import (
    Checkpoint,
    format_anchor_by,
    parse_anchor_by,
    verify_checkpoint,
    verify_sole_checkpoint,
)
from ledger.log.checkpoint_store import CheckpointStore
from ledger.log.note import NoteSignature, NoteSigner, SignedNote, VerifierKey, verify_note, verify_sole_signature
from ledger.log.reader import TileReader
from ledger.log.receipt import build_receipt, build_receipts, verify_receipt, verify_receipt_entry
from ledger.log.sequencer import Batch, Sequencer
from ledger.log.storage import FileCalls
from ledger.log.tiles import Tile
from ledger.log.tlog_proof import TlogProof

__all__ = [
    "Batch",
    "Checkpoint",
    "CheckpointStore",
    "FileCalls",
    "NoteSignature",
    "NoteSigner",
    "Sequencer",
    "SignedNote",
    "Tile",
    "TileReader",
    "TlogProof",
    "VerifierKey",
    "build_receipt",
    "build_receipts",
    "format_anchor_by",
    "parse_anchor_by",
    "verify_checkpoint",
    "verify_note",
    "verify_receipt",
    "verify_receipt_entry",
    "verify_sole_checkpoint",
    "verify_sole_signature",
]
