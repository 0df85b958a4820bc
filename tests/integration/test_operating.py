"""A gateway's folder backed up while it runs, restored, reindexed, upgraded and looked at, by the commands."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger.errors import ConflictError, FatalError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange import Founded, Gateway, GatewaySettings, Home
from ledger.exchange.backup import MANIFEST_NAME, back_up
from ledger.exchange.doctor import Diagnosis, Standing
from ledger.exchange.upkeep import reindex
from ledger.store import Store
from ledger.store.freezing import copy_sqlite, freeze
from ledger.store.schema.chain import BLOCKS, CURSOR, EFFECTS, FACTS
from scripts.concord import main as concord
from scripts.fsck import main as fsck
from tests.support.evidence_node import serve
from tests.support.exchange import PASSPHRASE, Consortium, found_in, open_gateway, registration, upload
from tests.support.served import ROOT, command_line, environment

DATA = b"plant,mwh\nA,1\n"


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["concord", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            concord()
        return Ran(int(done.value.code or 0), *capsys.readouterr())

    monkeypatch.setenv("CONCORD_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CONCORD_URL", "http://127.0.0.1:1")
    return call


@dataclass
class Kept:
    """A founded home with some statements, stopped; tests copy it."""

    folder: Path
    founded: Founded

    def copy(self, place: Path) -> Path:
        """A home like it."""
        return Path(shutil.copytree(self.folder, place))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    home = tmp_path_factory.mktemp("operating") / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as running:
        running.state("utility", registration("power", {"plants.csv": DATA}))
        upload(running, "utility", "utility/power", 1, "plants.csv", DATA)
    return Kept(home, founded)


@pytest.fixture
def home(kept: Kept, tmp_path: Path) -> Path:
    return kept.copy(tmp_path / "home")


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


def goes_on(home: Path, founded: Founded, slug: str = "later") -> None:
    """The gateway takes, anchors and finishes another statement, and all of it hashes."""
    with open_gateway(home, founded) as running:
        running.state("utility", registration(slug, {"a.csv": b"2"}))
    assert fsck(["--home", str(home)]) == 0


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
        ran = run("restore", tmp_path / f"backup-{number}", restored)
        assert ran.code == 0, ran
        assert f"next: concord serve --home {restored}" in ran.out
        assert "what was stated after that moment is gone" in ran.out
        goes_on(restored, kept.founded)
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


def rows_of(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """All projections, row by row."""
    with Store.open(f"sqlite:///{home / 'ledger.db'}") as store, store._database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in (*FACTS, BLOCKS, CURSOR)
        }


def test_a_reindex_makes_the_same_rows(kept: Kept, home: Path, run: Callable[..., Ran]) -> None:
    before = rows_of(home)
    assert sum(map(len, before.values())) > 30
    with sqlite3.connect(home / "ledger.db") as connection:  # somebody meddled with the projections
        connection.execute(f"DELETE FROM {EFFECTS.name}")
        connection.execute(f"UPDATE {CURSOR.name} SET final = 0")
    connection.close()
    assert rows_of(home) != before
    ran = run("reindex", "--home", home, "--json")
    assert ran.code == 0, ran
    assert rows_of(home) == before
    assert ran.json["facts"] > ran.json["facts_before"]
    seen: list[tuple[int, int]] = []
    reindex(GatewaySettings(home=home, passphrase=""), lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1]
    assert rows_of(home) == before
    goes_on(home, kept.founded)
    with open_gateway(home, kept.founded):
        ran = run("reindex", "--home", home)
        assert (ran.code, "runs: stop it first" in ran.err) == (1, True), ran


def set_schema(home: Path, revision: str) -> str:
    with sqlite3.connect(home / "ledger.db") as connection:
        (before,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    return str(before)


@pytest.mark.slow
def test_an_upgrade_never_goes_back(kept: Kept, home: Path, run: Callable[..., Ran]) -> None:
    ran = run("upgrade", "--home", home)
    assert (ran.code, "already" in ran.out) == (0, True), ran
    present = set_schema(home, "9999")
    ran = run("upgrade", "--home", home)
    assert (ran.code, "written by a newer one" in ran.err) == (1, True), ran
    ran = run("doctor", "--home", home)
    assert (ran.code, "schema 9999 is a newer version's" in ran.out) == (1, True), ran
    set_schema(home, present)
    with open_gateway(home, kept.founded):
        ran = run("upgrade", "--home", home)
        assert (ran.code, "runs: stop it first" in ran.err) == (1, True), ran
    ran = run("upgrade", "--home", home / "chain")
    assert ran.code == 4, ran
    (home / "ledger.db").rename(home / "moved.db")
    ran = run("upgrade", "--home", home)
    assert (ran.code, "name the database" in ran.err) == (4, True), ran
    ran = run("upgrade", "--home", home, "--database-url", f"sqlite:///{home}/moved.db", "--json")
    assert ran.json == {"before": present, "after": present}


def findings(ran: Ran) -> dict[str, str]:
    """What the doctor found, by name."""
    return {each["name"]: each["detail"] for each in ran.json["checks"] if each["standing"] == "failed"}


def test_a_healthy_gateway_stopped_and_running(
    kept: Kept, home: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = run("doctor", "--home", home, "--json")
    assert (ran.code, ran.json["healthy"], findings(ran)) == (0, True, {}), ran
    assert {each["standing"] for each in ran.json["checks"]} == {"ok"}
    told = run("doctor", "--home", home).out
    assert "OK       chain: chain" in told
    with open_gateway(home, kept.founded) as running:
        gateway: Gateway = running.gateway
        ran = run("doctor", "--home", home, "--json")
        assert set(findings(ran)) == {"chain"}  # it runs, and CONCORD_URL names nobody
        with serve(lambda body: (200, gateway.rpc(json.dumps(body).encode()))) as url:
            monkeypatch.setenv("CONCORD_URL", url)
            ran = run("doctor", "--home", home, "--json")
    assert (ran.code, findings(ran)) == (0, {}), ran


def test_what_the_doctor_finds(home: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*names: str) -> str:
        ran = run("doctor", "--home", home, "--json")
        assert ran.code == 1, ran
        failed = findings(ran)
        assert set(failed) == set(names), ran
        assert all(each["fix"] for each in ran.json["checks"] if each["standing"] == "failed")
        return "\n".join(failed.values())

    home.chmod(0o755)
    assert "others may read" in look("configuration")
    home.chmod(0o700)
    (home / "founding.json").write_text("{}")
    assert "founding" in look("configuration")
    (home / "founding.json").unlink()
    monkeypatch.setenv("CONCORD_PASSPHRASE", "another")
    assert "does not open" in look("keys")
    monkeypatch.setenv("CONCORD_PASSPHRASE", PASSPHRASE)
    consortium = home / "consortium.json"
    kept = consortium.read_bytes()
    document = json.loads(kept)
    document["contracts"]["AccessGrants"]["code_hash"] = "0x" + "11" * 32
    consortium.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True))
    assert "the code of AccessGrants" in look("contracts")
    consortium.unlink()
    assert "no consortium.json" in look("configuration")
    consortium.write_bytes(kept)
    set_aside = home / "keys" / "relay.aside"
    (home / "keys" / "relay.json").rename(set_aside)
    shutil.copy(home / "keys" / "deployer.json", home / "keys" / "relay.json")
    assert "lets 0x" in look("account and log key")
    set_aside.rename(home / "keys" / "relay.json")
    with sqlite3.connect(home / "ledger.db") as connection:
        text = connection.execute("SELECT text FROM signed_checkpoints ORDER BY size DESC LIMIT 1").fetchone()[0]
        connection.execute("DELETE FROM signed_checkpoints WHERE text = ?", (text,))
    connection.close()
    assert "signs nothing" in look("log")
    (home / "ledger.db").unlink()
    assert "ledger.db is missing" in look("database")


def test_a_folder_without_a_gateway_is_most_likely_another_folder(tmp_path: Path, run: Callable[..., Ran]) -> None:
    (tmp_path / "empty").mkdir()
    for name, words in (("empty", "it has no gateway.json"), ("nowhere", "is not there")):
        ran = run("doctor", "--home", tmp_path / name, "--json")
        assert (ran.code, set(findings(ran))) == (1, {"configuration"}), ran
        assert words in findings(ran)["configuration"]
        [fix] = [each["fix"] for each in ran.json["checks"] if each["fix"]]
        assert fix.index("--home") < fix.index("concord init") < fix.index("concord restore")
        assert {each["standing"] for each in ran.json["checks"]} == {"failed", "skipped"}
    (tmp_path / "empty" / "founding.json").write_text("{}")
    ran = run("doctor", "--home", tmp_path / "empty", "--json")
    assert findings(ran) == {"configuration": "the founding is not finished"}


def documented_statuses() -> dict[int, str]:
    """With which status `concord serve` ends, and whether it is started again, as the guide's table says."""
    guide = (ROOT / "docs/operating/gateway.md").read_text()
    rows = re.findall(r"^\| (\d) \| .+ \| (yes|no) \|$", guide, re.MULTILINE)
    return {int(status): again for status, again in rows}


