"""Sealings that are asked for are made by the service itself: the work goes on when whoever asked has gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, Final

from ledger.errors import ConflictError, UnavailableError
from ledger.exchange.sealed_version import SealedVersion
from ledger.types import Bytes32

__all__ = ["SealingUnderWayError", "SealingWork"]

_WAIT_S: Final = 20.0
_RETRY_AFTER_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.1
_AT_ONCE: Final = 2
_UNDER_WAY: Final = "sealing-under-way"

Make = Callable[[Bytes32], Coroutine[Any, Any, SealedVersion]]


class SealingUnderWayError(UnavailableError):
    """The version is being sealed, which takes as long as its size asks for (503)."""

    code = _UNDER_WAY


class SealingWork:
    """Runs `Sealings.make` on a thread of its own, each version once, two at a time. Thread-safe."""

    def __init__(self, make: Make, *, wait_s: float = _WAIT_S) -> None:
        self._make = make
        self.wait_s = wait_s
        """how long somebody waits before it is told to come back"""
        self._lock = threading.Lock()
        self._under_way: dict[Bytes32, tuple[Future[SealedVersion], float]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def sealed(self, registration: Bytes32) -> SealedVersion:
        """The sealing of a version, once it is made.

        Raises:
            SealingUnderWayError: it is not yet: ask again; the work goes on.
            Others as `Sealings.make`.
        """
        future, began = self._begin(registration)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), self.wait_s)
        except TimeoutError as error:
            raise SealingUnderWayError(
                f"the version is being sealed for delivery, for {time.monotonic() - began:,.0f} s so far: ask again",
                retry_after_s=_RETRY_AFTER_S,
            ) from error
        except asyncio.CancelledError:
            if future.cancelled():
                raise _stopping() from None
            raise

    def close(self) -> None:
        """Stop what is under way, as if it had not begun; a second call does nothing."""
        with self._lock:
            self._is_closed = True
            futures = [future for future, _ in self._under_way.values()]
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result()
        wait(futures)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _begin(self, registration: Bytes32) -> tuple[Future[SealedVersion], float]:
        with self._lock:
            if self._is_closed:
                raise _stopping()
            if registration not in self._under_way:
                if self._loop is None:
                    self._loop = asyncio.new_event_loop()
                    self._thread = threading.Thread(target=_run, args=(self._loop,), name="sealer", daemon=True)
                    self._thread.start()
                    self._turns = asyncio.Semaphore(_AT_ONCE)
                future = asyncio.run_coroutine_threadsafe(self._work(registration), self._loop)
                self._under_way[registration] = future, time.monotonic()
            return self._under_way[registration]

    async def _work(self, registration: Bytes32) -> SealedVersion:
        try:
            async with self._turns:
                return await self._make_patiently(registration)
        finally:
            with self._lock:
                self._under_way.pop(registration, None)

    async def _make_patiently(self, registration: Bytes32) -> SealedVersion:
        while True:
            try:
                return await self._make(registration)
            except ConflictError as error:
                if error.code != _UNDER_WAY:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)  # it is just being replaced


def _stopping() -> UnavailableError:
    return UnavailableError("the service is stopping: ask again", retry_after_s=_RETRY_AFTER_S)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


async def _cancel_others() -> None:
    """Cancel every other task of this loop, and wait until each has cleaned up behind itself."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
