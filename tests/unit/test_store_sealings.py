"""Sealings in the database: one current of a version, keys that go with whatever ends them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from ledger.errors import ConflictError, NotFoundError
from ledger.store import Store
from ledger.store.rows import SealingRow, SealingState
from ledger.store.sealings import Sealings
from ledger.types import Bytes32
from tests.support.databases import database_url

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NUMBERS = count(1)


def draw() -> Bytes32:
    """An id that no other row has."""
    return Bytes32(next(NUMBERS).to_bytes(32))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealings]:
    with Store.open(database_url(tmp_path_factory.mktemp("store"))) as store:
        yield store.sealings


def add(rows: Sealings, registration: Bytes32) -> Bytes32:
    sealing = draw()
    made = SealingRow(sealing, registration, draw(), 1, SealingState.MAKING, None, b"wrapped", "kek", None, NOW)
    rows.add(made)
    assert rows.find(sealing) == made
    return sealing


def seal(rows: Sealings, registration: Bytes32) -> Bytes32:
    sealing = add(rows, registration)
    rows.complete(sealing, b"descriptor")
    return sealing


def state(rows: Sealings, registration: Bytes32) -> Bytes32:
    sealing = seal(rows, registration)
    rows.announce(sealing, Bytes32(sealing[::-1]))
    rows.make_current(sealing, LATER)
    return sealing


def state_of(rows: Sealings, sealing: Bytes32) -> tuple[SealingState, bool]:
    """Its state and whether its key is there."""
    row = rows.find(sealing)
    assert row is not None
    assert (row.wrapped_key is None) == (row.kek is None) == (row.ended_at is not None)
    return row.state, row.wrapped_key is not None


def test_a_sealing_becomes_current_and_is_replaced(rows: Sealings) -> None:
    version = draw()
    first = state(rows, version)
    assert rows.find_current(version) == rows.find_stated(Bytes32(first[::-1])) == rows.find(first)
    second = seal(rows, version)
    assert rows.is_current(first)
    assert [row.id for row in rows.list_unfinished(version)] == [second]
    assert second in {row.id for row in rows.list_unfinished()}
    rows.announce(second, draw())
    rows.make_current(second, LATER)
    assert (rows.is_current(first), rows.is_current(second)) == (False, True)
    assert (state_of(rows, first), state_of(rows, second)) == (
        (SealingState.REPLACED, False),
        (SealingState.CURRENT, True),
    )
    assert first in {row.id for row in rows.list_unremoved()}
    rows.mark_removed(first, LATER)
    assert first not in {row.id for row in rows.list_unremoved()}
    assert rows.list_unfinished(version) == ()


def test_steps_come_in_their_order(rows: Sealings) -> None:
    sealing = add(rows, draw())
    with pytest.raises(NotFoundError):
        rows.announce(sealing, draw())
    with pytest.raises(NotFoundError):
        rows.make_current(sealing, NOW)
    rows.give_up(sealing, NOW)
    assert state_of(rows, sealing) == (SealingState.GIVEN_UP, False)
    with pytest.raises(NotFoundError):
        rows.complete(sealing, b"descriptor")
    current = state(rows, draw())
    rows.give_up(current, NOW)
    assert rows.is_current(current)
    assert rows.find(draw()) is None
    assert rows.find_current(draw()) is None
    assert not rows.is_current(draw())


def test_erasure_is_for_good(rows: Sealings) -> None:
    version, other = draw(), state(rows, draw())
    all_of_it = [state(rows, version), state(rows, version), seal(rows, version), add(rows, version)]
    for _ in range(2):
        rows.erase(version, LATER)
    assert {state_of(rows, each) for each in all_of_it} == {(SealingState.ERASED, False)}
    assert rows.find_current(version) is None
    assert rows.is_erased(version)
    assert rows.is_current(other)
    with pytest.raises(NotFoundError):
        rows.complete(all_of_it[-1], b"descriptor")
    with pytest.raises(ConflictError) as caught:
        add(rows, version)
    assert caught.value.code == "version-erased"


def test_keys_are_wrapped_anew_one_by_one(rows: Sealings) -> None:
    current, ended = state(rows, draw()), state(rows, draw())
    found = rows.list_wrapped_otherwise("another", 1000)
    assert (current, "kek") in found
    assert len(rows.list_wrapped_otherwise("another", 1)) == 1
    row = rows.find(ended)
    assert row is not None
    rows.erase(row.registration, LATER)
    rows.rewrap(ended, "kek", "another", b"anew")
    assert state_of(rows, ended) == (SealingState.ERASED, False)
    rows.rewrap(current, "no such key", "another", b"anew")
    assert (current, "kek") in rows.list_wrapped_otherwise("another", 1000)
    rows.rewrap(current, "kek", "another", b"anew")
    assert current not in dict(rows.list_wrapped_otherwise("another", 1000))
    row = rows.find(current)
    assert row is not None
    assert (row.kek, row.wrapped_key) == ("another", b"anew")
