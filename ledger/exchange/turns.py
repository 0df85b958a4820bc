"""Turns: one at a time for each key, for what is checked against the log's state and then changes it."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

__all__ = ["Turns"]


class Turns:
    """Locks by key, forgotten when nobody holds or awaits them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Hashable, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, key: Hashable | None) -> Iterator[None]:
        """Wait until nobody else holds ``key``, and hold it; None is held by everybody."""
        if key is None:
            yield
            return
        lock = self._join(key)
        try:
            with lock:
                yield
        finally:
            self._leave(key)

    def hold_if_free(self, key: Hashable) -> bool:
        """Hold ``key`` until `let_go`, unless somebody else holds it: then say False and wait for nobody."""
        if self._join(key).acquire(blocking=False):
            return True
        self._leave(key)
        return False

    def let_go(self, key: Hashable) -> None:
        """End what `hold_if_free` began."""
        self._leave(key).release()

    def _join(self, key: Hashable) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = (lock, users + 1)
            return lock

    def _leave(self, key: Hashable) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
            return lock
