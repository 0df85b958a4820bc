"""Which versions were erased: the first ``Erasure`` of each that its provider stated and the log has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, select

from ledger.store.schema.gateway import STATEMENTS
from ledger.store.schema.said import SAID_ERASURES

__all__ = ["select_erasures", "tombstone_of"]


def select_erasures() -> Select[Any]:
    """Erasures in the log, in its order."""
    said = SAID_ERASURES.c
    return (
        select(said.digest, said.dataset, said.version, said.registration, STATEMENTS.c.received_at)
        .join(STATEMENTS, STATEMENTS.c.digest == said.digest)
        .where(STATEMENTS.c.log_index.is_not(None))
        .order_by(STATEMENTS.c.log_index, said.digest)
    )


def tombstone_of(registration: ColumnElement[Any], provider: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Digest of the erasure of a version; null: it was not erased."""
    stated = STATEMENTS.alias("erasing")
    said = SAID_ERASURES.c
    return (
        select(said.digest)
        .join(stated, stated.c.digest == said.digest)
        .where(said.registration == registration, said.participant == provider, stated.c.log_index.is_not(None))
        .order_by(stated.c.log_index)
        .limit(1)
        .scalar_subquery()
    )
