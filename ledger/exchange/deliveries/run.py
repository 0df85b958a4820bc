"""One try of a delivery, which can be interrupted at any moment: between two pieces, or while nothing comes."""

from __future__ import annotations

import asyncio
import threading
from typing import Final, TypeVar

from ledger.client import AsyncClient, Flow
from ledger.errors import UnavailableError
from ledger.exchange.deliveries.peers import Peer

__all__ = ["InterruptedTryError", "Try"]

Result = TypeVar("Result")

_SLOWEST_S: Final = 600.0


class InterruptedTryError(Exception):
    """The gateway stops, or the delivery was cancelled: nothing is wrong with it."""


class Try:
    """Drives the requests of one delivery in the calling thread."""

    def __init__(self, slowest_s: float = _SLOWEST_S) -> None:
        """``slowest_s``: so long a chunk may take, and all that comes before the first one."""
        self._slowest_s = slowest_s
        self._deadline: asyncio.Timeout | None = None
        self._lock = threading.Lock()
        self._under_way: tuple[asyncio.AbstractEventLoop, asyncio.Task[object]] | None = None
        self._is_interrupted = False

    def drive(self, peer: Peer, flow: Flow[Result]) -> Result:
        """Drive a flow to its result. Raises: InterruptedTryError; others as the flow."""
        try:
            return asyncio.run(self._drive(peer, flow))
        except asyncio.CancelledError as error:
            raise InterruptedTryError from error
        finally:
            flow.close()

    async def _drive(self, peer: Peer, flow: Flow[Result]) -> Result:
        task = asyncio.current_task()
        with self._lock:
            if self._is_interrupted or task is None:
                raise InterruptedTryError
            self._under_way = asyncio.get_running_loop(), task
        try:
            async with (
                asyncio.timeout(self._slowest_s) as self._deadline,
                AsyncClient(peer.endpoint, check_address=peer.check_address, most_waits=0) as client,
            ):
                return await client.run(flow)
        except TimeoutError as error:
            raise UnavailableError(
                f"{peer.endpoint} is so slow that no chunk arrived within {self._slowest_s:.0f} seconds"
            ) from error
        finally:
            self._deadline = None
            with self._lock:
                self._under_way = None

    def interrupt(self) -> None:
        """End it, from any thread, and for good."""
        with self._lock:
            self._is_interrupted = True
            if self._under_way is not None:
                loop, task = self._under_way
                loop.call_soon_threadsafe(task.cancel)

    def check(self, _size_bytes: int = 0) -> None:
        """To be told of every chunk that arrived, or was opened. Raises: InterruptedTryError: it was interrupted."""
        if self._is_interrupted:
            raise InterruptedTryError
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._slowest_s)
