"""Which of several processes that share a database has which duty."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, UniqueConstraint

from ledger.store.columns import Moment
from ledger.store.schema.metadata import METADATA

__all__ = ["LEASES"]

LEASES: Final = Table(
    "leases",
    METADATA,
    Column("duty", String(64), primary_key=True),
    Column("token", BigInteger, nullable=False),  # counts up with every holder
    Column("holder", Text),  # null: nobody
    Column("session", Integer),  # PostgreSQL's process that serves the holder, since when: a dead holder has none
    Column("session_since", BigInteger),
    Column("taken_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # An UPDATE of a column that a unique index holds waits for whoever locks the row FOR KEY SHARE, as every writing
    # transaction of the holder does; a renewal leaves the token alone and waits for nobody.
    UniqueConstraint("duty", "token"),
)
