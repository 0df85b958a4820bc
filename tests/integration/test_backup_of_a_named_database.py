"""Backup and restore of a gateway whose database is not in its folder; with `--database postgresql` a server's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from ledger.errors import ConflictError, FatalError, NotFoundError, UnavailableError
from ledger.exchange import Founded, GatewaySettings, Home, found
from ledger.exchange.backup import back_up
from ledger.exchange.log_recovery import recover_log
from ledger.exchange.restore import restore
from ledger.log.mirror import Mirror
from ledger.store import Store
from ledger.store.copying import freeze_server, load_into
from ledger.store.schema import METADATA
from ledger.surface.outcomes import State
from scripts.fsck import main as fsck
from tests.support.databases import database_url, is_postgresql
from tests.support.exchange import PASSPHRASE, Consortium, open_gateway, plan_of, registration, upload
from tests.support.waiting import eventually

DATA = b"plant,mwh\nA,1\n"
SERVER_ONLY = pytest.mark.skipif(not is_postgresql(), reason="about a server: make test-postgres")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Founded]:
    """A backup of a gateway that was founded a moment ago."""
    folder = tmp_path_factory.mktemp("kept")
    url = database_url(folder, "founded")
    founded = found(folder / "home", replace(plan_of(), database_url=url))
    back_up(Home(folder / "home"), folder / "backup", database_url=url)
    return folder / "backup", founded


@pytest.fixture
def home(kept: tuple[Path, Founded], tmp_path: Path) -> tuple[Path, Founded]:
    """That gateway, its database being ``first``."""
    backup, founded = kept
    chain = backup.with_name("home") / "chain"
    restore(backup, Home(tmp_path / "home"), chain=chain, database_url=database_url(tmp_path, "first"))
    return tmp_path / "home", founded


@contextmanager
def opened(home: Path, founded: Founded, url: str) -> Iterator[Consortium]:
    with open_gateway(home, founded, database_url=url) as running:
        yield running


def state_some(running: Consortium, prefix: str, count: int = 3) -> None:
    for number in range(count):
        running.state("utility", registration(f"{prefix}-{number}", {"a.csv": b"1"}))


@contextmanager
def busy(running: Consortium) -> Iterator[None]:
    """Somebody states all through the block, and no statement fails for it."""
    stop, errors, said = threading.Event(), list[BaseException](), threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            intent = registration(f"busy-{number}", {"a.csv": b"1"})
            try:
                running.gateway.statements.sign_and_submit(running.asker("utility"), intent)
            except (FatalError, UnavailableError, ConflictError) as error:
                errors.append(error)
                return
            number += 1
            said.set()

    thread = threading.Thread(target=work)
    thread.start()
    said.wait(90)
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert errors == []


def rows_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Everything, row by row."""
    with Store.open(url) as store, store._database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def forget_checkpoints(store: Store, wait_ms: int) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait_ms}")
        connection.exec_driver_sql("DELETE FROM signed_checkpoints")


def goes_on(home: Path, founded: Founded, url: str, slug: str = "later") -> None:
    """The gateway takes, anchors and finishes another statement, and all of it hashes."""
    with opened(home, founded, url) as running:
        running.state("utility", registration(slug, {"a.csv": b"2"}))
    assert fsck(["--home", str(home), "--database", url]) == 0


def test_every_row_comes_back_in_either_kind_of_database(home: tuple[Path, Founded], tmp_path: Path) -> None:
    folder, founded = home
    url, empty = database_url(tmp_path, "first"), database_url(tmp_path, "second")
    with opened(folder, founded, url) as running:
        running.state("utility", registration("power", {"plants.csv": DATA}))
        upload(running, "utility", "utility/power", 1, "plants.csv", DATA)
    before = rows_of(url)
    assert sum(map(len, before.values())) > 60
    manifest = back_up(Home(folder), tmp_path / "backup", database_url=url)
    assert "ledger.db" in manifest.files
    restored = restore(tmp_path / "backup", Home(tmp_path / "named"), chain=folder / "chain", database_url=empty)
    assert (restored.log_size, restored.is_behind) == (5, False)
    assert rows_of(empty) == before
    assert not (tmp_path / "named" / "ledger.db").exists()
    goes_on(tmp_path / "named", founded, empty)
    restore(tmp_path / "backup", Home(tmp_path / "own"), chain=folder / "chain")
    own = f"sqlite:///{tmp_path / 'own' / 'ledger.db'}"
    assert rows_of(own) == before
    goes_on(tmp_path / "own", founded, own)


def test_a_backup_of_a_busy_gateway_is_one_moment(home: tuple[Path, Founded], tmp_path: Path) -> None:
    folder, founded = home
    url = database_url(tmp_path, "first")
    with opened(folder, founded, url) as running, busy(running):
        for number in range(2):
            back_up(Home(folder), tmp_path / f"backup-{number}", database_url=url)
            state_some(running, f"between-{number}", 1)
    for number in range(2):
        restored, empty = tmp_path / f"restored-{number}", database_url(tmp_path, f"empty-{number}")
        restore(tmp_path / f"backup-{number}", Home(restored), accept_loss=True, database_url=empty)
        with opened(restored, founded, empty) as running:
            eventually(lambda: not running.gateway._has_undone())
        assert fsck(["--home", str(restored), "--database", empty]) == 0


