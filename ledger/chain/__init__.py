"""The chain edge: reading and writing the chain, whichever engine runs it.

Pure mechanics: what is sent when, and what becomes of it, is ``ledger.exchange``'s.
"""

from ledger.chain.blocks import Block, Head, Log, Receipt
from ledger.chain.calls import (
    Call,
    Commitment,
    LoggedRegistration,
    SignedStatement,
    encode_attest_grant,
    encode_attest_log,
    encode_publish,
    encode_register_batch,
    encode_register_from_log,
    encode_statement,
)
from ledger.chain.contracts import CONTRACT_NAMES, ContractName
from ledger.chain.deploying import deploy
from ledger.chain.deployment import Deployment, check_deployment, predict_addresses, predict_domains
from ledger.chain.edge import ChainEdge
from ledger.chain.embedded import EmbeddedChain, EmbeddedRpc
from ledger.chain.events import ChainEvent, decode_events, decode_receipt_events
from ledger.chain.founding import Founding, FoundingFile, check_foundings
from ledger.chain.node import RpcError, fetch_chain_id
from ledger.chain.reads import (
    AgreementRecord,
    AgreementState,
    ContractReader,
    GrantRecord,
    KeyRecord,
    LogRecord,
    ParticipantStatus,
    PartyRecord,
)
from ledger.chain.refusals import Refusal, RefusalKind, classify_refusal
from ledger.chain.remote_signer import RemoteKey, RemoteSigner, parse_public_key
from ledger.chain.settings import ChainSettings, Profile
from ledger.chain.transactions import LocalSigner, SignedTransaction, Signer

__all__ = [
    "CONTRACT_NAMES",
    "AgreementRecord",
    "AgreementState",
    "Block",
    "Call",
    "ChainEdge",
    "ChainEvent",
    "ChainSettings",
    "Commitment",
    "ContractName",
    "ContractReader",
    "Deployment",
    "EmbeddedChain",
    "EmbeddedRpc",
    "Founding",
    "FoundingFile",
    "GrantRecord",
    "Head",
    "KeyRecord",
    "LocalSigner",
    "Log",
    "LogRecord",
    "LoggedRegistration",
    "ParticipantStatus",
    "PartyRecord",
    "Profile",
    "Receipt",
    "Refusal",
    "RefusalKind",
    "RemoteKey",
    "RemoteSigner",
    "RpcError",
    "SignedStatement",
    "SignedTransaction",
    "Signer",
    "check_deployment",
    "check_foundings",
    "classify_refusal",
    "decode_events",
    "decode_receipt_events",
    "deploy",
    "encode_attest_grant",
    "encode_attest_log",
    "encode_publish",
    "encode_register_batch",
    "encode_register_from_log",
    "encode_statement",
    "fetch_chain_id",
    "parse_public_key",
    "predict_addresses",
    "predict_domains",
]
