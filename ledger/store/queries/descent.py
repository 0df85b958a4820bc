"""Who descends from a version: registrations that name it as a parent, and those that name these, and so on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, literal, select

from ledger.store.columns import DigestBytes
from ledger.store.queries.erasures import tombstone_of
from ledger.store.queries.versions import versions_known
from ledger.store.schema.chain import PARENTS
from ledger.store.schema.gateway import DATASET_SLUGS, PARTICIPANT_HANDLES
from ledger.store.schema.said import SAID_PARENTS
from ledger.types import Bytes32

__all__ = ["select_descendants"]


def select_descendants(registration: Bytes32) -> tuple[Select[Any], tuple[ColumnElement[Any], ...]]:
    """Known versions that descend from a registration, each once; and the columns that they are ordered by.

    Rows that are found again add none, so that a circle, which no honest digest makes, ends too.
    """
    found = select(literal(registration, DigestBytes).label("digest")).cte("descent", recursive=True)
    edges = select(PARENTS.c.digest, PARENTS.c.registration).union_all(
        select(SAID_PARENTS.c.digest, SAID_PARENTS.c.registration)
    )
    edge = edges.subquery("edges")
    found = found.union(select(edge.c.digest).join(found, found.c.digest == edge.c.registration))
    below = select(found.c.digest).where(found.c.digest != registration)
    known = versions_known(lambda table: table.c.digest.in_(below)).subquery("known")
    joined = known.outerjoin(DATASET_SLUGS, DATASET_SLUGS.c.dataset == known.c.dataset).outerjoin(
        PARTICIPANT_HANDLES, PARTICIPANT_HANDLES.c.participant == known.c.participant
    )
    query = select(
        known,
        DATASET_SLUGS.c.slug,
        PARTICIPANT_HANDLES.c.handle,
        tombstone_of(known.c.digest, known.c.participant).label("erased"),
    ).select_from(joined)
    return query, (known.c.stated_at, known.c.digest)