def test_the_unit_starts_again_what_the_guide_says() -> None:
    unit = (ROOT / "deploy/systemd/concord.service").read_text()
    statuses = documented_statuses()
    kept_down = {int(each) for each in re.findall(r"^RestartPreventExitStatus=(.+)$", unit, re.MULTILINE)[0].split()}
    assert "Restart=on-failure" in unit
    assert kept_down == {status for status, again in statuses.items() if status and again == "no"}
    assert statuses.keys() == {0, 1, 2, 3, 4}


def spoil(home: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    consortium = home / "consortium.json"
    if how == "another passphrase":
        monkeypatch.setenv("CONCORD_PASSPHRASE", "another")
    elif how == "wrong setting":
        monkeypatch.setenv("CONCORD_POLL_S", "soon")
    elif how == "damaged file":
        (home / "gateway.json").write_text("{")
    elif how == "missing key":
        (home / "keys" / "relay.json").unlink()
    elif how == "other code":
        document = json.loads(consortium.read_bytes())
        document["contracts"]["AccessGrants"]["code_hash"] = "0x" + "11" * 32
        consortium.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True))
    elif how == "newer database":
        set_schema(home, "9999")
    elif how == "no gateway":
        shutil.rmtree(home)


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("other code", 1, "the code of AccessGrants"),
        ("newer database", 1, "written by a newer one"),
        ("folder held", 2, "holds the embedded chain in"),
        ("port in use", 2, "is in use"),
        ("wrong setting", 3, "CONCORD_POLL_S"),
        ("damaged file", 3, "gateway.json is damaged"),
        ("no gateway", 4, "no gateway was founded in home"),
        ("missing key", 4, "relay.json"),
        ("another passphrase", 4, "the key file relay.json does not open: check the passphrase"),
    ],
)
def test_how_a_start_ends(
    kept: Kept,
    home: Path,
    run: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    status: int,
    words: str,
) -> None:
    """The old copy of a log, which ends with 1 as well, is tried above."""
    spoil(home, how, monkeypatch)
    with ExitStack() as stack:
        port = "0"
        if how == "folder held":
            stack.enter_context(open_gateway(home, kept.founded))
        elif how == "port in use":
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = str(taken.getsockname()[1])
        ran = run("serve", "--home", home, "--port", port)
    assert (ran.code, words in ran.err, "Traceback" in ran.err) == (status, True, False), ran
    assert status in documented_statuses()


