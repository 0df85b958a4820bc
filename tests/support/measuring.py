"""What coverage leaves out: it doubles what a process costs and more, and much of what runs is measured elsewhere.

Child processes are measured where their test asks for it. Most run what tests of this process measure already, and
those that a test kills lose what was measured of them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, Final, cast

import pytest

__all__ = [
    "MEASURED",
    "in_steps",
    "keep_children_unmeasured",
    "leave_libraries_out",
    "put_aside",
    "taken_up",
    "unmeasured",
]

MEASURED: Final[dict[str, str]] = {}
"""What tells a child, by its environment, to measure itself; nothing where this run does not measure."""

_aside: Final[list[tuple[Any, Any]]] = []
_TOLD_BY: Final = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


def keep_children_unmeasured() -> None:
    """Take out of the environment what children would inherit; a test hands it on by ``MEASURED``."""
    for name in _TOLD_BY:
        if name in os.environ:
            MEASURED[name] = os.environ.pop(name)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Run the block, and the threads that it starts, without tracing: what it runs is measured by other tests."""
    with _traced_by(None, None):
        yield


@contextmanager
def put_aside() -> Iterator[None]:
    """Run the block without tracing, but for the blocks within that ask for it by `taken_up`."""
    _aside.append((sys.gettrace(), threading.gettrace()))
    try:
        with unmeasured():
            yield
    finally:
        _aside.pop()


@contextmanager
def taken_up() -> Iterator[None]:
    """Within `put_aside`, trace as before it; elsewhere nothing changes."""
    with _traced_by(*_aside[-1]) if _aside else nullcontext():
        yield


@contextmanager
def _traced_by(function: Any, of_threads: Any) -> Iterator[None]:
    before = sys.gettrace(), cast("Any", threading.gettrace())
    sys.settrace(function)
    threading.settrace(of_threads)
    try:
        yield
    finally:
        threading.settrace(before[1])
        sys.settrace(before[0])


_LIBRARIES: Final = (
    "eth.chains.base:Chain.get_canonical_block_by_number",
    "eth.chains.base:Chain.get_vm",
    "eth.chains.base:Chain.persist_block",
    "eth.vm.base:VM.apply_transaction",
    "eth.vm.base:VM.finalize_block",
    "eth.vm.forks.frontier.blocks:FrontierBlock.get_receipts",
    "eth.vm.forks.frontier.state:FrontierState.apply_transaction",
    "eth_keyfile.keyfile:create_keyfile_json",
    "eth_keyfile.keyfile:decode_keyfile_json",
    "hypothesis.internal.conjecture.data:ConjectureData.draw",
    "sqlalchemy.engine.base:Connection.commit",
    "sqlalchemy.engine.base:Connection.exec_driver_sql",
    "sqlalchemy.engine.base:Connection.execute",
    "sqlalchemy.engine.base:Connection.scalar",
    "sqlalchemy.engine.base:Connection.scalars",
    "sqlalchemy.engine.result:Result.all",
    "sqlalchemy.engine.result:Result.one",
    "sqlalchemy.engine.result:Result.one_or_none",
    "sqlalchemy.engine.util:TransactionalContext.__exit__",
    "sqlalchemy.sql.elements:ColumnElement.operate",
)
"""Where much is done by a library before it comes back, and next to nothing of ours in between."""


def leave_libraries_out() -> None:
    """Run what libraries do between our call and their answer without tracing, as far as they are imported by now."""
    for each in _LIBRARIES:
        module, _, name = each.partition(":")
        if module in sys.modules:
            owner_name, _, function_name = name.rpartition(".")
            owner = getattr(sys.modules[module], owner_name) if owner_name else sys.modules[module]
            setattr(owner, function_name, _untraced(getattr(owner, function_name)))


def _untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        own = sys.gettrace()
        if own is None:
            return function(*args, **kwargs)
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(own)

    return run


in_steps: Final = pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
"""For what is done at every position of many: at every seventh, and at all of them only where slow tests run."""
