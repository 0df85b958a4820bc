"""Leases and the fence: one process writes, and one that lost its lease writes nothing, however late it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.errors import UnavailableError
from ledger.store import Store
from ledger.store import leases as module
from ledger.store.fencing import NotTheWriterError
from ledger.store.rows import ApiKeyRow, SignedTransaction
from tests.support.shared import DatabaseUrl, shared_databases
from tests.support.store_world import CONSORTIUM, account, word
from tests.support.waiting import eventually

__all__ = ["shared_databases"]

DUTY = "writer"
LONG_S = 60.0
SHORT_S = 0.2


@pytest.fixture
def two(shared_databases: DatabaseUrl, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Two processes' stores on one database."""
    url = shared_databases(tmp_path)
    with Store.open(url, CONSORTIUM) as first, Store.open(url, CONSORTIUM) as second:
        yield first, second


def is_hung(store: Store) -> bool:
    row = store.leases.find(DUTY)
    return row is not None and row.is_hung


@contextmanager
def in_thread(act: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=act)
    thread.start()
    yield thread
    thread.join(60)
    assert not thread.is_alive()


def test_one_at_a_time_has_a_duty_and_only_it_writes(two: tuple[Store, Store]) -> None:
    first, second = two
    assert first.leases.find(DUTY) is None
    for store in two:
        store.leases.stand_by(DUTY)
        assert not store.leases.may_write
        with pytest.raises(NotTheWriterError):
            store.names.claim_handle(word("a"), "a")
    assert first.leases.take(DUTY, "first", LONG_S) == 1
    assert second.leases.take(DUTY, "second", LONG_S) is None
    row = second.leases.find(DUTY)
    assert row is not None
    assert (row.holder, row.token, row.is_held, row.is_hung) == ("first", 1, True, False)
    assert row.taken_at < row.expires_at
    first.names.claim_handle(word("a"), "a")
    with first.transaction():  # asks once
        first.names.claim_handle(word("b"), "b")
        first.names.claim_handle(word("c"), "c")
    assert second.names.handle_of(word("c")) == "c"
    assert first.leases.renew(DUTY, 1, LONG_S)


def test_a_duty_that_is_given_up_is_taken_and_the_former_holder_writes_no_more(two: tuple[Store, Store]) -> None:
    first, second = two
    assert first.leases.take(DUTY, "first", LONG_S) == 1
    first.leases.release(DUTY, 1)
    assert second.leases.take(DUTY, "second", LONG_S) == 2
    assert not first.leases.renew(DUTY, 1, LONG_S)
    first.leases.release(DUTY, 1)  # what is another's by now stays
    row = first.leases.find(DUTY)
    assert row is not None
    assert (row.holder, row.is_held) == ("second", True)
    with pytest.raises(NotTheWriterError) as caught:
        first.names.claim_handle(word("a"), "a")
    assert (caught.value.code, caught.value.retry_after_s, caught.value.facts) == (
        "not-the-writer",
        1.0,
        {"writer": None},
    )


def test_the_lease_of_a_dead_holder_is_free_at_once(two: tuple[Store, Store]) -> None:
    first, second = two
    assert first.leases.take(DUTY, "first", LONG_S) == 1
    first.leases.close()  # as its process' end does: the session is gone

    def is_disconnected() -> bool:
        row = second.leases.find(DUTY)
        return row is not None and not row.is_connected

    eventually(is_disconnected)
    assert second.leases.take(DUTY, "second", LONG_S) == 2
    with pytest.raises(UnavailableError):
        first.leases.renew(DUTY, 1, LONG_S)


def test_a_holder_that_was_paused_finds_its_lease_taken_and_writes_nothing(two: tuple[Store, Store]) -> None:
    first, second = two
    assert first.leases.take(DUTY, "first", SHORT_S) == 1
    first.names.claim_handle(word("a"), "a")
    eventually(lambda: is_hung(second))
    first.names.claim_handle(word("b"), "b")  # nobody has taken it yet
    assert second.leases.take(DUTY, "second", LONG_S) == 2
    known = [first.leases.may_write]  # as far as it knows
    with pytest.raises(NotTheWriterError):
        first.names.claim_handle(word("c"), "c")
    assert [*known, first.leases.may_write] == [True, False]
    assert second.names.handle_of(word("c")) is None
    second.names.claim_handle(word("c"), "c")


def test_an_expired_lease_that_nobody_took_is_renewed(two: tuple[Store, Store]) -> None:
    first, second = two
    assert first.leases.take(DUTY, "first", SHORT_S) == 1
    eventually(lambda: is_hung(second))
    assert first.leases.renew(DUTY, 1, LONG_S)
    assert second.leases.take(DUTY, "second", LONG_S) is None


def test_who_takes_over_waits_for_the_transaction_that_is_under_way_and_renewals_do_not(
    two: tuple[Store, Store],
) -> None:
    first, second = two
    assert first.leases.take(DUTY, "first", SHORT_S) == 1
    taken: list[int | None] = []
    with first.transaction():
        first.names.claim_handle(word("a"), "a")
        with in_thread(lambda: first.leases.renew(DUTY, 1, SHORT_S)) as renewing:
            renewing.join(60)
            assert not renewing.is_alive()
        eventually(lambda: is_hung(second))
        successor = threading.Thread(target=lambda: taken.append(second.leases.take(DUTY, "second", LONG_S)))
        successor.start()
        eventually(lambda: _waits_for_a_lock(first))
        assert taken == []
    successor.join(60)
    assert taken == [2]
    assert second.names.handle_of(word("a")) == "a"  # it came before
    with pytest.raises(NotTheWriterError):
        first.names.claim_handle(word("b"), "b")


def _waits_for_a_lock(store: Store) -> bool:
    with store._database.read() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return connection.exec_driver_sql(query).scalar() == 1


@pytest.mark.parametrize("how_many", [1, 3])
def test_who_is_paused_within_a_transaction_keeps_nobody_waiting_for_ever(
    two: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, how_many: int
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.3)
    first, second = two
    assert first.leases.take(DUTY, "first", SHORT_S) == 1

    def write_with_a_pause() -> None:
        with first.transaction():
            calls = [(f"call:{place}", _sign) for place in range(how_many)]  # several go through a pipeline
            first.outbox.enqueue(account("relay"), 0, calls, datetime.now(UTC))
            eventually(lambda: _is_taken(second))
            first.names.claim_handle(word("b"), "b")

    with pytest.raises(UnavailableError):
        write_with_a_pause()
    assert second.outbox.depth() == 0
    assert second.names.handle_of(word("b")) is None


def _sign(nonce: int) -> SignedTransaction:
    return SignedTransaction(b"raw", word(str(nonce)))


def _is_taken(store: Store) -> bool:
    try:
        return store.leases.take(DUTY, "second", LONG_S) == 2
    except UnavailableError:
        return False


def test_any_process_remembers_when_an_api_key_was_used(two: tuple[Store, Store]) -> None:
    first, second = two
    second.leases.stand_by(DUTY)
    now = datetime.now(UTC)
    first.api_keys.add(ApiKeyRow("k", b"hash", None, frozenset(), "", now, None, None, None, None))
    second.api_keys.mark_used("k", now)
    row = first.api_keys.find("k")
    assert row is not None
    assert row.last_used_at == now


def test_a_folder_of_its_own_has_no_lease(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'store.sqlite3'}", CONSORTIUM) as store:
        assert not store.leases.is_shared
        assert store.leases.may_write
        store.names.claim_handle(word("a"), "a")
