"""How often an asker may have something done, each asker apart."""

from __future__ import annotations

import pytest

from ledger.errors import UnavailableError
from ledger.exchange import allowance
from ledger.exchange.allowance import Allowance


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_a_minute_and_then_it_says_when_to_come_back() -> None:
    clock = Clock()
    limit = Allowance("attestations", 2, clock)
    limit.spend("a")
    clock.now += 10
    limit.spend("a")
    with pytest.raises(UnavailableError, match="2 attestations within a minute") as refused:
        limit.spend("a")
    assert refused.value.retry_after_s == 50.0
    limit.spend("b")
    clock.now += 50
    limit.spend("a")
    with pytest.raises(UnavailableError):
        limit.spend("a")


def test_who_asked_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "_MOST_ASKERS", 3)
    clock = Clock()
    limit = Allowance("attestations", 2, clock)
    for asker in range(4):
        limit.spend(asker)
    clock.now += 61
    limit.spend("new")
    assert list(limit._spent) == ["new"]


def test_what_is_not_available_is_not_counted() -> None:
    limit = Allowance("attestations", 1, Clock())
    for _ in range(3):
        with pytest.raises(UnavailableError, match="busy"), limit.spending("a"):
            raise UnavailableError("busy")
    with pytest.raises(ValueError, match="other"), limit.spending("a"):
        raise ValueError("other")
    with pytest.raises(UnavailableError, match="within a minute"), limit.spending("a"):
        pass
    assert len(limit._spent["a"]) == 1
    limit._give_back("forgotten")
