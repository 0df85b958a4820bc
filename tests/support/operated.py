"""A founded home with some statements in it, and the commands that an operator runs on it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.exchange import Founded
from scripts.concord import main as concord
from scripts.fsck import main as fsck
from tests.support.exchange import PASSPHRASE, found_in, open_gateway, registration, upload

__all__ = ["DATA", "Kept", "Ran", "goes_on", "home", "kept", "run"]

DATA = b"plant,mwh\nA,1\n"


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command where no service answers."""

    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["concord", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            concord()
        return Ran(int(done.value.code or 0), *capsys.readouterr())

    monkeypatch.setenv("CONCORD_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CONCORD_URL", "http://127.0.0.1:1")
    return call


@dataclass
class Kept:
    """A founded home with some statements, stopped; tests copy it."""

    folder: Path
    founded: Founded

    def copy(self, place: Path) -> Path:
        """A home like it."""
        return Path(shutil.copytree(self.folder, place))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Founded and used a little; the gateway is stopped."""
    home = tmp_path_factory.mktemp("operating") / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as running:
        running.state("utility", registration("power", {"plants.csv": DATA}))
        upload(running, "utility", "utility/power", 1, "plants.csv", DATA)
    return Kept(home, founded)


@pytest.fixture
def home(kept: Kept, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return kept.copy(tmp_path / "home")


def goes_on(home: Path, founded: Founded, slug: str = "later") -> None:
    """The gateway takes, anchors and finishes another statement, and all of it hashes."""
    with open_gateway(home, founded) as running:
        running.state("utility", registration(slug, {"a.csv": b"2"}))
    assert fsck(["--home", str(home)]) == 0
