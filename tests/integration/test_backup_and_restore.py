"""A gateway's folder backed up while it runs, and restored, by the commands."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.errors import ConflictError, FatalError, NotFoundError, UnavailableError
from ledger.exchange import Home, Paging
from ledger.exchange.backup import MANIFEST_NAME, back_up
from ledger.exchange.log_writer import append_together
from ledger.store.freezing import copy_sqlite, freeze
from scripts.fsck import main as fsck
from tests.support.exchange import PASSPHRASE, Consortium, open_gateway, registration
from tests.support.operated import Kept, Ran, home, kept, run
from tests.support.served import ROOT, command_line, environment
from tests.support.waiting import eventually

__all__ = ["home", "kept", "run"]


def state_some(running: Consortium, prefix: str, count: int = 3) -> None:
    for number in range(count):
        running.state("utility", registration(f"{prefix}-{number}", {"a.csv": b"1"}))


@contextmanager
def busy(running: Consortium) -> Iterator[None]:
    """Somebody states all through the block."""
    stop, errors = threading.Event(), list[BaseException]()

    def work() -> None:
        number = 0
        while not stop.is_set():
            try:
                running.gateway.statements.sign_and_submit(
                    running.asker("utility"), registration(f"busy-{number}", {"a.csv": b"1"})
                )
            except (FatalError, UnavailableError, ConflictError) as error:
                errors.append(error)
                return
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert errors == []


def test_a_backup_of_a_busy_gateway_is_one_moment(
    kept: Kept, home: Path, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    with open_gateway(home, kept.founded) as running, busy(running):
        state_some(running, "before", 1)
        for number in range(3):
            ran = run("backup", tmp_path / f"backup-{number}", "--home", home)
            assert ran.code == 0, ran
            assert f"files in {tmp_path}/backup-{number}" in ran.out
    for number in range(3):
        restored = tmp_path / f"restored-{number}"
        ran = run("restore", tmp_path / f"backup-{number}", restored, "--accept-loss")
        assert ran.code == 0, ran
        assert f"next: concord serve --home {restored}" in ran.out
        assert "what was stated after that moment is given up" in ran.out
        with open_gateway(restored, kept.founded) as running:
            eventually(lambda: not running.gateway._has_undone())
        assert fsck(["--home", str(restored)]) == 0
    assert (tmp_path / "restored-0").stat().st_mode & 0o077 == 0


def test_a_restored_home_behind_its_chain_signs_nothing_until_it_is_recovered(
    kept: Kept, home: Path, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    assert run("backup", tmp_path / "backup", "--home", home).code == 0
    with open_gateway(home, kept.founded) as running:
        state_some(running, "lost")
    restored = tmp_path / "restored"
    ran = run("restore", tmp_path / "backup", restored, "--chain", home / "chain")
    assert ran.code == 0, ran
    assert "the log is behind: the chain's last checkpoint has " in ran.out
    assert f"next: concord log recover --from MIRROR --home {restored}" in ran.out
    told = environment() | {"CONCORD_PASSPHRASE": PASSPHRASE}
    served = subprocess.run(command_line(restored), cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert (served.returncode, served.stdout, "Traceback" in served.stderr) == (1, "", False), served
    assert "concord log recover --from" in json.loads(served.stderr.splitlines()[-1])["error"]
    with pytest.raises(FatalError, match=r"concord log recover --from"), open_gateway(restored, kept.founded):
        pass
    ran = run("doctor", "--home", restored, "--json")
    assert [each["name"] for each in ran.json["checks"] if each["standing"] == "failed"] == ["log"]
    ran = run("log", "recover", "--from", home / "log", "--home", restored, "--json")
    assert ran.code == 0, ran
    assert len(ran.json["missing_statements"]) == 3
    with open_gateway(restored, kept.founded) as running:
        row = running.gateway.parts.store.chain.last_checkpoint(running.gateway.parts.log)
        assert row is not None
        running.state("utility", registration("later", {"a.csv": b"2"}))


def test_a_gateway_whose_loss_was_accepted_reads_and_signs_nothing(
    kept: Kept, home: Path, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    """Else two checkpoints of one size, of one key, with two roots."""
    restored = tmp_path / "restored"
    assert run("backup", tmp_path / "backup", "--home", home).code == 0
    with open_gateway(home, kept.founded) as running:
        state_some(running, "lost", 1)
    ran = run("restore", tmp_path / "backup", restored)
    assert (ran.code, "(--chain, chain/ of the home" in ran.err) == (1, True), ran
    assert not restored.exists()
    ran = run("restore", tmp_path / "backup", restored, "--accept-loss", "--json")
    assert (ran.code, ran.json["signs"]) == (0, False), ran
    with open_gateway(restored, kept.founded) as running:
        size, asker = running.gateway.parts.sequencer.size, running.asker("utility")
        with pytest.raises(ConflictError, match="takes no statements"):
            running.gateway.statements.sign_and_submit(asker, registration("fork", {"a.csv": b"1"}))
        with pytest.raises(ConflictError, match="takes no statements"):
            running.gateway.check_writes()
        with pytest.raises(ConflictError, match="takes no statements"):
            append_together(running.gateway.parts, [b"entry"], lambda *_: None)
        assert running.gateway.parts.sequencer.size == size
        eventually(lambda: not running.gateway.health().ready)
        assert "restored to" in running.gateway.health().reasons["log"]
        assert running.gateway.datasets.list(asker, Paging()).items
    ran = run("restore", tmp_path / "backup", tmp_path / "moved", "--chain", home / "chain", "--json")
    assert (ran.code, ran.json["signs"]) == (0, True), ran


@pytest.mark.slow
def test_a_restored_home_behind_a_mirror_signs_nothing_until_it_is_recovered(
    kept: Kept, home: Path, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    assert run("backup", tmp_path / "backup", "--home", home).code == 0
    with open_gateway(home, kept.founded) as running:
        state_some(running, "lost")
    restored = tmp_path / "restored"
    ran = run("restore", tmp_path / "backup", restored, "--mirror", home / "log")
    assert ran.code == 0, ran
    assert f"next: concord log recover --from {home / 'log'} --home {restored}" in ran.out
    with pytest.raises(FatalError, match=r"concord log recover --from"), open_gateway(restored, kept.founded):
        pass
    assert run("log", "recover", "--from", home / "log", "--home", restored).code == 0
    with open_gateway(restored, kept.founded) as running:
        running.state("utility", registration("later", {"a.csv": b"2"}))
    same = tmp_path / "same"
    ran = run("restore", tmp_path / "backup", same, "--mirror", tmp_path / "backup" / "log")
    assert (ran.code, "no log at" in ran.err) == (4, True), ran
    foreign = tmp_path / "foreign"
    shutil.copytree(home / "log", foreign)
    note = (foreign / "checkpoint").read_text().replace("gateway.example/log", "other.example/log")
    (foreign / "checkpoint").write_text(note)
    ran = run("restore", tmp_path / "backup", same, "--mirror", foreign)
    assert (ran.code, "none of the log's keys" in ran.err) == (1, True), ran
    assert not same.exists()


def test_what_is_no_backup_is_not_restored(kept: Kept, home: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    assert run("backup", backup, "--home", home, "--json").json["files"] > 10
    ran = run("backup", backup, "--home", home)
    assert (ran.code, "is there already" in ran.err) == (1, True), ran
    ran = run("restore", backup, home)
    assert (ran.code, "is there already" in ran.err) == (1, True), ran
    ran = run("restore", backup, restored, "--chain", tmp_path)
    assert (ran.code, "no embedded chain" in ran.err) == (4, True), ran
    changed = backup / "gateway.json"
    original = changed.read_bytes()
    changed.write_bytes(original + b" ")
    ran = run("restore", backup, restored)
    assert (ran.code, "gateway.json of the backup was changed" in ran.err) == (1, True), ran
    changed.unlink()
    ran = run("restore", backup, restored)
    assert (ran.code, "lacks gateway.json" in ran.err) == (1, True), ran
    changed.write_bytes(original)
    manifest = backup / MANIFEST_NAME
    for text, code, words in (("{", 3, "is damaged"), ('{"format":"concord-backup/9"}', 3, "newer concord")):
        manifest.write_text(text)
        ran = run("restore", backup, restored)
        assert (ran.code, words in ran.err) == (code, True), ran
    manifest.unlink()
    ran = run("restore", backup, restored)
    assert (ran.code, "no backup in" in ran.err) == (4, True), ran
    assert not restored.exists()


@pytest.mark.slow
def test_what_can_not_be_backed_up_is_not(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no gateway"):
        back_up(Home(tmp_path / "none"), tmp_path / "backup")
    (home / "founding.json").write_text("{}")
    with pytest.raises(ConflictError, match="founding"):
        back_up(Home(home), tmp_path / "backup")
    (home / "founding.json").unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="can not be written"):
        back_up(Home(home), tmp_path / "file" / "backup")
    (home / "ledger.db").unlink()
    with pytest.raises(NotFoundError, match="name the database"):
        back_up(Home(home), tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_frozen_files_keep_their_moment(tmp_path: Path) -> None:
    first, second = tmp_path / "a.db", tmp_path / "b.db"
    for path in (first, second):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE t (n INTEGER)")
        connection.close()
    writer = sqlite3.connect(first, timeout=0.05)
    with freeze([first, second]) as frozen:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            writer.execute("INSERT INTO t VALUES (1)")
        frozen.release()
        with writer:
            writer.execute("INSERT INTO t VALUES (2)")
        frozen.copy(first, tmp_path / "copy.db")
    writer.close()
    copied = sqlite3.connect(tmp_path / "copy.db")
    assert copied.execute("SELECT count(*) FROM t").fetchone() == (0,)
    copied.close()
    copy_sqlite(first, tmp_path / "after.db")
    (tmp_path / "none.db").write_bytes(b"no database" * 100)
    with pytest.raises(UnavailableError):
        copy_sqlite(tmp_path / "none.db", tmp_path / "x.db")
