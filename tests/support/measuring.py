"""What coverage leaves out: it doubles what a process costs and more, and much of what runs is measured elsewhere.

Child processes are measured where their test asks for it. Most run what tests of this process measure already, and
those that a test kills lose what was measured of them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import pytest

__all__ = ["MEASURED", "in_steps", "keep_children_unmeasured", "unmeasured"]

MEASURED: Final[dict[str, str]] = {}
"""What tells a child, by its environment, to measure itself; nothing where this run does not measure."""

_TOLD_BY: Final = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


def keep_children_unmeasured() -> None:
    """Take out of the environment what children would inherit; a test hands it on by ``MEASURED``."""
    for name in _TOLD_BY:
        if name in os.environ:
            MEASURED[name] = os.environ.pop(name)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Run the block, and the threads that it starts, without tracing: what it runs is measured by other tests."""
    own, of_threads = sys.gettrace(), cast("Any", threading.gettrace())
    sys.settrace(None)
    threading.settrace(cast("Any", None))
    try:
        yield
    finally:
        threading.settrace(of_threads)
        sys.settrace(own)


in_steps: Final = pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
"""For what is done at every position of many: at every seventh, and at all of them only where slow tests run."""
