"""What other members' gateways offer, as they told last, and when each was asked."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from ledger.store.columns import DigestBytes, Moment, Uint64
from ledger.store.schema.metadata import METADATA, id_column

__all__ = ["CATALOGUE_OFFERS", "CATALOGUE_PEERS"]

CATALOGUE_PEERS: Final = Table(
    "catalogue_peers",  # whose gateways are asked
    METADATA,
    Column("provider", DigestBytes, primary_key=True),
    Column("endpoint", String(2048), nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("answered_at", Moment),  # null: never
    Column("next_ask_at", Moment, nullable=False),
    Column("failures", Integer, nullable=False),  # one after the other, since it answered last
    Column("error_code", String(64)),
    Column("error", Text),
    Column("left_out", Integer, nullable=False),  # entries of its last answer that are not so on chain
)

CATALOGUE_OFFERS: Final = Table(
    "catalogue_offers",
    METADATA,
    Column("dataset", DigestBytes, primary_key=True),
    id_column("provider"),
    Column("endpoint", String(2048), nullable=False),
    Column("slug", String(63), nullable=False),
    Column("version", Uint64, nullable=False),  # whose metadata these are
    Column("registration", DigestBytes, nullable=False, index=True),
    id_column("salt"),
    Column("body", LargeBinary, nullable=False),
    Column("search", Text, nullable=False),
    Column("seen_at", Moment, nullable=False, index=True),
    UniqueConstraint("provider", "slug"),
)
