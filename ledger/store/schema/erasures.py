"""Which versions were erased here, and the objects that this leaves to be removed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Table

from ledger.store.columns import DigestBytes, Moment
from ledger.store.schema.metadata import METADATA, id_column

__all__ = ["ERASED_VERSIONS", "REMOVALS"]

ERASED_VERSIONS: Final = Table(
    "erased_versions",
    METADATA,
    Column("registration", DigestBytes, primary_key=True),
    id_column("statement"),  # the Erasure
    Column("at", Moment, nullable=False),  # when keys, salt and manifest went
)

REMOVALS: Final = Table(
    "removals",  # files that no version has any more, until their objects are gone
    METADATA,
    Column("sha256", DigestBytes, primary_key=True),
    Column("since", Moment, nullable=False),
)
