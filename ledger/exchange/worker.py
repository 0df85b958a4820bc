"""A background worker: steps until it is told to stop, says what keeps it, retries what may pass."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from ledger.errors import FatalError, LedgerError, UnavailableError

__all__ = ["AwaitingStep", "Worker"]

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_logger = logging.getLogger(__name__)


class Worker:
    """Calls ``step`` again and again in its own thread.

    ``step`` says whether it found something to do, or in how many seconds (a float) it will.
    """

    def __init__(
        self, name: str, step: Callable[[], bool | float], *, poll_s: float, longest_step_s: float = math.inf
    ) -> None:
        """``longest_step_s``: a step that lasts longer keeps it from its work, and it says so."""
        self.name = name
        self._step = step
        self._poll_s = poll_s
        self._longest_step_s = longest_step_s
        self._begun_s = math.inf
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"concord-{name}", daemon=True)

    @property
    def failure(self) -> str | None:
        """What keeps it from its work; None when all is well."""
        if self._failure is None and not self._thread.is_alive() and not self._stopping.is_set():
            return "it does not run"
        lasting_s = time.monotonic() - self._begun_s
        if lasting_s > self._longest_step_s:
            return f"its step lasts for {lasting_s:.0f} s already: whom it asks does not come to an end"
        return self._failure

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Tell it that there is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Let it finish its step and wait for it."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                found = self._timed_step()
            except FatalError as error:
                self._fail(error, "stops for good")
                return
            except LedgerError as error:
                failures += 1
                self._fail(error, "tries again")
                self._wake.wait(_pause(error, failures))
                continue
            except Exception as error:  # noqa: BLE001  # an answer that nobody thought of? the next is another
                failures += 1
                self._break(error)
                self._wake.wait(_pause(error, failures))
                continue
            except BaseException as error:
                self._failure = f"it broke: {type(error).__name__}"
                _logger.exception("worker %s broke", self.name)
                return
            failures, self._failure = 0, None
            if found is not True:
                self._wake.wait(found if isinstance(found, float) else self._poll_s)

    def _timed_step(self) -> bool | float:
        self._begun_s = time.monotonic()
        try:
            return self._step()
        finally:
            self._begun_s = math.inf

    def _fail(self, error: LedgerError, consequence: str) -> None:
        if self._failure != str(error):
            _logger.warning("worker %s %s: %s", self.name, consequence, error)
        self._failure = str(error)

    def _break(self, error: Exception) -> None:
        """Note an error that is none of the ledger's, with its traceback when it is new."""
        failure = f"it broke ({type(error).__name__}), and tries again: the gateway's log tells where"
        if self._failure != failure:
            _logger.error("worker %s broke, and tries again", self.name, exc_info=error)
        self._failure = failure


def _pause(error: Exception, failures: int) -> float:
    asked = error.retry_after_s if isinstance(error, UnavailableError) else None
    return min(asked or _FIRST_PAUSE_S * 2 ** min(failures, 10), _LONGEST_PAUSE_S)


class AwaitingStep:
    """A worker's step that awaits, for instance a store of objects; another thread may cut it short."""

    def __init__(self, step: Callable[[], Coroutine[Any, Any, bool | float]]) -> None:
        self._step = step
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[bool | float]] | None = None
        self._is_over = False

    def __call__(self) -> bool | float:
        """Take one step, in an event loop of its own; one that was interrupted found nothing to do."""
        with suppress(asyncio.CancelledError):
            return asyncio.run(self._run())
        return False

    def interrupt(self) -> None:
        """Cut the step that runs short, for good: those that follow do nothing."""
        with self._lock:
            self._is_over = True
            if self._running is not None:
                loop, task = self._running
                loop.call_soon_threadsafe(task.cancel)

    async def _run(self) -> bool | float:
        task = asyncio.ensure_future(self._step())
        with self._lock:
            if self._is_over:
                task.cancel()
            self._running = asyncio.get_running_loop(), task
        try:
            return await task
        finally:
            with self._lock:
                self._running = None
