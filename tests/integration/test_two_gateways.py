"""Two gateways on one chain, each with its own log: what one states the other reads, data go from one to the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.content import make_bytes
from tests.support.two_gateways import TwoGateways, gateways

__all__ = ["gateways"]

pytestmark = pytest.mark.timeout(900)  # two services start, and a loaded machine is slow

FILES = {"a.csv": b"hour,mwh\n0,12.5\n", "deep/empty": b"", "large.bin": make_bytes("large", (2 << 20) + 5)}


def found_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_first(gateways: TwoGateways, tmp_path: Path) -> None:
    made = gateways.register("power", FILES)
    grant = gateways.grant("power")
    version = gateways.version(made)
    pulled = gateways.pull(version, tmp_path)
    assert found_in(tmp_path) == FILES
    assert pulled.transfer is not None
    assert pulled.transfer.grant == grant
