"""Statements: every fact is a typed struct (EIP-712) signed by a participant's key."""

from ledger.statements.entry import ENTRY_SIZE_BYTES, Entry
from ledger.statements.ids import (
    compute_agreement_id,
    compute_dataset_id,
    compute_log_id,
    compute_participant_id,
    compute_transfer_id,
)
from ledger.statements.signing import address_of, generate_private_key, recover_signer, sign_digest, verify_signature
from ledger.statements.statement import Domains, Statement, UnknownStatementTypeError
from ledger.statements.vocabulary import (
    STATEMENT_TYPES,
    Choice,
    Custody,
    Decision,
    HistoryKind,
    Resource,
    Right,
    StatementType,
)

__all__ = [
    "ENTRY_SIZE_BYTES",
    "STATEMENT_TYPES",
    "Choice",
    "Custody",
    "Decision",
    "Domains",
    "Entry",
    "HistoryKind",
    "Resource",
    "Right",
    "Statement",
    "StatementType",
    "UnknownStatementTypeError",
    "address_of",
    "compute_agreement_id",
    "compute_dataset_id",
    "compute_log_id",
    "compute_participant_id",
    "compute_transfer_id",
    "generate_private_key",
    "recover_signer",
    "sign_digest",
    "verify_signature",
]
