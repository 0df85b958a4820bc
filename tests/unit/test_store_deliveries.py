"""Deliveries in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.store import Store
from ledger.store.rows import DeliveryRow
from ledger.types import Bytes32
from tests.support.databases import database_url

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def word(number: int) -> Bytes32:
    return Bytes32(bytes([number]) * 32)


def row(number: int) -> DeliveryRow:
    return DeliveryRow(
        id=word(number),
        consumer=word(2),
        provider=word(3),
        dataset=word(4),
        version=1,
        registration=word(100 + number),
        grant=None,
        endpoint="https://data.example",
        state="queued",
        next_try_at=NOW,
        progress_at=NOW,
        created_at=NOW + timedelta(seconds=number),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(database_url(tmp_path, "deliveries")) as opened:
        yield opened


def test_a_version_is_delivered_once_to_a_consumer(store: Store) -> None:
    kept = store.deliveries
    assert kept.find(word(1)) is None
    assert kept.add_or_get(row(1)) == row(1)
    assert kept.add_or_get(replace(row(2), registration=word(101))) == row(1)
    assert kept.add_or_get(replace(row(3), registration=word(101), consumer=word(9))).id == word(3)
    kept.add_or_get(row(4))
    assert [each.id for each in kept.list(word(2))] == [word(4), word(1)]
    kept.drop(word(1))
    assert kept.find(word(1)) is None


def test_the_next_is_the_one_that_waits_longest(store: Store) -> None:
    kept = store.deliveries
    assert kept.find_next(()) is None
    kept.add_or_get(replace(row(1), state="waiting", next_try_at=NOW + timedelta(seconds=5)))
    kept.add_or_get(row(2))
    kept.add_or_get(replace(row(3), state="failed"))
    assert [each.id for each in (kept.find_next(()), kept.find_next([word(2)])) if each] == [word(2), word(1)]
    assert kept.find_next([word(1), word(2)]) is None
    assert [each.id for each in kept.list_in("failed", "delivered")] == [word(3)]


def test_what_is_cancelled_is_changed_no_more(store: Store) -> None:
    kept = store.deliveries
    kept.add_or_get(row(1))
    assert kept.change(word(1), state="cancelled")
    assert not kept.change(word(1), unless="cancelled", state="running")
    assert not kept.change(word(7), state="running")
    found = kept.find(word(1))
    assert found is not None
    assert found.state == "cancelled"


def test_all_of_them_reserve_no_more_than_they_may(store: Store) -> None:
    kept = store.deliveries
    for number in (1, 2):
        kept.add_or_get(row(number))
    assert kept.reserve(word(1), 6, most_bytes=10) is None
    assert kept.reserve(word(2), 5, most_bytes=10) == 4
    assert kept.reserve(word(2), 4, most_bytes=10) is None
    assert kept.reserve(word(1), 6, most_bytes=10) is None, "its own does not count twice"
    assert kept.reserve(word(1), 1, most_bytes=3) == 0
