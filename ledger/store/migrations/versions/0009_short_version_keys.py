"""Registrations are found by a short key of data set and version, which costs half as much to keep by the million."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give each registration its key, and index that in the place of the whole data set and version."""
    op.add_column("statements", sa.Column("dataset_key", sa.LargeBinary(length=8), nullable=True))
    op.add_column("statements", sa.Column("version_key", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE statements SET dataset_key = substr(dataset, 1, 8), version_key = CAST(substr(version, 12) AS INTEGER) "
        "WHERE dataset IS NOT NULL"
    )
    op.drop_index(op.f("ix_statements_dataset_version"), "statements")
    op.create_index(
        op.f("ix_statements_dataset_key_version_key"), "statements", ["dataset_key", "version_key"], unique=False
    )
