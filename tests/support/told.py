"""Evidence of every newer kind, read as the vectors have it."""

from __future__ import annotations

import pytest

from ledger.evidence import (
    Report,
    Verifier,
)
from tests.support.format_vectors import Spoiler

__all__ = ["Told", "failing", "told"]


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
