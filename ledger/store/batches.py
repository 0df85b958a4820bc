"""Long lists in short queries: databases bound how many values a query may carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

__all__ = ["batched"]

T = TypeVar("T")

_MOST: Final = 500


def batched(items: Iterable[T]) -> Iterator[list[T]]:
    """Cut ``items`` into lists of at most 500, in order."""
    remaining = iter(items)
    while batch := list(islice(remaining, _MOST)):
        yield batch
