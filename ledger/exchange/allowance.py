"""How often one asker may have the gateway spend something: so many times in a minute, each asker apart."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from ledger.errors import UnavailableError

__all__ = ["Allowance"]

_WINDOW_S: Final = 60.0
_MOST_ASKERS: Final = 10_000


class Allowance:
    """``most`` in any minute for each asker; in memory, for it protects this process alone. Thread-safe."""

    def __init__(self, what: str, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._most = most
        self._clock = clock
        self._turn = threading.Lock()
        self._spent: dict[Hashable, deque[float]] = {}

    def spend(self, asker: Hashable) -> None:
        """Count one. Raises: UnavailableError: the asker had as many as it may; says when to come back."""
        now = self._clock()
        with self._turn:
            if len(self._spent) > _MOST_ASKERS:
                self._forget(now)
            times = self._spent.setdefault(asker, deque())
            while times and times[0] <= now - _WINDOW_S:
                times.popleft()
            if len(times) >= self._most:
                raise UnavailableError(
                    f"you asked for {self._most} {self._what} within a minute: come back in a while",
                    retry_after_s=times[0] + _WINDOW_S - now,
                )
            times.append(now)

    @contextmanager
    def spending(self, asker: Hashable) -> Iterator[None]:
        """Count one, unless what it is spent on is not available. Raises: UnavailableError: as `spend`."""
        self.spend(asker)
        try:
            yield
        except UnavailableError:
            self._give_back(asker)
            raise

    def _give_back(self, asker: Hashable) -> None:
        with self._turn:
            times = self._spent.get(asker)
            if times:
                times.pop()

    def _forget(self, now: float) -> None:
        self._spent = {asker: times for asker, times in self._spent.items() if times and times[-1] > now - _WINDOW_S}
