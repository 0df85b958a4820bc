"""What was said through this gateway: the members of statements that lists filter and join by."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ForeignKey, Index, SmallInteger, Table

from ledger.store.columns import DigestBytes, Uint64, Uint256
from ledger.store.schema.metadata import (
    METADATA,
    grant_columns,
    id_column,
    parent_columns,
    revision_columns,
    terms_columns,
)

__all__ = [
    "ACCESS_DENIALS",
    "ACCESS_REQUESTS",
    "SAID_ERASURES",
    "SAID_GRANTS",
    "SAID_PARENTS",
    "SAID_REVISIONS",
    "SAID_REVISION_PARTIES",
    "USAGE_DISPUTES",
    "USAGE_REPORTS",
]


def _statement() -> Column[Any]:
    return Column("digest", DigestBytes, ForeignKey("statements.digest", ondelete="CASCADE"), primary_key=True)


SAID_PARENTS: Final = Table("said_parents", METADATA, _statement(), *parent_columns(), Index(None, "registration"))

SAID_ERASURES: Final = Table(
    "said_erasures",
    METADATA,
    _statement(),
    id_column("participant"),
    id_column("dataset"),
    Column("version", Uint64, nullable=False),
    id_column("registration"),
    id_column("reason_hash"),
    Index(None, "registration"),
)

SAID_GRANTS: Final = Table(
    "said_grants",
    METADATA,
    _statement(),
    *grant_columns(),
    id_column("dataset_salt"),
    Index(None, "consumer", "dataset"),
    Index(None, "participant"),
    Index(None, "policy_hash"),
)

SAID_REVISIONS: Final = Table(
    "said_revisions", METADATA, _statement(), *revision_columns(), Index(None, "agreement", "revision")
)

SAID_REVISION_PARTIES: Final = Table(
    "said_revision_parties",
    METADATA,
    _statement(),
    Column("ordinal", SmallInteger, primary_key=True),
    id_column("participant"),
    Index(None, "participant"),
)

ACCESS_REQUESTS: Final = Table(
    "access_requests",
    METADATA,
    _statement(),
    id_column("participant"),
    id_column("provider"),
    id_column("dataset"),
    *terms_columns(),
    Index(None, "participant"),
    Index(None, "provider"),
    Index(None, "dataset"),
    Index(None, "policy_hash"),
)

ACCESS_DENIALS: Final = Table(
    "access_denials",
    METADATA,
    _statement(),
    id_column("participant"),
    id_column("request"),
    id_column("reason_hash"),
    Index(None, "request"),
)

USAGE_REPORTS: Final = Table(
    "usage_reports",
    METADATA,
    _statement(),
    id_column("participant"),
    id_column("user"),
    id_column("agreement"),
    Column("quantity", Uint256, nullable=False),
    Column("period_from", Uint64, nullable=False),
    Column("period_until", Uint64, nullable=False),
    id_column("detail_hash"),
    Index(None, "agreement"),
)

USAGE_DISPUTES: Final = Table(
    "usage_disputes",
    METADATA,
    _statement(),
    id_column("participant"),
    id_column("agreement"),
    id_column("report"),
    id_column("reason_hash"),
    Index(None, "report"),
)
