"""Registrations by the million: what they say stands in their statement's row, and no party that it names itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MEMBERS = ("dataset", "version", "content_hash", "metadata_hash", "dataset_salt")


def upgrade() -> None:
    """Move said_registrations into statements; forget parties that are their statement's own participant."""
    op.execute(
        "DELETE FROM statement_parties WHERE EXISTS (SELECT 1 FROM statements WHERE statements.digest = "
        "statement_parties.digest AND statements.participant = statement_parties.participant)"
    )
    for name in _MEMBERS:
        kind = sa.String(length=20) if name == "version" else sa.LargeBinary(length=32)
        op.add_column("statements", sa.Column(name, kind, nullable=True))
    members = ", ".join(f"{name} = said.{name}" for name in _MEMBERS)
    op.execute(f"UPDATE statements SET {members} FROM said_registrations AS said WHERE said.digest = statements.digest")  # noqa: S608  names of our own
    op.create_index(op.f("ix_statements_dataset_version"), "statements", ["dataset", "version"], unique=False)
    op.drop_table("said_registrations")
