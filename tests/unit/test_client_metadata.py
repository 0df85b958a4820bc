"""Whether a version already says what is to be said."""

from __future__ import annotations

import pytest

from ledger.canonical import JsonValue
from ledger.client.datasets import _describes

STATED: JsonValue = {"title": "Power", "keywords": ["a"], "provider": "utility", "slug": "power"}


@pytest.mark.parametrize(
    ("stated", "metadata", "same"),
    [
        (STATED, {"title": "Power", "keywords": ["a"]}, True),
        (STATED, {"title": "Power", "keywords": []}, False),
        (STATED, {"title": "Power", "keywords": ["a"], "schema": {}}, False),
        (None, {"title": "Power"}, False),
        (None, {}, True),
    ],
)
def test_metadata_are_compared_without_what_the_gateway_adds(
    stated: JsonValue, metadata: dict[str, JsonValue], same: bool
) -> None:
    assert _describes(stated, metadata) is same
