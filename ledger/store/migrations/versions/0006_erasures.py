"""Erasures, what they leave to be removed, and who descends from a version; which transfers a sealing has."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_AT_ONCE = 1000


def _digest(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(length=32), nullable=False)


def upgrade() -> None:
    """Make tables and indexes; an erasure that was stated before is carried out when the gateway starts."""
    op.create_index(op.f("ix_transfers_sealing"), "transfers", ["sealing"], unique=False)
    for table in ("said_parents", "chain_parents"):
        op.create_index(op.f(f"ix_{table}_registration"), table, ["registration"], unique=False)
    said = op.create_table(
        "said_erasures",
        _digest("digest"),
        _digest("participant"),
        _digest("dataset"),
        sa.Column("version", sa.String(length=20), nullable=False),
        _digest("registration"),
        _digest("reason_hash"),
        sa.ForeignKeyConstraint(
            ["digest"], ["statements.digest"], name=op.f("fk_said_erasures_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_said_erasures")),
    )
    op.create_index(op.f("ix_said_erasures_registration"), "said_erasures", ["registration"], unique=False)
    op.create_table(
        "erased_versions",
        _digest("registration"),
        _digest("statement"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("registration", name=op.f("pk_erased_versions")),
    )
    op.create_table(
        "removals",
        _digest("sha256"),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_removals")),
    )
    _index_stated(said)


def _index_stated(said: sa.Table) -> None:
    connection = op.get_bind()
    stated = connection.execute(sa.text("SELECT digest, message FROM statements WHERE type = 'Erasure'"))
    for rows in stated.partitions(_AT_ONCE):
        connection.execute(sa.insert(said), [_read(bytes(row.digest), json.loads(row.message)) for row in rows])


def _read(digest: bytes, message: dict[str, str]) -> dict[str, object]:
    members = ("participant", "dataset", "registration", "reasonHash")
    words = {("reason_hash" if name == "reasonHash" else name): bytes.fromhex(message[name][2:]) for name in members}
    return {"digest": digest, "version": f"{int(message['version']):020d}", **words}
