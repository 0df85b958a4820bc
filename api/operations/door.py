"""The door to the chain's JSON-RPC: few at a time, in threads of their own, so that it crowds out nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, cast

import anyio
import anyio.to_thread
from fastapi import Depends, Request

from ledger.errors import UnavailableError

__all__ = ["Door", "DoorOf"]

_AT_ONCE: Final = 4
_MOST_WAITING: Final = 16
_RETRY_AFTER_S: Final = 2.0


class Door:
    """Runs 4 at once in threads and lets 16 more wait; used on the event loop alone."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._inside = 0

    async def run(self, answer: Callable[[], bytes]) -> bytes:
        """Run ``answer`` in a thread. Raises: UnavailableError: too many are here."""
        if self._inside >= _AT_ONCE + _MOST_WAITING:
            raise UnavailableError(
                "too many requests ask the chain at once: come back soon, or ask a node of your own",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(answer, limiter=self._limiter)
        finally:
            self._inside -= 1


async def _door_of(request: Request) -> Door:
    state = request.app.state
    if not hasattr(state, "rpc_door"):
        state.rpc_door = Door()
    return cast(Door, state.rpc_door)


DoorOf = Annotated[Door, Depends(_door_of)]
