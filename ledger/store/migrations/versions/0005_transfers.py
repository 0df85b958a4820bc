"""Transfers: what is delivered to whom under which grant, every access, and signed requests that were brought."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _digest(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(length=32), nullable=nullable)


def upgrade() -> None:
    """Make the tables; nothing was delivered yet."""
    op.create_table(
        "transfers",
        _digest("id"),
        _digest("consumer"),
        _digest("provider"),
        _digest("registration"),
        _digest("grant"),
        _digest("sealing"),
        _digest("receipt", nullable=True),
        _digest("release", nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
    )
    op.create_index(op.f("ix_transfers_opened_at"), "transfers", ["opened_at"], unique=False)
    op.create_table(
        "transfer_accesses",
        _digest("transfer"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("first_byte", sa.BigInteger(), nullable=True),
        sa.Column("last_byte", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("transfer", "number", name=op.f("pk_transfer_accesses")),
    )
    op.create_table(
        "request_nonces",
        sa.Column("key", sa.LargeBinary(length=20), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "nonce", name=op.f("pk_request_nonces")),
    )
    op.create_index(op.f("ix_request_nonces_until"), "request_nonces", ["until"], unique=False)
