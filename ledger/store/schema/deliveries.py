"""What consumers have this gateway fetch from other ones, and how far it is."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, UniqueConstraint

from ledger.store.columns import DigestBytes, Moment, Uint64
from ledger.store.schema.metadata import METADATA, id_column

__all__ = ["DELIVERIES"]

DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("id", DigestBytes, primary_key=True),
    id_column("consumer"),
    id_column("provider"),
    id_column("dataset"),
    Column("version", Uint64, nullable=False),
    id_column("registration"),
    Column("grant", DigestBytes),  # the one that was asked for
    Column("endpoint", String(2048), nullable=False),
    Column("state", String(16), nullable=False),
    Column("transfer", DigestBytes),  # its id at the provider's gateway
    Column("files", Integer),
    Column("size_bytes", BigInteger),  # of the files
    Column("sealed_bytes", BigInteger),
    Column("reserved_bytes", BigInteger, nullable=False),  # of the disk, until it is done or removed
    Column("error_code", String(64)),
    Column("error", Text),
    Column("tries", Integer, nullable=False),  # that brought nothing, one after the other
    Column("next_try_at", Moment, nullable=False, index=True),
    Column("progress_at", Moment, nullable=False),  # when a try brought something last
    Column("created_at", Moment, nullable=False),
    Column("delivered_at", Moment),
    UniqueConstraint("consumer", "registration"),
)
