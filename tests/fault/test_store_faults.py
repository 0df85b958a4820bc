"""What the database does when the machine does not help: full, locked, unreadable, damaged, killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import exc

from ledger.errors import ConflictError, FatalError, LedgerError, UnavailableError
from ledger.store import Store
from ledger.store.failures import BY_CLASS, BY_CODE, failures_as_ledger_errors, translate_failure
from ledger.store.rows import SignedTransaction
from tests.support.store_world import NOW, World, account, open_world, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def limit_pages(world: World) -> None:
    """Let the disk be full from now on, for every connection of the store."""
    with world.store._database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_stores_nothing_and_says_so(world: World) -> None:
    limit_pages(world)
    news = [world.new("ParticipantRetirement", participant=word(str(number))) for number in range(300)]
    with pytest.raises(UnavailableError, match="disk is full") as caught:
        world.accept(*news)
    assert caught.value.retry_after_s is not None
    assert world.store.statements.list_staged() == ()
    assert world.store.statements.list().items == ()


def test_a_full_disk_in_the_middle_of_a_fold_leaves_the_cursor(world: World) -> None:
    world.chain.mine()
    limit_pages(world)
    events = [world.filed(f"p{number}", word("profile")) for number in range(500)]
    with pytest.raises(UnavailableError):
        world.chain.mine(*events)
    assert world.store.chain.as_of_block() == 1
    assert world.store.projections.count_rows() == 0


def test_a_full_disk_while_a_nonce_is_taken_takes_none(world: World) -> None:
    limit_pages(world)
    items = [(f"s{n}", lambda nonce: SignedTransaction(bytes(9_000), word(str(nonce)))) for n in range(20)]
    with pytest.raises(UnavailableError):
        world.store.outbox.enqueue(account("relay"), 0, items, NOW)
    assert world.store.outbox.next_nonce(account("relay"), 0) == 0


def test_a_database_that_another_program_locks_is_unavailable(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.database._PRAGMAS", ("PRAGMA busy_timeout=50",))
    world.store._database.close()
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="busy"):
        world.store.names.claim_handle(word("a"), "a")
    assert world.store.names.handle_of(word("a")) is None
    other.execute("ROLLBACK")
    other.close()
    world.store.names.claim_handle(word("a"), "a")


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Store.open(f"sqlite:///{tmp_path / 'nowhere' / 'store.sqlite3'}")


def test_a_file_that_is_no_database_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").write_bytes(b"not a database at all" * 100)
    with pytest.raises(FatalError, match="restore a backup"):
        Store.open(f"sqlite:///{tmp_path / 'store.sqlite3'}")


_WRITER = """
import sys
from pathlib import Path
from tests.support.store_world import open_world, word
with open_world(Path(sys.argv[1])) as world:
    number = 0
    while True:
        number += 1
        with world.store.transaction():
            world.store.names.claim_handle(word(f"a{number}"), f"a{number}")
            world.store.names.claim_handle(word(f"b{number}"), f"b{number}")
        print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9_and_transactions_stay_whole(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, text=True
    )
    assert writer.stdout is not None
    with writer.stdout as lines:
        seen = [int(lines.readline()) for _ in range(20)][-1]
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(timeout=60)
        seen = max([seen, *(int(line) for line in lines.read().splitlines())])
    with open_world(tmp_path) as world:
        for number in range(1, seen + 3):
            a, b = (world.store.names.find_participant(f"{side}{number}") for side in "ab")
            assert (a is None) == (b is None)
            assert number > seen or a is not None


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for code, kind, _, _ in BY_CODE])
def test_every_code_of_the_table_is_translated(code: str, kind: type[LedgerError]) -> None:
    class DriverError(Exception):
        sqlite_errorname = code if code.startswith("SQLITE") else None
        sqlstate = None if code.startswith("SQLITE") else code.ljust(5, "0")

    error = exc.OperationalError("SELECT 1", {}, DriverError())
    assert type(translate_failure(error)) is kind


def test_every_database_error_of_sqlalchemy_is_mapped_or_a_mistake_of_ours() -> None:
    mistakes = {"DataError", "InternalError", "NotSupportedError", "ProgrammingError", "DatabaseError", "DBAPIError"}
    mapped = tuple(family for family, _, _, _ in BY_CLASS)
    found = {exc.DBAPIError}
    while more := {child for family in found for child in family.__subclasses__()} - found:
        found |= more
    for family in found:
        error = family("SELECT 1", {}, Exception())
        assert (translate_failure(error) is None) == (family.__name__ in mistakes), family
        assert issubclass(family, mapped) == (family.__name__ not in mistakes)


def test_a_pool_that_is_empty_is_unavailable_and_a_mistake_stays_one() -> None:
    with pytest.raises(UnavailableError), failures_as_ledger_errors():
        raise exc.TimeoutError
    with pytest.raises(exc.InvalidRequestError), failures_as_ledger_errors():
        raise exc.InvalidRequestError
    with pytest.raises(ConflictError), failures_as_ledger_errors():
        raise exc.IntegrityError("INSERT", {}, Exception())
