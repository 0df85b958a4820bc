"""What every test shares."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from tests.support.databases import SERVER
from tests.support.measuring import keep_children_unmeasured, unmeasured
from tests.support.run_folder import sharing_run_folder

# A shared, busy machine is slow now and then: neither an example's time nor a generator's says anything about the code.
settings.register_profile("concord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("concord")

_HERE: Final = Path(__file__).parent
_ORDER: Final = ("conformance", "contracts", "property", "stateful", "fault", "integration", "objects", "unit")
"""Of two workers none waits long for the other at the end: the files of ``unit`` are many and short."""
_UNMEASURED: Final = (_HERE / "fault", _HERE / "unit" / "test_bench.py")
"""Many runs of the same code: each line counts in tests of another folder."""

_closing = ExitStack()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--database postgresql` starts a server for the run and keeps every store in it."""
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's folder and start the server, each once: workers of xdist inherit where they are."""
    _closing.enter_context(sharing_run_folder())
    if config.getoption("--database") == "postgresql" and SERVER not in os.environ:
        from tests.support.postgres import running_postgres

        server = _closing.enter_context(running_postgres())
        os.environ[SERVER] = str(server.folder)


def pytest_collection() -> None:
    """Once coverage has begun here, and in the workers of xdist that are to be measured."""
    keep_children_unmeasured()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the workers of xdist begin with the folders whose files are long."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place_of(item.path))


def _place_of(path: Path) -> int:
    folder = path.relative_to(_HERE).parts[0]
    return _ORDER.index(folder) if folder in _ORDER else len(_ORDER)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run some folders without tracing, fixtures included."""
    if not any(item.path.is_relative_to(each) for each in _UNMEASURED):
        return (yield)
    with unmeasured():
        return (yield)


def pytest_unconfigure() -> None:
    """Stop the server and remove the folder, where this process made them."""
    _closing.close()
