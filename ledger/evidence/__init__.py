"""Evidence: what a stranger checks offline, with a policy of its own and nothing from our server.

Verifying needs only hashes and signatures: neither web3 nor SQL nor a service. `Node` reads JSON-RPC by the standard
library, where an auditor gives one.
"""

from ledger.evidence.build import build_content, build_evidence, prove_block, prove_event
from ledger.evidence.epochs import extend_epochs
from ledger.evidence.events import CheckpointPublished, parse_checkpoint_published, parse_history_extended
from ledger.evidence.evidence import BlockProof, ChainProof, Content, Evidence, LogProof, Metadata, parse_evidence
from ledger.evidence.header import Header, encode_header
from ledger.evidence.history import HistoryRecord, compute_history_head
from ledger.evidence.lineage import resolve_lineage, verify_all
from ledger.evidence.node import Node
from ledger.evidence.pinning import compute_block_root, create_policy, diff_policies
from ledger.evidence.policy import PinnedContract, PinnedLog, PinnedRange, Policy, parse_policy
from ledger.evidence.qbft import SealedHeader, compute_block_hash, verify_sealed_header
from ledger.evidence.receipt import EventLog, Receipt, encode_receipt
from ledger.evidence.report import InForce, Outcome, Report, Step, Verdict, summarize
from ledger.evidence.sentence import format_sentence, to_document
from ledger.evidence.verify import Verifier

__all__ = [
    "BlockProof",
    "ChainProof",
    "CheckpointPublished",
    "Content",
    "EventLog",
    "Evidence",
    "Header",
    "HistoryRecord",
    "InForce",
    "LogProof",
    "Metadata",
    "Node",
    "Outcome",
    "PinnedContract",
    "PinnedLog",
    "PinnedRange",
    "Policy",
    "Receipt",
    "Report",
    "SealedHeader",
    "Step",
    "Verdict",
    "Verifier",
    "build_content",
    "build_evidence",
    "compute_block_hash",
    "compute_block_root",
    "compute_history_head",
    "create_policy",
    "diff_policies",
    "encode_header",
    "encode_receipt",
    "extend_epochs",
    "format_sentence",
    "parse_checkpoint_published",
    "parse_evidence",
    "parse_history_extended",
    "parse_policy",
    "prove_block",
    "prove_event",
    "resolve_lineage",
    "summarize",
    "to_document",
    "verify_all",
    "verify_sealed_header",
]