def test_an_older_state_signs_nothing_until_it_is_recovered_and_then_knows_the_chain(
    home: tuple[Path, Founded], tmp_path: Path
) -> None:
    folder, founded = home
    url, empty = database_url(tmp_path, "first"), database_url(tmp_path, "second")
    back_up(Home(folder), tmp_path / "backup", database_url=url)
    with opened(folder, founded, url) as running:
        state_some(running, "lost")
    restored = tmp_path / "restored"
    done = restore(tmp_path / "backup", Home(restored), chain=folder / "chain", database_url=empty)
    assert (done.is_behind, done.log_size, done.chain_size) == (True, 4, 7)
    with pytest.raises(FatalError, match=r"concord log recover --from"), opened(restored, founded, empty):
        pass
    settings = GatewaySettings(home=restored, passphrase=PASSPHRASE, database_url=empty)
    recovered = recover_log(settings, Mirror(str(folder / "log")))
    assert (recovered.size, len(recovered.missing)) == (7, 3)
    with opened(restored, founded, empty) as running:
        outcome = running.state("utility", registration("later", {"a.csv": b"2"}))
        assert outcome.state is State.FINAL
        for missing in recovered.missing:  # in force by the chain alone
            effect = running.gateway.parts.store.chain.find_effect(missing.digest)
            assert effect is not None
        row = running.gateway.parts.store.chain.last_checkpoint(running.gateway.parts.log)
        assert row is not None
        assert row.size == 8


def test_what_can_not_be_is_said_and_leaves_nothing(home: tuple[Path, Founded], tmp_path: Path) -> None:
    folder, _ = home
    url, empty = database_url(tmp_path, "first"), database_url(tmp_path, "second")
    with pytest.raises(NotFoundError, match="name the database"):
        back_up(Home(folder), tmp_path / "backup")
    back_up(Home(folder), tmp_path / "backup", database_url=url)
    restored = tmp_path / "restored"
    with pytest.raises(ConflictError, match="name an empty database"):
        restore(tmp_path / "backup", Home(restored), accept_loss=True, database_url=url)
    assert not restored.exists()
    assert not restored.with_name("restored.restoring").exists()
    restored.mkdir()
    (restored / "file").write_text("")
    with pytest.raises(ConflictError, match="is there already"):
        restore(tmp_path / "backup", Home(restored), accept_loss=True, database_url=empty)
    restore(tmp_path / "backup", Home(tmp_path / "another"), accept_loss=True, database_url=empty)


def test_a_folder_that_can_not_be_placed_leaves_the_database_empty(
    home: tuple[Path, Founded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = home
    url, empty = database_url(tmp_path, "first"), database_url(tmp_path, "second")
    back_up(Home(folder), tmp_path / "backup", database_url=url)

    def refuse(_from: Path, _to: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(UnavailableError, match="Permission denied"):
            restore(tmp_path / "backup", Home(tmp_path / "restored"), accept_loss=True, database_url=empty)
    restore(tmp_path / "backup", Home(tmp_path / "restored"), accept_loss=True, database_url=empty)


def test_a_database_that_can_not_commit_leaves_no_folder(
    home: tuple[Path, Founded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = home
    url, empty = database_url(tmp_path, "first"), database_url(tmp_path, "second")
    back_up(Home(folder), tmp_path / "backup", database_url=url)

    @contextmanager
    def break_off(url: str, source: Path) -> Iterator[int]:
        with load_into(url, source) as count:
            yield count
            raise UnavailableError("the database does not answer")

    restored = tmp_path / "restored"
    with monkeypatch.context() as patched:
        patched.setattr("ledger.exchange.restore.load_into", break_off)
        with pytest.raises(UnavailableError, match="does not answer"):
            restore(tmp_path / "backup", Home(restored), accept_loss=True, database_url=empty)
    assert not restored.exists()
    assert not restored.with_name("restored.restoring").exists()
    assert restore(tmp_path / "backup", Home(restored), accept_loss=True, database_url=empty).log_size == 4


@SERVER_ONLY
def test_writers_wait_for_the_moment_alone_and_readers_never(home: tuple[Path, Founded], tmp_path: Path) -> None:
    url = database_url(tmp_path, "first")
    with Store.open(url) as store, freeze_server(url) as frozen:
        origin = "gateway.example/log"
        assert store.checkpoints.load(origin) is not None
        with pytest.raises(UnavailableError, match="busy"):
            forget_checkpoints(store, wait_ms=50)
        frozen.release()
        forget_checkpoints(store, wait_ms=50)
        assert frozen.copy(tmp_path / "copy.db") > 0
    with Store.open(f"sqlite:///{tmp_path / 'copy.db'}") as copied:
        assert copied.checkpoints.load(origin) is not None, "the copy is of the moment"


@SERVER_ONLY
def test_a_moment_waits_for_writers_and_kills_none(home: tuple[Path, Founded], tmp_path: Path) -> None:
    url = database_url(tmp_path, "first")
    with Store.open(url) as store:
        waits, done = threading.Event(), threading.Event()

        def write() -> None:
            with store._database.write() as connection:
                connection.exec_driver_sql("UPDATE outbox SET attempts = attempts + 1")
                waits.set()
                done.wait(1.0)  # longer than the lock is waited for at once
                connection.exec_driver_sql("UPDATE signed_checkpoints SET text = text")

        writer = threading.Thread(target=write)
        writer.start()
        assert waits.wait(60)
        with freeze_server(url):
            pass
        writer.join()


@SERVER_ONLY
def test_another_versions_schema_is_not_copied(home: tuple[Path, Founded], tmp_path: Path) -> None:
    folder, _ = home
    url = database_url(tmp_path, "first")
    with Store.open(url) as store, store._database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(ConflictError, match="concord upgrade"):
        back_up(Home(folder), tmp_path / "backup", database_url=url)
    assert not (tmp_path / "backup").exists()
