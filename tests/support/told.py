"""Evidence of every newer kind, read as the vectors have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.evidence import (
    Report,
    Verifier,
)
from ledger.log import TileReader
from ledger.log.tiles import ENTRIES, TILE_HEIGHT, Tile
from ledger.merkle import leaf_hash
from tests.support.format_vectors import Spoiler

__all__ = ["Told", "failing", "tiles", "told"]


class Told:
    """The story and a verifier of it."""

    def __init__(self) -> None:
        self.story = Spoiler()
        self.world = self.story.world
        self.policy = self.world.policy()
        self.verifier = Verifier(self.policy)

    def verify(self, raw: bytes) -> Report:
        return self.verifier.verify(raw)


@pytest.fixture(scope="module")
def told() -> Told:
    """Made once for a module."""
    return Told()


def failing(report: Report) -> list[int]:
    """The numbers of the steps that failed."""
    return [step.number for step in report.steps if step.outcome == "FAIL"]


def tiles(entries: list[bytes], folder: Path) -> TileReader:
    """The entries as a log's folder holds them."""
    assert len(entries) < 1 << TILE_HEIGHT
    hashes = b"".join(leaf_hash(entry) for entry in entries)
    bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
    for tile, raw in ((Tile(0, 0, len(entries)), hashes), (Tile(ENTRIES, 0, len(entries)), bundle)):
        path = folder / tile.path
        path.parent.mkdir(parents=True)
        path.write_bytes(raw)
    return TileReader(folder, lambda: len(entries))
