"""What every test shares."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from tests.support.databases import SERVER

# A shared, busy machine is slow now and then: neither an example's time nor a generator's says anything about the code.
settings.register_profile("concord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("concord")

_closing = ExitStack()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--database postgresql` starts a server for the run and keeps every store in it."""
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite")


def pytest_configure(config: pytest.Config) -> None:
    """Start the server once: workers of xdist inherit where it is."""
    if config.getoption("--database") == "postgresql" and SERVER not in os.environ:
        from tests.support.postgres import running_postgres

        server = _closing.enter_context(running_postgres())
        os.environ[SERVER] = str(server.folder)


def pytest_unconfigure() -> None:
    """Stop the server, where this process started it."""
    _closing.close()
