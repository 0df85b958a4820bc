"""What is in force: facts of contract events. Nothing here is ever changed; a rollback deletes by block."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, SmallInteger, String, Table, Text

from ledger.store.columns import AddressBytes, DigestBytes, Seconds, Uint64, Uint256
from ledger.store.schema.metadata import (
    METADATA,
    chain_columns,
    digest_key,
    grant_columns,
    id_column,
    parent_columns,
    registration_columns,
    revision_columns,
)

__all__ = [
    "ACTIVATIONS",
    "AGREEMENT_MOVES",
    "APPLICATIONS",
    "BLOCKS",
    "CHECKPOINTS",
    "CLAIMS",
    "CONFIRMATIONS",
    "CURSOR",
    "DECISIONS",
    "EFFECTS",
    "FACTS",
    "GRANTS",
    "HISTORY",
    "LOGS",
    "LOG_CLOSINGS",
    "LOG_ROTATIONS",
    "PARENTS",
    "PROFILES",
    "REGISTRATIONS",
    "RETIREMENTS",
    "REVISIONS",
    "REVISION_PARTIES",
    "REVOCATIONS",
    "SETTLEMENTS",
    "VOTES",
]

CURSOR: Final = Table(
    "chain_cursor",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("block", BigInteger, nullable=False),
    Column("hash", DigestBytes, nullable=False),
    Column("time", Seconds, nullable=False),
    Column("final", BigInteger, nullable=False),
)

BLOCKS: Final = Table(
    "chain_blocks",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", DigestBytes, nullable=False),
    Column("time", Seconds, nullable=False),
)

EFFECTS: Final = Table(
    "chain_effects",
    METADATA,
    digest_key(),
    Column("contract", String(64), nullable=False),
    Column("event", String(64), nullable=False),
    Column("transaction", DigestBytes, nullable=False),
    *chain_columns(),
)

APPLICATIONS: Final = Table(
    "chain_applications",
    METADATA,
    digest_key(),
    id_column("participant"),
    Column("control_key", AddressBytes, nullable=False),
    Column("signing_key", AddressBytes, nullable=False),
    Column("custody", SmallInteger, nullable=False),
    id_column("profile_hash"),
    *chain_columns(),
    Index(None, "participant"),
)

CLAIMS: Final = Table(
    "chain_claims",
    METADATA,
    digest_key(),
    id_column("participant"),
    Column("new_key", AddressBytes, nullable=False),
    *chain_columns(),
    Index(None, "participant"),
)

HISTORY: Final = Table(
    "chain_history",
    METADATA,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    id_column("participant"),
    id_column("detail"),
    Column("head", DigestBytes, nullable=False, index=True),
    *chain_columns(),
    Index(None, "participant", "kind"),
    Index(None, "detail"),
)

PROFILES: Final = Table(
    "chain_profiles",
    METADATA,
    digest_key(),
    id_column("participant"),
    Column("version", Uint64, nullable=False),
    id_column("profile_hash"),
    *chain_columns(),
    Index(None, "participant"),
)

VOTES: Final = Table(
    "chain_votes",
    METADATA,
    digest_key(),
    id_column("participant"),
    Column("decision", SmallInteger, nullable=False),
    id_column("subject"),
    id_column("argument"),
    Column("choice", SmallInteger, nullable=False),
    Column("epoch", Uint64, nullable=False),
    Column("counter", Uint64, nullable=False),
    *chain_columns(),
    Index(None, "subject"),
)

DECISIONS: Final = Table(
    "chain_decisions",
    METADATA,
    digest_key(),  # of the vote that decided
    Column("decision", SmallInteger, nullable=False),
    id_column("subject"),
    id_column("argument"),
    Column("epoch", Uint64, nullable=False),
    Column("counter", Uint64, nullable=False),
    Column("executed", Boolean, nullable=False),  # False: rejected
    *chain_columns(),
    Index(None, "subject"),
)

REGISTRATIONS: Final = Table(
    "chain_registrations",
    METADATA,
    digest_key(),
    *registration_columns(),
    *chain_columns(),
    Index(None, "dataset", "version", unique=True),
    Index(None, "participant"),
)

PARENTS: Final = Table(
    "chain_parents",
    METADATA,
    digest_key(),
    *parent_columns(),
    Column("block", BigInteger, nullable=False, index=True),
    Index(None, "registration"),
)

RETIREMENTS: Final = Table(
    "chain_retirements",
    METADATA,
    Column("dataset", DigestBytes, primary_key=True),
    id_column("digest"),
    id_column("participant"),
    *chain_columns(),
)

GRANTS: Final = Table(
    "chain_grants",
    METADATA,
    digest_key(),
    *grant_columns(),
    *chain_columns(),
    Index(None, "consumer", "dataset"),
    Index(None, "participant"),
    Index(None, "policy_hash"),
)

REVOCATIONS: Final = Table(
    "chain_revocations",
    METADATA,
    digest_key(),
    id_column("participant"),
    id_column("grant"),
    *chain_columns(),
    Index(None, "participant", "grant"),
)

REVISIONS: Final = Table(
    "chain_revisions",
    METADATA,
    digest_key(),
    *revision_columns(),
    *chain_columns(),
    Index(None, "agreement", "revision", unique=True),
)

REVISION_PARTIES: Final = Table(
    "chain_revision_parties",
    METADATA,
    digest_key(),
    Column("ordinal", SmallInteger, primary_key=True),
    id_column("participant"),
    Column("block", BigInteger, nullable=False, index=True),
    Index(None, "participant"),
)

AGREEMENT_MOVES: Final = Table(
    "chain_agreement_moves",
    METADATA,
    digest_key(),
    id_column("agreement"),
    id_column("participant"),
    Column("move", String(16), nullable=False),  # accepted, rejected, terminated
    id_column("proposal", nullable=True),
    *chain_columns(),
    Index(None, "agreement"),
)

ACTIVATIONS: Final = Table(
    "chain_activations",
    METADATA,
    Column("proposal", DigestBytes, primary_key=True),
    id_column("agreement"),
    Column("revision", Uint64, nullable=False),
    *chain_columns(),
    Index(None, "agreement"),
)

CONFIRMATIONS: Final = Table(
    "chain_confirmations",
    METADATA,
    digest_key(),
    id_column("agreement"),
    id_column("participant"),
    Column("sequence", Uint64, nullable=False),
    id_column("report"),
    Column("total", Uint256, nullable=False),
    *chain_columns(),
    Index(None, "agreement", "sequence"),
    Index(None, "report"),
)

SETTLEMENTS: Final = Table(
    "chain_settlements",
    METADATA,
    digest_key(),
    id_column("agreement"),
    id_column("participant"),
    Column("sequence", Uint64, nullable=False),
    Column("total", Uint256, nullable=False),
    id_column("invoice_hash"),
    *chain_columns(),
    Index(None, "agreement", "sequence"),
)

LOGS: Final = Table(
    "chain_logs",
    METADATA,
    digest_key(),
    Column("log", DigestBytes, nullable=False, unique=True),
    id_column("participant"),
    Column("origin", Text, nullable=False),
    Column("publisher", AddressBytes, nullable=False),
    id_column("verifier_key"),
    *chain_columns(),
)

LOG_ROTATIONS: Final = Table(
    "chain_log_rotations",
    METADATA,
    digest_key(),
    id_column("log"),
    Column("counter", Uint64, nullable=False),
    Column("publisher", AddressBytes, nullable=False),
    id_column("verifier_key"),
    *chain_columns(),
    Index(None, "log"),
)

LOG_CLOSINGS: Final = Table(
    "chain_log_closings",
    METADATA,
    digest_key(),
    id_column("log"),
    id_column("successor"),
    *chain_columns(),
    Index(None, "log"),
)

CHECKPOINTS: Final = Table(
    "chain_checkpoints",
    METADATA,
    Column("log", DigestBytes, primary_key=True),
    Column("size", Uint64, primary_key=True),  # a log's publisher may say any uint64
    id_column("root"),
    Column("previous_size", Uint64, nullable=False),
    id_column("previous_root"),
    Column("previous_time", Seconds, nullable=False),
    id_column("history_head"),
    id_column("transaction"),
    *chain_columns(),
)

FACTS: Final = (
    EFFECTS, APPLICATIONS, CLAIMS, HISTORY, PROFILES, VOTES, DECISIONS, REGISTRATIONS, PARENTS, RETIREMENTS, GRANTS,
    REVOCATIONS, REVISIONS, REVISION_PARTIES, AGREEMENT_MOVES, ACTIVATIONS, CONFIRMATIONS, SETTLEMENTS, LOGS,
    LOG_ROTATIONS, LOG_CLOSINGS, CHECKPOINTS,
)  # fmt: skip
"""Every table that events are folded into; each has a column ``block``."""
