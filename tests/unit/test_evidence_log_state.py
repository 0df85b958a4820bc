"""When a contract had an entry, to the second: what an event shows, and what it leaves open."""

from __future__ import annotations

import pytest

from ledger.evidence.log_state import LogState, Span
from ledger.types import Bytes32

ZERO = Bytes32(bytes(32))
ATTESTED = (Span(5, 100, 200),)
PUBLISHED = (Span(5, 100, 200), Span(9, 200, 200))


@pytest.mark.parametrize(
    ("spans", "index", "moment", "expected"),
    [
        # Five entries from second 100 on, and still so just before the end of second 200.
        (ATTESTED, 4, 100, True),
        (ATTESTED, 4, 99, None),  # they may have been there before
        (ATTESTED, 5, 199, False),
        (ATTESTED, 5, 99, False),  # a log never gets smaller
        (ATTESTED, 5, 200, None),  # a later block of that very second may have brought it
        (ATTESTED, 5, 201, None),
        # Nine from second 200 on, five before.
        (PUBLISHED, 8, 200, True),
        (PUBLISHED, 8, 199, False),
        (PUBLISHED, 9, 199, False),
        (PUBLISHED, 9, 200, None),
        (PUBLISHED, 4, 150, True),
    ],
)
def test_had_by(spans: tuple[Span, ...], index: int, moment: int, expected: bool | None) -> None:
    assert LogState("LogAttested", ZERO, spans[-1].size, ZERO, spans).had_by(index, moment) is expected
