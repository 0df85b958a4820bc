"""The catalogue of other members' gateways."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _digest(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(length=32), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    """Make both tables; nobody was asked yet."""
    op.create_table(
        "catalogue_peers",
        _digest("provider"),
        sa.Column("endpoint", sa.String(length=2048), nullable=False),
        _moment("asked_at"),
        _moment("answered_at", nullable=True),
        _moment("next_ask_at"),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_catalogue_peers")),
    )
    op.create_table(
        "catalogue_offers",
        _digest("dataset"),
        _digest("provider"),
        sa.Column("endpoint", sa.String(length=2048), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        _digest("registration"),
        _digest("salt"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        _moment("seen_at"),
        sa.PrimaryKeyConstraint("dataset", name=op.f("pk_catalogue_offers")),
        sa.UniqueConstraint("provider", "slug", name=op.f("uq_catalogue_offers_provider_slug")),
    )
    for column in ("registration", "seen_at"):
        op.create_index(op.f(f"ix_catalogue_offers_{column}"), "catalogue_offers", [column], unique=False)
