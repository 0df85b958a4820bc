"""A stream of sealed bytes, and the watch over whether it is still permitted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from ledger.content.sealing import SEALED_CHUNK_SIZE_BYTES

__all__ = ["Watch", "cut_at_chunks", "with_first"]

_LOOK_AGAIN_S: Final = 0.05


class Watch:
    """Looks, before a chunk is given, whether what permits it changed; often enough, and not at every chunk."""

    def __init__(self, check: Callable[[int], int], block: int, valid_until: int, clock: Callable[[], float]) -> None:
        """``check`` is given the block after which it was permitted last, and returns that of now, or raises."""
        self._check = check
        self._block = block
        self._valid_until = valid_until
        self._clock = clock
        self._next = 0.0

    async def look(self) -> None:
        """Raise what ``check`` raises, at once when the grant's time is over by the clock."""
        now = time.monotonic()
        if now < self._next and self._clock() < self._valid_until:
            return
        self._block = await asyncio.to_thread(self._check, self._block)
        self._next = now + _LOOK_AGAIN_S


async def cut_at_chunks(windows: AsyncIterator[bytes], first: int) -> AsyncGenerator[bytes, None]:
    """Cut a stream of bytes, which begins at ``first``, wherever a whole number of sealed chunks ends."""
    place = first
    async for window in windows:
        view = memoryview(window)
        while view:
            size = SEALED_CHUNK_SIZE_BYTES - place % SEALED_CHUNK_SIZE_BYTES
            piece, view = bytes(view[:size]), view[size:]
            place += len(piece)
            yield piece


async def with_first(first: bytes, others: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """The stream that ``first`` was taken from."""
    async with aclosing(others):
        yield first
        async for piece in others:
            yield piece
