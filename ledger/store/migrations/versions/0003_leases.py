"""Leases: which of several processes that share a database writes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nobody holds anything yet."""
    op.create_table(
        "leases",
        sa.Column("duty", sa.String(length=64), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("session", sa.Integer(), nullable=True),
        sa.Column("session_since", sa.BigInteger(), nullable=True),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("duty", name=op.f("pk_leases")),
        sa.UniqueConstraint("duty", "token", name=op.f("uq_leases_duty_token")),
    )
