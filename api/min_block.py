"""Answers no older than the block that a client asks for: once it is known who asks, and for a few at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Annotated, Final, cast

import anyio
from fastapi import Header, Request
from starlette.concurrency import run_in_threadpool

from api.kinds import note_waiting
from api.operations.as_of import AS_OF_KEY
from ledger.errors import UnavailableError
from ledger.exchange import Gateway

__all__ = ["BlockNotIndexedError", "MinBlock", "await_block"]

_LONGEST_WAIT_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.05
_MOST_BLOCKS: Final = 2**53
_MOST_WAITING: Final = 64

MinBlock = Annotated[
    int | None,
    Header(
        alias="Concord-Min-Block",
        ge=0,
        le=_MOST_BLOCKS,
        description="answer as of this block or a later one: waits up to 10 s for it to be indexed, then 503",
    ),
]


class BlockNotIndexedError(UnavailableError):
    """The gateway has not indexed the block that the client asks for (503)."""

    code = "block-not-indexed"


async def await_block(request: Request, wanted: int | None) -> None:
    """Wait until the block that the client asks for is indexed. Raises: BlockNotIndexedError."""
    if wanted is None:
        return
    state = request.app.state
    if not hasattr(state, "block_waits"):
        gateway = cast(Gateway, state.gateway)
        state.block_waits = _Waits(gateway.parts.store.chain.as_of_block)
    known: int | None = request.scope.get(AS_OF_KEY)
    if known is None or known < wanted:
        note_waiting(request)
        request.scope[AS_OF_KEY] = await cast(_Waits, state.block_waits).until(wanted)


class _Waits:
    """Those who wait look at the database together, and are not too many; used on the event loop alone."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._turn = anyio.Lock()
        self._indexed, self._looked_at_s = 0, -math.inf
        self._waiting = 0

    async def until(self, wanted: int) -> int:
        """The last indexed block, once it is ``wanted`` or a later one. Raises: BlockNotIndexedError."""
        indexed = await self._look()
        if indexed >= wanted:
            return indexed
        if self._waiting >= _MOST_WAITING:
            raise _not_indexed(wanted, indexed, ", and too many requests wait for blocks: come back soon")
        self._waiting += 1
        try:
            end = time.monotonic() + _LONGEST_WAIT_S
            while (indexed := await self._look()) < wanted:
                if time.monotonic() > end:
                    raise _not_indexed(wanted, indexed, ": come back, or ask a node whether there is such a block")
                await anyio.sleep(_LOOK_AGAIN_S)
            return indexed
        finally:
            self._waiting -= 1

    async def _look(self) -> int:
        async with self._turn:
            if time.monotonic() >= self._looked_at_s + _LOOK_AGAIN_S:
                self._indexed = await run_in_threadpool(self._read)
                self._looked_at_s = time.monotonic()
            return self._indexed


def _not_indexed(wanted: int, indexed: int, advice: str) -> BlockNotIndexedError:
    return BlockNotIndexedError(
        f"block {wanted} is asked for and block {indexed} is indexed{advice}", retry_after_s=1.0
    )
