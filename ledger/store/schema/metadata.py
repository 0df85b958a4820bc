"""The one collection of tables, and column shapes that several of them share."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, SmallInteger

from ledger.store.columns import DigestBytes, Seconds, Uint64, Uint256

__all__ = [
    "METADATA",
    "TERMS",
    "chain_columns",
    "digest_key",
    "grant_columns",
    "id_column",
    "parent_columns",
    "registration_columns",
    "revision_columns",
    "terms_columns",
]

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_column(name: str, *, nullable: bool = False) -> Column[Any]:
    """A digest, id, salt or hash."""
    return Column(name, DigestBytes, nullable=nullable)


def digest_key() -> Column[Any]:
    """The digest of the statement that a row is of."""
    return Column("digest", DigestBytes, primary_key=True)


def chain_columns() -> tuple[Column[Any], ...]:
    """Where the event stands that a row is the fact of."""
    return (
        Column("block", BigInteger, nullable=False, index=True),
        Column("position", Integer, nullable=False),
        Column("time", Seconds, nullable=False),
    )


TERMS: Final = {
    "first_version": "firstVersion",
    "last_version": "lastVersion",
    "purpose": "purpose",
    "rights": "rights",
    "valid_from": "validFrom",
    "valid_until": "validUntil",
    "policy_hash": "policyHash",
}
"""Column by column the members that are the terms of a request or grant, in statements and events alike."""


def terms_columns() -> tuple[Column[Any], ...]:
    """The terms of a request or grant."""
    return (
        Column("first_version", Uint64, nullable=False),
        Column("last_version", Uint64, nullable=False),
        id_column("purpose"),
        Column("rights", Uint256, nullable=False),
        Column("valid_from", Uint64, nullable=False),
        Column("valid_until", Uint64, nullable=False),
        id_column("policy_hash"),
    )


def registration_columns() -> tuple[Column[Any], ...]:
    """A DatasetRegistration, without its parents and its data set's salt (events do not tell it)."""
    return (
        id_column("dataset"),
        id_column("participant"),
        Column("version", Uint64, nullable=False),
        id_column("content_hash"),
        id_column("metadata_hash"),
    )


def parent_columns() -> tuple[Column[Any], ...]:
    """A parent of a registration."""
    return (
        Column("ordinal", SmallInteger, primary_key=True),
        id_column("dataset"),
        Column("version", Uint64, nullable=False),
        id_column("registration"),
    )


def grant_columns() -> tuple[Column[Any], ...]:
    """An AccessGrant, without its data set's salt (events do not tell it)."""
    return (
        id_column("participant"),
        id_column("consumer"),
        id_column("dataset"),
        *terms_columns(),
    )


def revision_columns() -> tuple[Column[Any], ...]:
    """An AgreementProposal, without its parties."""
    return (
        id_column("agreement"),
        Column("revision", Uint64, nullable=False),
        id_column("participant"),
        id_column("supplier"),
        id_column("user"),
        Column("resource", SmallInteger, nullable=False),
        id_column("terms_hash"),
        Column("valid_from", Uint64, nullable=False),
        Column("valid_until", Uint64, nullable=False),
        Column("quota", Uint256, nullable=False),
        Column("decimals", SmallInteger, nullable=False),
        id_column("unit"),
    )
