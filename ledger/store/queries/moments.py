"""Times of blocks and of arrivals, made comparable."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, type_coerce

from ledger.store.columns import Moment

__all__ = ["block_moment"]

_MICROSECONDS = 1_000_000


def block_moment(time: ColumnElement[Any]) -> ColumnElement[datetime]:
    """A block's time (``Seconds``) as a ``Moment``, to stand beside arrivals."""
    return type_coerce(type_coerce(time, BigInteger) * _MICROSECONDS, Moment)
