"""A page of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["RowPage"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RowPage(Generic[T]):
    """Rows of a list, newest first; ``next`` is the cursor of the page after (None at the end).

    ``as_of_block`` is the last block folded when they were read, 0 before any.
    """

    items: tuple[T, ...]
    next: str | None
    as_of_block: int
