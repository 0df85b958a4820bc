"""Waiting for what comes to be by itself, as long as it may take and no longer."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["eventually"]


def eventually(holds: Callable[[], bool], timeout_s: float = 90.0, otherwise: str = "it did not come to be") -> None:
    """Return as soon as ``holds``; fail with ``otherwise`` when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)
