"""How evidence is put together from a statement, a log proof and what a node answers; the verifier needs none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ledger.canonical import JsonValue, parse_canonical
from ledger.content import ChunkIndex, Manifest
from ledger.errors import MalformedError, VerificationError
from ledger.evidence.documents import Document, expect_object
from ledger.evidence.evidence import BlockProof, ChainProof, Content, Evidence, Later, LogProof, Metadata
from ledger.evidence.header import Header, encode_header
from ledger.evidence.history import HistoryRecord
from ledger.evidence.qbft import normalize_header
from ledger.evidence.receipt import Receipt, encode_receipt
from ledger.evidence.rpc_values import read_bytes
from ledger.evidence.trie import prove_receipt
from ledger.log.note import SignedNote
from ledger.log.tlog_proof import TlogProof
from ledger.merkle import compute_root, leaf_hash, prove_inclusion
from ledger.statements import Statement
from ledger.types import Bytes32

__all__ = [
    "build_content",
    "build_evidence",
    "export_tlog_proof",
    "prove_block",
    "prove_event",
    "upgrade_evidence",
]

_RpcObject = Mapping[str, object]


def prove_block(block_hashes: Sequence[Bytes32], number: int, *, first: int = 0) -> BlockProof:
    """Prove block ``number`` under the root over ``block_hashes``, which are those of the blocks from ``first`` on.

    Raises:
        ValueError: the block is not among them.
    """
    leaves = [leaf_hash(block_hash) for block_hash in block_hashes]
    proof = tuple(map(Bytes32, prove_inclusion(leaves, number - first, len(leaves))))
    return BlockProof(first, first + len(leaves) - 1, Bytes32(compute_root(leaves)), proof)


def prove_event(
    block: _RpcObject,
    receipts: Sequence[_RpcObject],
    receipt_index: int,
    log_position: int,
    block_proof: BlockProof | None,
) -> ChainProof:
    """Prove one event from a JSON-RPC block and all its receipts in order.

    ``log_position`` counts the events of that receipt from 0 (not those of the block, as JSON-RPC's logIndex does).
    With a block proof the seals of a QBFT header are left out, as nothing would bind them.

    Raises:
        MalformedError: the answers are not a block and receipts, or there is no such receipt or event.
        VerificationError: header or receipts do not hash to what the block says.
    """
    header = Header.parse(encode_header(block))
    normal = normalize_header(header)
    expected = Bytes32(read_bytes(block, "hash", 32))
    if normal.hash != expected:
        raise VerificationError("the block's fields do not hash to its hash", expected=expected, found=normal.hash)
    encoded = [encode_receipt(receipt) for receipt in receipts]
    if not 0 <= receipt_index < len(encoded):
        raise MalformedError(f"block {header.number} has {len(encoded)} receipts, none at {receipt_index}")
    root, proof = prove_receipt(encoded, receipt_index)
    if root != header.receipts_root:
        raise VerificationError(
            f"the receipts are not those of block {header.number}", expected=header.receipts_root, found=root
        )
    if not 0 <= log_position < len(Receipt.parse(encoded[receipt_index]).logs):
        raise MalformedError(f"receipt {receipt_index} of block {header.number} has no event at {log_position}")
    shown = header if block_proof is None else normal
    return ChainProof(shown.to_bytes(), receipt_index, encoded[receipt_index], tuple(proof), log_position, block_proof)


def build_content(
    version_salt: Bytes32,
    manifest: Manifest,
    *,
    chunks: ChunkIndex | None = None,
    metadata_salt: Bytes32 | None = None,
    metadata: Mapping[str, JsonValue] | None = None,
) -> Content:
    """Put together what a registration's hashes stand for; metadata come with their salt."""
    shown = None
    if metadata_salt is not None and metadata is not None:
        shown = Metadata(metadata_salt, dict(metadata))
    return Content(
        version_salt,
        _to_document(manifest.to_bytes()),
        None if chunks is None else _to_document(chunks.to_bytes()),
        shown,
    )


def build_evidence(
    statement: Statement,
    signature: bytes,
    *,
    log_index: int,
    log_proof: Iterable[bytes],
    checkpoint: bytes,
    anchor: ChainProof,
    history: Iterable[HistoryRecord],
    cosignature: bytes | None = None,
    effect: ChainProof | None = None,
    content: Content | None = None,
) -> Evidence:
    """Put evidence together; nothing is verified here.

    ``checkpoint`` is the note that the log signed, alone, and that ``anchor`` records as the first to cover the entry.
    ``history`` are all records up to the anchor's event.
    """
    return Evidence(
        type_name=statement.type.name,
        message=statement.to_json(),
        signature=signature,
        log=LogProof(log_index, tuple(log_proof), checkpoint),
        anchor=anchor,
        history=tuple(history),
        cosignature=cosignature,
        effect=effect,
        content=content,
    )


def upgrade_evidence(
    evidence: Evidence,
    *,
    checkpoint: bytes,
    proof: Iterable[bytes],
    anchor: ChainProof,
    history: Iterable[HistoryRecord],
) -> Evidence:
    """Link evidence to a later anchored checkpoint of its log; nothing is verified here.

    ``checkpoint`` is the later note that the log signed, alone, ``proof`` the consistency proof to it from the one in
    ``evidence``, ``anchor`` proves its event. ``history`` are all records up to that later event. An earlier link is
    replaced.
    """
    return replace(evidence, later=Later(checkpoint, tuple(proof), anchor), history=tuple(history))


def export_tlog_proof(evidence: Evidence) -> bytes:
    """The entry's inclusion proof as c2sp.org/tlog-proof@v1, for any tlog client. Raises: MalformedError."""
    return TlogProof(evidence.log.index, evidence.log.proof, SignedNote.parse(evidence.log.checkpoint)).to_bytes()


def _to_document(raw: bytes) -> Document:
    return expect_object(parse_canonical(raw), "the document")
