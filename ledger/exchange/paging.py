"""Which page of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ledger.store.rows import RowPage
from ledger.surface.outcomes import Page

__all__ = ["Paging", "present_page"]

R = TypeVar("R")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list: ``limit`` 1 to 200, ``cursor`` from the page before."""

    limit: int = 50
    cursor: str | None = None


def present_page(rows: RowPage[R], present: Callable[[R], V]) -> Page[V]:
    """A page of views out of a page of rows."""
    return Page(tuple(present(row) for row in rows.items), rows.next, rows.as_of_block)
