"""What every test shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from tests.support.databases import SERVER
from tests.support.measuring import keep_children_unmeasured, leave_libraries_out, put_aside, taken_up, unmeasured
from tests.support.run_folder import sharing_run_folder

# A shared, busy machine is slow now and then: neither an example's time nor a generator's says anything about the code.
settings.register_profile("concord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("concord")

_HERE: Final = Path(__file__).parent
_ORDER: Final = ("conformance", "contracts", "property", "stateful", "fault", "integration", "objects", "unit")
"""Of two workers none waits long for the other at the end: the files of ``unit`` are many and short."""
_UNMEASURED: Final = (
    _HERE / "fault",
    _HERE / "stateful",
    _HERE / "integration" / "test_documents_stay_private.py",
    _HERE / "integration" / "test_gateway_past.py",
    _HERE / "unit" / "test_bench.py",
)
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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """Once coverage has begun here: what is run by importing it is measured in one worker of xdist."""
    keep_children_unmeasured()
    with nullcontext() if _worker_of(session.config) in {None, "gw0"} else unmeasured():
        return (yield)


def _worker_of(config: pytest.Config) -> str | None:
    worker: str | None = config.workerinput["workerid"] if hasattr(config, "workerinput") else None
    return worker


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the workers of xdist begin with the folders whose files are long."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place_of(item.path))


def pytest_collection_finish() -> None:
    """By now all is imported that some test calls."""
    if sys.gettrace() is not None:
        leave_libraries_out()


def _place_of(path: Path) -> int:
    folder = path.relative_to(_HERE).parts[0]
    return _ORDER.index(folder) if folder in _ORDER else len(_ORDER)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Trace tests and fixtures and not what pytest does about them; of some folders, fixtures neither."""
    with unmeasured() if any(item.path.is_relative_to(each) for each in _UNMEASURED) else put_aside():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup() -> Generator[None, Any, Any]:
    """Traced."""
    with taken_up():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Traced."""
    with taken_up():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown() -> Generator[None, Any, Any]:
    """Traced, for fixtures end here."""
    with taken_up():
        return (yield)


def pytest_unconfigure() -> None:
    """Stop the server and remove the folder, where this process made them."""
    _closing.close()
