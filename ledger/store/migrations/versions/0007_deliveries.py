"""Deliveries: what consumers have this gateway fetch from other ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _digest(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(length=32), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    """Make the table; nothing was fetched yet."""
    op.create_table(
        "deliveries",
        _digest("id"),
        _digest("consumer"),
        _digest("provider"),
        _digest("dataset"),
        sa.Column("version", sa.String(length=20), nullable=False),
        _digest("registration"),
        _digest("grant", nullable=True),
        sa.Column("endpoint", sa.String(length=2048), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        _digest("transfer", nullable=True),
        sa.Column("files", sa.Integer(), nullable=True),
        _number("size_bytes", nullable=True),
        _number("sealed_bytes", nullable=True),
        _number("reserved_bytes"),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        _number("next_try_at"),
        _number("progress_at"),
        _number("created_at"),
        _number("delivered_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("consumer", "registration", name=op.f("uq_deliveries_consumer_registration")),
    )
    op.create_index(op.f("ix_deliveries_next_try_at"), "deliveries", ["next_try_at"], unique=False)
