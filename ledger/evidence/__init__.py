"""Evidence: what a stranger checks offline, with a policy of its own and nothing from our server.

Verifying needs only hashes and signatures: neither web3 nor SQL nor a service. `Node` reads JSON-RPC by the standard
library, where an auditor gives one. A name's module is imported when it is first asked for, so that a verifier starts
at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ledger.evidence.breach import Breach, BreachKind, build_forked, build_missed, build_replaced, parse_breach
    from ledger.evidence.build import (
        build_content,
        build_evidence,
        export_tlog_proof,
        prove_block,
        prove_event,
        upgrade_evidence,
    )
    from ledger.evidence.bundle import build_bundle, parse_bundle, read_bundle
    from ledger.evidence.decoding import DecodedEvent, decode_event
    from ledger.evidence.delivery import (
        Delivery,
        DeliveryKind,
        Silence,
        WrongData,
        build_withheld,
        build_wrong_data,
        build_wrong_key,
        parse_delivery,
    )
    from ledger.evidence.epochs import extend_epochs
    from ledger.evidence.event_evidence import EventEvidence, build_event_evidence, parse_event_evidence
    from ledger.evidence.events import CheckpointPublished, parse_checkpoint_published, parse_history_extended
    from ledger.evidence.evidence import (
        BlockProof,
        ChainProof,
        Content,
        Evidence,
        Later,
        LogProof,
        Metadata,
        parse_evidence,
    )
    from ledger.evidence.header import Header, encode_header
    from ledger.evidence.history import HistoryRecord, compute_history_head
    from ledger.evidence.lineage import resolve_lineage, verify_all
    from ledger.evidence.node import Node
    from ledger.evidence.permission import PermissionQuestion, Window, compute_windows, judge_permission
    from ledger.evidence.pinning import compute_block_root, create_policy, diff_policies
    from ledger.evidence.policy import PinnedContract, PinnedLog, PinnedRange, Policy, parse_policy
    from ledger.evidence.qbft import SealedHeader, compute_block_hash, verify_sealed_header
    from ledger.evidence.receipt import EventLog, Receipt, encode_receipt
    from ledger.evidence.report import (
        Attestation,
        Claim,
        InForce,
        Outcome,
        Report,
        ShownEvent,
        Step,
        Verdict,
        summarize,
    )
    from ledger.evidence.sentence import format_sentence, to_document
    from ledger.evidence.shown_chunk import ShownChunk, parse_shown_chunk, show_chunk
    from ledger.evidence.verify import Verifier

__all__ = [
    "Attestation",
    "BlockProof",
    "Breach",
    "BreachKind",
    "ChainProof",
    "CheckpointPublished",
    "Claim",
    "Content",
    "DecodedEvent",
    "Delivery",
    "DeliveryKind",
    "EventEvidence",
    "EventLog",
    "Evidence",
    "Header",
    "HistoryRecord",
    "InForce",
    "Later",
    "LogProof",
    "Metadata",
    "Node",
    "Outcome",
    "PermissionQuestion",
    "PinnedContract",
    "PinnedLog",
    "PinnedRange",
    "Policy",
    "Receipt",
    "Report",
    "SealedHeader",
    "ShownChunk",
    "ShownEvent",
    "Silence",
    "Step",
    "Verdict",
    "Verifier",
    "Window",
    "WrongData",
    "build_bundle",
    "build_content",
    "build_event_evidence",
    "build_evidence",
    "build_forked",
    "build_missed",
    "build_replaced",
    "build_withheld",
    "build_wrong_data",
    "build_wrong_key",
    "compute_block_hash",
    "compute_block_root",
    "compute_history_head",
    "compute_windows",
    "create_policy",
    "decode_event",
    "diff_policies",
    "encode_header",
    "encode_receipt",
    "export_tlog_proof",
    "extend_epochs",
    "format_sentence",
    "judge_permission",
    "parse_breach",
    "parse_bundle",
    "parse_checkpoint_published",
    "parse_delivery",
    "parse_event_evidence",
    "parse_evidence",
    "parse_history_extended",
    "parse_policy",
    "parse_shown_chunk",
    "prove_block",
    "prove_event",
    "read_bundle",
    "resolve_lineage",
    "show_chunk",
    "summarize",
    "to_document",
    "upgrade_evidence",
    "verify_all",
    "verify_sealed_header",
]

_NAMES: Final = {
    "breach": "Breach BreachKind build_forked build_missed build_replaced parse_breach",
    "build": "build_content build_evidence export_tlog_proof prove_block prove_event upgrade_evidence",
    "bundle": "build_bundle parse_bundle read_bundle",
    "decoding": "DecodedEvent decode_event",
    "delivery": "Delivery DeliveryKind Silence WrongData build_withheld build_wrong_data build_wrong_key "
    "parse_delivery",
    "epochs": "extend_epochs",
    "event_evidence": "EventEvidence build_event_evidence parse_event_evidence",
    "events": "CheckpointPublished parse_checkpoint_published parse_history_extended",
    "evidence": "BlockProof ChainProof Content Evidence Later LogProof Metadata parse_evidence",
    "header": "Header encode_header",
    "history": "HistoryRecord compute_history_head",
    "lineage": "resolve_lineage verify_all",
    "node": "Node",
    "permission": "PermissionQuestion Window compute_windows judge_permission",
    "pinning": "compute_block_root create_policy diff_policies",
    "policy": "PinnedContract PinnedLog PinnedRange Policy parse_policy",
    "qbft": "SealedHeader compute_block_hash verify_sealed_header",
    "receipt": "EventLog Receipt encode_receipt",
    "report": "Attestation Claim InForce Outcome Report ShownEvent Step Verdict summarize",
    "sentence": "format_sentence to_document",
    "shown_chunk": "ShownChunk parse_shown_chunk show_chunk",
    "verify": "Verifier",
}
_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Import a public name's module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
