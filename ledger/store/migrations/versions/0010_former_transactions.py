"""Transactions that others took the place of: a node may still have them, and then it is ours that spent the nonce."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; of what was replaced before nothing is known."""
    op.create_table(
        "former_transactions",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("relay", sa.LargeBinary(length=20), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("noop", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_former_transactions")),
    )
    op.create_index(op.f("ix_former_transactions_relay_nonce"), "former_transactions", ["relay", "nonce"], unique=False)
