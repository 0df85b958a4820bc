"""Sealings: versions encrypted for delivery, and their wrapped keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nothing is sealed yet."""
    op.create_table(
        "sealings",
        sa.Column("id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("registration", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("current_of", sa.LargeBinary(length=32), nullable=True),
        sa.Column("statement", sa.LargeBinary(length=32), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("kek", sa.String(length=255), nullable=True),
        sa.Column("descriptor", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sealings")),
        sa.UniqueConstraint("current_of", name=op.f("uq_sealings_current_of")),
        sa.UniqueConstraint("statement", name=op.f("uq_sealings_statement")),
    )
    op.create_index(op.f("ix_sealings_kek"), "sealings", ["kek"], unique=False)
    op.create_index(
        op.f("ix_sealings_registration_created_at"), "sealings", ["registration", "created_at"], unique=False
    )
