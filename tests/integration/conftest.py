"""The `concord` command and the members that run it, where a module's ``world`` serves a consortium."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.console import Console
from tests.support.world import Member, World


@pytest.fixture
def concord(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Console:
    return Console(world, tmp_path, monkeypatch, capsys)


@pytest.fixture
def utility(world: World) -> Member:
    return world.members["utility"]


@pytest.fixture
def factory(world: World) -> Member:
    return world.members["factory"]
