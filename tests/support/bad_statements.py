"""A served consortium that statements are refused by, and the statements that are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from ledger.client import Identity
from tests.support.asking import Asking, asking, soon

__all__ = ["DATA", "identity_of", "service", "submit", "terms"]

DATA: Final = b"plant,mwh\nA,1\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """With two members that hold their own keys, and a version of the utility's."""
    with asking(tmp_path_factory.mktemp("bad-statements"), "utility", "factory") as service:
        service.world.register(service.world.members["utility"], "power", {"a.csv": DATA})
        yield service


def terms(**members: object) -> dict[str, Any]:
    """What a grant of that version says."""
    return {
        "dataset": "utility/power",
        "purpose": "ResearchAndDevelopment",
        "rights": ["read"],
        "valid_until": soon(days=1),
        **members,
    }


def identity_of(service: Asking, who: str = "utility") -> Identity:
    """Who signs for a member."""
    return service.world.members[who].identity


def submit(service: Asking, body: dict[str, Any], who: str = "utility") -> httpx.Response:
    """Hand a signed statement in."""
    return service.post(who, "/v1/statements", body)
