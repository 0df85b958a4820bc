"""What threads make of the items of a stream, in order, while the next ones come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

__all__ = ["work_ahead"]

T = TypeVar("T")
R = TypeVar("R")


async def work_ahead(
    items: AsyncGenerator[T, None], act: Callable[[T], R], at_once: int = 1
) -> AsyncGenerator[R, None]:
    """Yield what ``act`` returns for each item; it runs in a thread, for ``at_once`` of them at a time.

    The next item is asked for while threads are at work. Whatever ends it, no thread is at work any more then, and
    ``items`` is closed. Raises: what ``items`` or ``act`` raises.
    """
    under_way: deque[asyncio.Future[R]] = deque()
    try:
        async with aclosing(items):
            async for item in items:
                made = [await _take(under_way)] if len(under_way) == at_once else []
                under_way.append(asyncio.ensure_future(asyncio.to_thread(act, item)))
                for each in made:
                    yield each
        while under_way:
            yield await _take(under_way)
    finally:
        await asyncio.gather(*under_way, return_exceptions=True)


async def _take(under_way: deque[asyncio.Future[R]]) -> R:
    made = await asyncio.shield(under_way[0])  # a thread is not ended by a cancelled wait for it
    under_way.popleft()
    return made
