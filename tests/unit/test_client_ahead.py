"""Pieces that are made ahead are the same pieces, in order, and what goes wrong is told in its place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.client.ahead import make_ahead
from ledger.errors import VerificationError


def _pieces(count: int, made: list[int], *, is_wrong: bool = False) -> Iterator[bytes]:
    for number in range(count):
        made.append(number)
        yield bytes([number])
    if is_wrong:
        raise VerificationError("the last one is wrong")


@pytest.mark.parametrize("count", [0, 1, 9])
def test_all_come_in_order(count: int) -> None:
    assert b"".join(make_ahead(_pieces(count, []))) == bytes(range(count))


def test_an_error_comes_after_what_was_made_before_it() -> None:
    taken: list[bytes] = []
    with pytest.raises(VerificationError, match="the last one"):
        taken.extend(make_ahead(_pieces(7, [], is_wrong=True)))
    found = make_ahead(_pieces(7, [], is_wrong=True))
    assert [next(found) for _ in range(7)] == [bytes([number]) for number in range(7)]


def test_no_more_than_a_few_are_held() -> None:
    made: list[int] = []
    found = make_ahead(_pieces(99, made))
    next(found)
    found.close()
    assert len(made) <= 5
