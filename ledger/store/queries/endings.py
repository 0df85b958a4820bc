"""Sealings that are due to be replaced: somebody who may not have the version any more was given of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, exists, or_, select

from ledger.statements import HistoryKind
from ledger.store.queries.grants import select_grants
from ledger.store.schema.chain import HISTORY
from ledger.store.schema.sealings import SEALINGS
from ledger.store.schema.transfers import ACCESSES, TRANSFERS

__all__ = ["select_ended"]

_GIVEN: Final = ("data", "key")
_OVER: Final = ("revoked", "retired", "expired", "refused")
_OUT: Final = (HistoryKind.SUSPENDED, HistoryKind.RETIRED)
_STANDING: Final = (HistoryKind.ADMITTED, HistoryKind.REINSTATED, *_OUT)


def select_ended(now: datetime) -> Select[Any]:
    """``registration`` and ``grant``: data or key of its current sealing were given under it, and it is over.

    Over is a grant that was revoked, has expired, is of a retired data set, or one side of which is suspended or
    retired, as far as the chain is folded.
    """
    held = _select_held().subquery("held")
    known = select_grants(now, lambda table: table.c.digest.in_(select(held.c.grant)))
    grants = known.query.subquery("grants")
    is_over = or_(grants.c.state.in_(_OVER), _is_out(grants.c.provider), _is_out(grants.c.consumer))
    return (
        select(held.c.registration, held.c.grant)
        .join(grants, grants.c.digest == held.c.grant)
        .where(is_over)
        .order_by(held.c.registration, held.c.grant)
    )


def _select_held() -> Select[Any]:
    """Which version's current sealing, under which grants, was given of."""
    transfers = TRANSFERS.c
    given = exists().where(ACCESSES.c.transfer == transfers.id, ACCESSES.c.what.in_(_GIVEN))
    current = (SEALINGS.c.statement == transfers.sealing) & SEALINGS.c.current_of.is_not(None)
    return (
        select(transfers.registration, transfers.grant)
        .distinct()
        .join(SEALINGS, current)
        .where(transfers.release.is_not(None) | given)
    )


def _is_out(participant: ColumnElement[Any]) -> ColumnElement[bool]:
    last = (
        select(HISTORY.c.kind)
        .where(HISTORY.c.participant == participant, HISTORY.c.kind.in_(_STANDING))
        .order_by(HISTORY.c.index.desc())
        .limit(1)
        .scalar_subquery()
    )
    return last.in_(_OUT)
