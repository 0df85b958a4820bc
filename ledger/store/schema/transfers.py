"""What is delivered to whom under which grant, every access, and the signed requests that were brought."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Table

from ledger.store.columns import AddressBytes, DigestBytes, Moment
from ledger.store.schema.metadata import METADATA, id_column

__all__ = ["ACCESSES", "NONCES", "TRANSFERS"]

TRANSFERS: Final = Table(
    "transfers",
    METADATA,
    Column("id", DigestBytes, primary_key=True),
    id_column("consumer"),
    id_column("provider"),
    id_column("registration"),
    id_column("grant"),
    Column("sealing", DigestBytes, nullable=False, index=True),  # digest of the Sealing
    Column("receipt", DigestBytes),  # digest of the TransferReceipt that is, or is about to be, in the log
    Column("release", DigestBytes),  # of the KeyRelease, alike
    Column("opened_at", Moment, nullable=False, index=True),
)

ACCESSES: Final = Table(
    "transfer_accesses",
    METADATA,
    Column("transfer", DigestBytes),
    Column("number", Integer),
    Column("at", Moment, nullable=False),
    Column("block", BigInteger, nullable=False),  # after which the grant was found to permit it
    Column("what", String(16), nullable=False),
    Column("first_byte", BigInteger),
    Column("last_byte", BigInteger),
    PrimaryKeyConstraint("transfer", "number"),
)

NONCES: Final = Table(
    "request_nonces",
    METADATA,
    Column("key", AddressBytes),
    Column("nonce", String(64)),
    Column("until", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("key", "nonce"),
)
