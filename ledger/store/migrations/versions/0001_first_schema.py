"""The first schema: one table after another, hence longer than a module of code would be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915  one statement a table or index
    """Make all tables in an empty database."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("maker", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_maker"), "api_keys", ["maker"], unique=False)
    op.create_index(op.f("ix_api_keys_participant"), "api_keys", ["participant"], unique=False)
    op.create_table(
        "chain_activations",
        sa.Column("proposal", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("revision", sa.String(length=20), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("proposal", name=op.f("pk_chain_activations")),
    )
    op.create_index(op.f("ix_chain_activations_agreement"), "chain_activations", ["agreement"], unique=False)
    op.create_index(op.f("ix_chain_activations_block"), "chain_activations", ["block"], unique=False)
    op.create_table(
        "chain_agreement_moves",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("move", sa.String(length=16), nullable=False),
        sa.Column("proposal", sa.LargeBinary(length=32), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_agreement_moves")),
    )
    op.create_index(op.f("ix_chain_agreement_moves_agreement"), "chain_agreement_moves", ["agreement"], unique=False)
    op.create_index(op.f("ix_chain_agreement_moves_block"), "chain_agreement_moves", ["block"], unique=False)
    op.create_table(
        "chain_applications",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("control_key", sa.LargeBinary(length=20), nullable=False),
        sa.Column("signing_key", sa.LargeBinary(length=20), nullable=False),
        sa.Column("custody", sa.SmallInteger(), nullable=False),
        sa.Column("profile_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_applications")),
    )
    op.create_index(op.f("ix_chain_applications_block"), "chain_applications", ["block"], unique=False)
    op.create_index(op.f("ix_chain_applications_participant"), "chain_applications", ["participant"], unique=False)
    op.create_table(
        "chain_blocks",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_chain_blocks")),
    )
    op.create_table(
        "chain_checkpoints",
        sa.Column("log", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size", sa.String(length=20), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous_size", sa.String(length=20), nullable=False),
        sa.Column("previous_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous_time", sa.BigInteger(), nullable=False),
        sa.Column("history_head", sa.LargeBinary(length=32), nullable=False),
        sa.Column("transaction", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size", name=op.f("pk_chain_checkpoints")),
    )
    op.create_index(op.f("ix_chain_checkpoints_block"), "chain_checkpoints", ["block"], unique=False)
    op.create_table(
        "chain_claims",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("new_key", sa.LargeBinary(length=20), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_claims")),
    )
    op.create_index(op.f("ix_chain_claims_block"), "chain_claims", ["block"], unique=False)
    op.create_index(op.f("ix_chain_claims_participant"), "chain_claims", ["participant"], unique=False)
    op.create_table(
        "chain_confirmations",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sequence", sa.String(length=20), nullable=False),
        sa.Column("report", sa.LargeBinary(length=32), nullable=False),
        sa.Column("total", sa.String(length=78), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_confirmations")),
    )
    op.create_index(
        op.f("ix_chain_confirmations_agreement_sequence"),
        "chain_confirmations",
        ["agreement", "sequence"],
        unique=False,
    )
    op.create_index(op.f("ix_chain_confirmations_block"), "chain_confirmations", ["block"], unique=False)
    op.create_index(op.f("ix_chain_confirmations_report"), "chain_confirmations", ["report"], unique=False)
    op.create_table(
        "chain_cursor",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("final", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_cursor")),
    )
    op.create_table(
        "chain_decisions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("decision", sa.SmallInteger(), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=32), nullable=False),
        sa.Column("argument", sa.LargeBinary(length=32), nullable=False),
        sa.Column("epoch", sa.String(length=20), nullable=False),
        sa.Column("counter", sa.String(length=20), nullable=False),
        sa.Column("executed", sa.Boolean(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_decisions")),
    )
    op.create_index(op.f("ix_chain_decisions_block"), "chain_decisions", ["block"], unique=False)
    op.create_index(op.f("ix_chain_decisions_subject"), "chain_decisions", ["subject"], unique=False)
    op.create_table(
        "chain_effects",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("transaction", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_effects")),
    )
    op.create_index(op.f("ix_chain_effects_block"), "chain_effects", ["block"], unique=False)
    op.create_table(
        "chain_grants",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("consumer", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("first_version", sa.String(length=20), nullable=False),
        sa.Column("last_version", sa.String(length=20), nullable=False),
        sa.Column("purpose", sa.LargeBinary(length=32), nullable=False),
        sa.Column("rights", sa.String(length=78), nullable=False),
        sa.Column("valid_from", sa.String(length=20), nullable=False),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("policy_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_grants")),
    )
    op.create_index(op.f("ix_chain_grants_block"), "chain_grants", ["block"], unique=False)
    op.create_index(op.f("ix_chain_grants_consumer_dataset"), "chain_grants", ["consumer", "dataset"], unique=False)
    op.create_index(op.f("ix_chain_grants_participant"), "chain_grants", ["participant"], unique=False)
    op.create_index(op.f("ix_chain_grants_policy_hash"), "chain_grants", ["policy_hash"], unique=False)
    op.create_table(
        "chain_history",
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("detail", sa.LargeBinary(length=32), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_chain_history")),
    )
    op.create_index(op.f("ix_chain_history_block"), "chain_history", ["block"], unique=False)
    op.create_index(op.f("ix_chain_history_detail"), "chain_history", ["detail"], unique=False)
    op.create_index(op.f("ix_chain_history_head"), "chain_history", ["head"], unique=False)
    op.create_index(op.f("ix_chain_history_participant_kind"), "chain_history", ["participant", "kind"], unique=False)
    op.create_table(
        "chain_log_closings",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("log", sa.LargeBinary(length=32), nullable=False),
        sa.Column("successor", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_log_closings")),
    )
    op.create_index(op.f("ix_chain_log_closings_block"), "chain_log_closings", ["block"], unique=False)
    op.create_index(op.f("ix_chain_log_closings_log"), "chain_log_closings", ["log"], unique=False)
    op.create_table(
        "chain_log_rotations",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("log", sa.LargeBinary(length=32), nullable=False),
        sa.Column("counter", sa.String(length=20), nullable=False),
        sa.Column("publisher", sa.LargeBinary(length=20), nullable=False),
        sa.Column("verifier_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_log_rotations")),
    )
    op.create_index(op.f("ix_chain_log_rotations_block"), "chain_log_rotations", ["block"], unique=False)
    op.create_index(op.f("ix_chain_log_rotations_log"), "chain_log_rotations", ["log"], unique=False)
    op.create_table(
        "chain_logs",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("log", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("publisher", sa.LargeBinary(length=20), nullable=False),
        sa.Column("verifier_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_logs")),
        sa.UniqueConstraint("log", name=op.f("uq_chain_logs_log")),
    )
    op.create_index(op.f("ix_chain_logs_block"), "chain_logs", ["block"], unique=False)
    op.create_table(
        "chain_parents",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("registration", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "ordinal", name=op.f("pk_chain_parents")),
    )
    op.create_index(op.f("ix_chain_parents_block"), "chain_parents", ["block"], unique=False)
    op.create_table(
        "chain_profiles",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("profile_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_profiles")),
    )
    op.create_index(op.f("ix_chain_profiles_block"), "chain_profiles", ["block"], unique=False)
    op.create_index(op.f("ix_chain_profiles_participant"), "chain_profiles", ["participant"], unique=False)
    op.create_table(
        "chain_registrations",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("metadata_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_registrations")),
    )
    op.create_index(op.f("ix_chain_registrations_block"), "chain_registrations", ["block"], unique=False)
    op.create_index(
        op.f("ix_chain_registrations_dataset_version"), "chain_registrations", ["dataset", "version"], unique=True
    )
    op.create_index(op.f("ix_chain_registrations_participant"), "chain_registrations", ["participant"], unique=False)
    op.create_table(
        "chain_retirements",
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", name=op.f("pk_chain_retirements")),
    )
    op.create_index(op.f("ix_chain_retirements_block"), "chain_retirements", ["block"], unique=False)
    op.create_table(
        "chain_revision_parties",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "ordinal", name=op.f("pk_chain_revision_parties")),
    )
    op.create_index(op.f("ix_chain_revision_parties_block"), "chain_revision_parties", ["block"], unique=False)
    op.create_index(
        op.f("ix_chain_revision_parties_participant"), "chain_revision_parties", ["participant"], unique=False
    )
    op.create_table(
        "chain_revisions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("revision", sa.String(length=20), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("supplier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user", sa.LargeBinary(length=32), nullable=False),
        sa.Column("resource", sa.SmallInteger(), nullable=False),
        sa.Column("terms_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("valid_from", sa.String(length=20), nullable=False),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("quota", sa.String(length=78), nullable=False),
        sa.Column("decimals", sa.SmallInteger(), nullable=False),
        sa.Column("unit", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_revisions")),
    )
    op.create_index(
        op.f("ix_chain_revisions_agreement_revision"), "chain_revisions", ["agreement", "revision"], unique=True
    )
    op.create_index(op.f("ix_chain_revisions_block"), "chain_revisions", ["block"], unique=False)
    op.create_table(
        "chain_revocations",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_revocations")),
    )
    op.create_index(op.f("ix_chain_revocations_block"), "chain_revocations", ["block"], unique=False)
    op.create_index(
        op.f("ix_chain_revocations_participant_grant"), "chain_revocations", ["participant", "grant"], unique=False
    )
    op.create_table(
        "chain_settlements",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sequence", sa.String(length=20), nullable=False),
        sa.Column("total", sa.String(length=78), nullable=False),
        sa.Column("invoice_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_settlements")),
    )
    op.create_index(
        op.f("ix_chain_settlements_agreement_sequence"), "chain_settlements", ["agreement", "sequence"], unique=False
    )
    op.create_index(op.f("ix_chain_settlements_block"), "chain_settlements", ["block"], unique=False)
    op.create_table(
        "chain_votes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("decision", sa.SmallInteger(), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=32), nullable=False),
        sa.Column("argument", sa.LargeBinary(length=32), nullable=False),
        sa.Column("choice", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.String(length=20), nullable=False),
        sa.Column("counter", sa.String(length=20), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chain_votes")),
    )
    op.create_index(op.f("ix_chain_votes_block"), "chain_votes", ["block"], unique=False)
    op.create_index(op.f("ix_chain_votes_subject"), "chain_votes", ["subject"], unique=False)
    op.create_table(
        "contents",
        sa.Column("content_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("chunks", sa.LargeBinary(), nullable=True),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("content_root", name=op.f("pk_contents")),
    )
    op.create_table(
        "dataset_slugs",
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("provider", sa.LargeBinary(length=32), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("dataset_salt", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("dataset", name=op.f("pk_dataset_slugs")),
        sa.UniqueConstraint("provider", "slug", name=op.f("uq_dataset_slugs_provider_slug")),
    )
    op.create_table(
        "documents",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("bound", sa.Boolean(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_documents")),
    )
    op.create_index(op.f("ix_documents_bound_created_at"), "documents", ["bound", "created_at"], unique=False)
    op.create_table(
        "drafts",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("documents", sa.Text(), nullable=False),
        sa.Column("content_root", sa.LargeBinary(length=32), nullable=True),
        sa.Column("version_salt", sa.LargeBinary(length=32), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_drafts")),
    )
    op.create_index(op.f("ix_drafts_expires_at"), "drafts", ["expires_at"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("api_key", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("api_key", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)
    op.create_table(
        "identity",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("chain_id", sa.String(length=78), nullable=True),
        sa.Column("registry", sa.LargeBinary(length=20), nullable=True),
        sa.Column("cursor_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
    )
    op.create_table(
        "outbox",
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("relay", sa.LargeBinary(length=20), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("noop", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_outbox")),
        sa.UniqueConstraint("relay", "nonce", name=op.f("uq_outbox_relay_nonce")),
    )
    op.create_index(op.f("ix_outbox_digest"), "outbox", ["digest"], unique=False)
    op.create_index(op.f("ix_outbox_hash"), "outbox", ["hash"], unique=False)
    op.create_index(op.f("ix_outbox_state_relay_nonce"), "outbox", ["state", "relay", "nonce"], unique=False)
    op.create_table(
        "participant_handles",
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("handle", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_participant_handles")),
        sa.UniqueConstraint("handle", name=op.f("uq_participant_handles_handle")),
    )
    op.create_table(
        "signed_checkpoints",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", sa.String(length=20), nullable=False),
        sa.Column("previous_size", sa.String(length=20), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "size", name=op.f("pk_signed_checkpoints")),
        sa.UniqueConstraint("origin", "previous_size", name=op.f("uq_signed_checkpoints_origin_previous_size")),
    )
    op.create_table(
        "statements",
        sa.Column("arrival", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("signer", sa.LargeBinary(length=20), nullable=False),
        sa.Column("cosignature", sa.LargeBinary(), nullable=True),
        sa.Column("custodial", sa.Boolean(), nullable=False),
        sa.Column("api_key", sa.String(length=64), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("executable", sa.Boolean(), nullable=False),
        sa.Column("log", sa.LargeBinary(length=32), nullable=True),
        sa.Column("log_index", sa.String(length=20), nullable=True),
        sa.Column("checkpoint_size", sa.String(length=20), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("arrival", name=op.f("pk_statements")),
        sa.UniqueConstraint("digest", name=op.f("uq_statements_digest")),
        sa.UniqueConstraint("log", "log_index", name=op.f("uq_statements_log_log_index")),
    )
    op.create_index(op.f("ix_statements_participant"), "statements", ["participant"], unique=False)
    op.create_index(op.f("ix_statements_type_arrival"), "statements", ["type", "arrival"], unique=False)
    op.create_table(
        "access_denials",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("request", sa.LargeBinary(length=32), nullable=False),
        sa.Column("reason_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_access_denials_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_denials")),
    )
    op.create_index(op.f("ix_access_denials_request"), "access_denials", ["request"], unique=False)
    op.create_table(
        "access_requests",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("provider", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("first_version", sa.String(length=20), nullable=False),
        sa.Column("last_version", sa.String(length=20), nullable=False),
        sa.Column("purpose", sa.LargeBinary(length=32), nullable=False),
        sa.Column("rights", sa.String(length=78), nullable=False),
        sa.Column("valid_from", sa.String(length=20), nullable=False),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("policy_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_access_requests_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_requests")),
    )
    op.create_index(op.f("ix_access_requests_dataset"), "access_requests", ["dataset"], unique=False)
    op.create_index(op.f("ix_access_requests_participant"), "access_requests", ["participant"], unique=False)
    op.create_index(op.f("ix_access_requests_policy_hash"), "access_requests", ["policy_hash"], unique=False)
    op.create_index(op.f("ix_access_requests_provider"), "access_requests", ["provider"], unique=False)
    op.create_table(
        "content_files",
        sa.Column("content_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_root"], ["contents.content_root"], name=op.f("fk_content_files_content_root"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("content_root", "position", name=op.f("pk_content_files")),
        sa.UniqueConstraint("content_root", "path", name=op.f("uq_content_files_content_root_path")),
    )
    op.create_index(op.f("ix_content_files_sha256"), "content_files", ["sha256"], unique=False)
    op.create_table(
        "document_readers",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["hash"], ["documents.hash"], name=op.f("fk_document_readers_hash"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", "participant", name=op.f("pk_document_readers")),
    )
    op.create_table(
        "openings",
        sa.Column("registration", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version_salt", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["content_root"], ["contents.content_root"], name=op.f("fk_openings_content_root")),
        sa.PrimaryKeyConstraint("registration", name=op.f("pk_openings")),
    )
    op.create_index(op.f("ix_openings_content_root"), "openings", ["content_root"], unique=False)
    op.create_table(
        "said_grants",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("consumer", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("first_version", sa.String(length=20), nullable=False),
        sa.Column("last_version", sa.String(length=20), nullable=False),
        sa.Column("purpose", sa.LargeBinary(length=32), nullable=False),
        sa.Column("rights", sa.String(length=78), nullable=False),
        sa.Column("valid_from", sa.String(length=20), nullable=False),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("policy_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset_salt", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_said_grants_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_said_grants")),
    )
    op.create_index(op.f("ix_said_grants_consumer_dataset"), "said_grants", ["consumer", "dataset"], unique=False)
    op.create_index(op.f("ix_said_grants_participant"), "said_grants", ["participant"], unique=False)
    op.create_index(op.f("ix_said_grants_policy_hash"), "said_grants", ["policy_hash"], unique=False)
    op.create_table(
        "said_parents",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("registration", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_said_parents_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "ordinal", name=op.f("pk_said_parents")),
    )
    op.create_table(
        "said_registrations",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("metadata_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset_salt", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_said_registrations_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_said_registrations")),
    )
    op.create_index(
        op.f("ix_said_registrations_dataset_version"), "said_registrations", ["dataset", "version"], unique=False
    )
    op.create_index(op.f("ix_said_registrations_participant"), "said_registrations", ["participant"], unique=False)
    op.create_table(
        "said_revision_parties",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_said_revision_parties_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "ordinal", name=op.f("pk_said_revision_parties")),
    )
    op.create_index(
        op.f("ix_said_revision_parties_participant"), "said_revision_parties", ["participant"], unique=False
    )
    op.create_table(
        "said_revisions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("revision", sa.String(length=20), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("supplier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user", sa.LargeBinary(length=32), nullable=False),
        sa.Column("resource", sa.SmallInteger(), nullable=False),
        sa.Column("terms_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("valid_from", sa.String(length=20), nullable=False),
        sa.Column("valid_until", sa.String(length=20), nullable=False),
        sa.Column("quota", sa.String(length=78), nullable=False),
        sa.Column("decimals", sa.SmallInteger(), nullable=False),
        sa.Column("unit", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_said_revisions_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_said_revisions")),
    )
    op.create_index(
        op.f("ix_said_revisions_agreement_revision"), "said_revisions", ["agreement", "revision"], unique=False
    )
    op.create_table(
        "statement_parties",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_statement_parties_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "participant", name=op.f("pk_statement_parties")),
    )
    op.create_index(op.f("ix_statement_parties_participant"), "statement_parties", ["participant"], unique=False)
    op.create_table(
        "submissions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_submissions_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_submissions")),
    )
    op.create_table(
        "usage_disputes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("report", sa.LargeBinary(length=32), nullable=False),
        sa.Column("reason_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_usage_disputes_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_usage_disputes")),
    )
    op.create_index(op.f("ix_usage_disputes_report"), "usage_disputes", ["report"], unique=False)
    op.create_table(
        "usage_reports",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agreement", sa.LargeBinary(length=32), nullable=False),
        sa.Column("quantity", sa.String(length=78), nullable=False),
        sa.Column("period_from", sa.String(length=20), nullable=False),
        sa.Column("period_until", sa.String(length=20), nullable=False),
        sa.Column("detail_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_usage_reports_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_usage_reports")),
    )
    op.create_index(op.f("ix_usage_reports_agreement"), "usage_reports", ["agreement"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("registration", sa.LargeBinary(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["registration"], ["openings.registration"], name=op.f("fk_uploads_registration")),
        sa.PrimaryKeyConstraint("registration", "position", name=op.f("pk_uploads")),
    )
