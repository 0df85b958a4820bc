"""What the tests of the chain's edge share: worlds on a real node, each as it was founded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.edge_world import EdgeWorld, edge_world


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[EdgeWorld]]:
    """One consortium for the module."""
    with edge_world(tmp_path_factory.mktemp("edge")) as drawn:
        yield drawn


@pytest.fixture
def world(worlds: Iterator[EdgeWorld]) -> EdgeWorld:
    """It, as if nothing had happened yet."""
    return next(worlds)


@pytest.fixture
def resend_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no outcome is sent again after a moment."""
    monkeypatch.setattr("ledger.exchange.submitter._RESEND_AFTER", timedelta(seconds=0.3))