def test_what_the_doctor_finds_about_the_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(now: float | None = None) -> dict[str, str]:
        diagnosis = Diagnosis(GatewaySettings(home=home, passphrase=PASSPHRASE), "http://127.0.0.1:1")
        if now is not None:
            diagnosis.clock = lambda: now
        return {each.name: each.detail for each in diagnosis.run() if each.standing is Standing.FAILED}

    assert look() == {}
    assert "clock is" in look(1e9)["clock"]
    usage = shutil.disk_usage(home)._replace(total=100 << 30, used=99 << 30, free=1 << 29)
    monkeypatch.setattr("ledger.exchange.doctor.shutil.disk_usage", lambda _: usage)
    assert "0.5 GiB free" in look()["disk"]


def test_a_chain_of_another_consortium_is_not_folded(kept: Kept, home: Path) -> None:
    document = json.loads((home / "consortium.json").read_bytes())
    document["contracts"]["AccessGrants"]["code_hash"] = "0x" + "11" * 32
    (home / "consortium.json").write_text(json.dumps(document, separators=(",", ":"), sort_keys=True))
    before = rows_of(home)
    with pytest.raises(VerificationError, match="AccessGrants"):
        reindex(GatewaySettings(home=home, passphrase=""))
    assert rows_of(home) == before
