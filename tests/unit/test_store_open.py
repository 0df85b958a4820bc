"""Opening a store, its transactions, its cursors."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import StatementError

from ledger.errors import ConflictError, MalformedError
from ledger.store import Consortium, Store
from ledger.store.cursors import Cursors, _dump, _load
from ledger.store.migrating import load_scripts
from ledger.types import Address
from tests.support.databases import database_url, is_postgresql
from tests.support.store_world import CONSORTIUM, NOW, word


def url(folder: Path) -> str:
    return database_url(folder)


def test_a_fresh_database_is_made_and_opened_again(tmp_path: Path) -> None:
    with Store.open(url(tmp_path), CONSORTIUM) as store:
        store.names.claim_handle(word("a"), "a")
    with Store.open(url(tmp_path), CONSORTIUM) as store:
        assert store.names.handle_of(word("a")) == "a"
    with Store.open(url(tmp_path)) as store:
        assert store.names.find_participant("a") == word("a")


def test_a_database_opened_without_a_consortium_takes_the_first_one_named(tmp_path: Path) -> None:
    Store.open(url(tmp_path)).close()
    Store.open(url(tmp_path), CONSORTIUM).close()
    with pytest.raises(ConflictError) as caught:
        Store.open(url(tmp_path), Consortium(CONSORTIUM.chain_id + 1, CONSORTIUM.registry))
    assert caught.value.code == "database-of-another-consortium"


@pytest.mark.parametrize(
    "other", [Consortium(1, CONSORTIUM.registry), Consortium(CONSORTIUM.chain_id, Address(bytes(20)))]
)
def test_a_database_of_another_consortium_is_refused(tmp_path: Path, other: Consortium) -> None:
    Store.open(url(tmp_path), CONSORTIUM).close()
    with pytest.raises(ConflictError, match="name another database"):
        Store.open(url(tmp_path), other)


@pytest.mark.parametrize(
    "given", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "nonsense", "oracle+cx_oracle://x"]
)
def test_what_names_no_durable_database_is_malformed(given: str) -> None:
    with pytest.raises(MalformedError):
        Store.open(given)


@pytest.mark.skipif(is_postgresql(), reason="a server's administrator sets what a server loses")
def test_sqlite_is_set_to_lose_nothing(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store, store._database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:

        def fail() -> None:
            with store.transaction():
                store.names.claim_handle(word("a"), "a")
                assert store.names.handle_of(word("a")) == "a"
                raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError, match="in the middle"):
            fail()
        assert store.names.handle_of(word("a")) is None
        with store.transaction():
            store.names.claim_handle(word("a"), "a")
            with store.transaction():
                store.names.claim_handle(word("b"), "b")
        assert store.names.handle_of(word("b")) == "b"


def test_a_snapshot_reads_one_moment_and_does_not_write(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        with store.snapshot():
            assert store.names.handle_of(word("a")) is None
            writer = threading.Thread(target=store.names.claim_handle, args=(word("a"), "a"))
            writer.start()
            writer.join()
            assert store.names.handle_of(word("a")) is None
            with pytest.raises(RuntimeError, match="only reads"):
                store.names.claim_handle(word("b"), "b")
        assert store.names.handle_of(word("a")) == "a"


def test_many_threads_write_at_once(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store:
        errors: list[BaseException] = []

        def write(number: int) -> None:
            try:
                store.names.claim_handle(word(f"p{number}"), f"p{number}")
            except BaseException as error:  # noqa: BLE001  shown below
                errors.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert all(store.names.handle_of(word(f"p{number}")) for number in range(30))


def test_the_database_holds_the_schema_s_revision(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store, store._database.read() as connection:
        kept = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    assert kept == load_scripts().get_heads()


def test_only_aware_moments_are_stored(tmp_path: Path) -> None:
    with Store.open(url(tmp_path)) as store, pytest.raises(StatementError, match="time zone"):
        store.idempotency.drop_older(NOW.replace(tzinfo=None))


def test_a_list_is_ordered_by_what_a_cursor_can_carry() -> None:
    assert [_load(_dump(value)) for value in (b"\0a", NOW, "text", 7)] == [b"\0a", NOW, "text", 7]
    with pytest.raises(TypeError):
        _dump(1.5)


def test_cursors_read_back_what_they_wrote() -> None:
    cursors = Cursors(b"key")
    position: list[int | str] = ["b00ff", "m" + NOW.isoformat(), "sabc", 7]
    filters = {"state": "open", "since": NOW, "dataset": word("d"), "text": None}
    assert cursors.decode("list", filters, cursors.encode("list", filters, position)) == position


def test_a_changed_or_foreign_cursor_is_malformed() -> None:
    cursors = Cursors(b"key")
    cursor = cursors.encode("list", {"state": "open"}, [7, "s8"])
    for index, char in enumerate(cursor):
        changed = cursor[:index] + ("A" if char != "A" else "B") + cursor[index + 1 :]
        with pytest.raises(MalformedError):
            cursors.decode("list", {"state": "open"}, changed)
    for name, filters, given in (
        ("other", {"state": "open"}, cursor),
        ("list", {"state": "closed"}, cursor),
        ("list", {}, cursor),
        ("list", {"state": "open"}, cursor + "="),
        ("list", {"state": "open"}, ""),
        ("list", {"state": "open"}, "!"),
        ("list", {"state": "open"}, "ä"),
    ):
        with pytest.raises(MalformedError):
            cursors.decode(name, filters, given)
    with pytest.raises(MalformedError):
        Cursors(b"another key").decode("list", {"state": "open"}, cursor)
