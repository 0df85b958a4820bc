"""Which versions are sealed, under which key, wrapped by which key-encryption key."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, String, Table

from ledger.store.columns import DigestBytes, Moment, Uint64
from ledger.store.schema.metadata import METADATA, id_column

__all__ = ["SEALINGS"]

SEALINGS: Final = Table(
    "sealings",
    METADATA,
    Column("id", DigestBytes, primary_key=True),  # the key commitment
    id_column("registration"),
    id_column("dataset"),
    Column("version", Uint64, nullable=False),
    Column("state", String(16), nullable=False),
    Column("current_of", DigestBytes, unique=True),  # the registration, of its one current sealing; null of others
    Column("statement", DigestBytes, unique=True),  # digest of the Sealing that is, or is about to be, in the log
    Column("wrapped_key", LargeBinary),  # null: destroyed
    Column("kek", String(255), index=True),  # which key wrapped it
    Column("descriptor", LargeBinary),  # null: not complete yet
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("removed_at", Moment),  # when the last of its objects was gone
    Index(None, "registration", "created_at"),
)
