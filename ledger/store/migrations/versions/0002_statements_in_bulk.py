"""Registrations by the million: keyed by what counts up, and no party named that the statement itself names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEPT = "dataset, participant, version, content_hash, metadata_hash, dataset_salt"


def upgrade() -> None:
    """Key said_registrations by its statement; forget parties that are their statement's own participant."""
    op.execute(
        "DELETE FROM statement_parties WHERE EXISTS (SELECT 1 FROM statements WHERE statements.digest = "
        "statement_parties.digest AND statements.participant = statement_parties.participant)"
    )
    op.drop_index(op.f("ix_said_registrations_dataset_version"), table_name="said_registrations")
    op.drop_index(op.f("ix_said_registrations_participant"), table_name="said_registrations")
    op.rename_table("said_registrations", "said_registrations_0001")
    if op.get_bind().dialect.name == "postgresql":  # whose constraints have names of their own
        op.execute("ALTER TABLE said_registrations_0001 DROP CONSTRAINT pk_said_registrations")
    op.create_table(
        "said_registrations",
        sa.Column("statement", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("participant", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("metadata_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset_salt", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["statement"], ["statements.arrival"], name=op.f("fk_said_registrations_statement"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("statement", name=op.f("pk_said_registrations")),
    )
    kept = ", ".join(f"said.{name}" for name in _KEPT.split(", "))
    op.execute(
        f"INSERT INTO said_registrations (statement, digest, {_KEPT}) "  # noqa: S608  names of our own
        f"SELECT statements.arrival, said.digest, {kept} FROM said_registrations_0001 AS said "
        "JOIN statements ON statements.digest = said.digest"
    )
    op.drop_table("said_registrations_0001")
    op.create_index(
        op.f("ix_said_registrations_dataset_version"), "said_registrations", ["dataset", "version"], unique=False
    )
    op.create_index(op.f("ix_said_registrations_participant"), "said_registrations", ["participant"], unique=False)
