"""A gateway's folder reindexed, upgraded and looked at, by the commands, and how a start ends."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from ledger.errors import VerificationError
from ledger.exchange import Gateway, GatewaySettings
from ledger.exchange.doctor import Diagnosis, Standing
from ledger.exchange.upkeep import reindex
from ledger.store import Store
from ledger.store.schema.chain import BLOCKS, CURSOR, EFFECTS, FACTS
from tests.support.asked_gateway import asked
from tests.support.exchange import PASSPHRASE, open_gateway
from tests.support.operated import Kept, Ran, goes_on, home, kept, run
from tests.support.served import ROOT

__all__ = ["home", "kept", "run"]


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
        assert set(findings(ran)) == {"chain", "service"}  # it runs, and CONCORD_URL names nobody
        with asked(gateway) as url:
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
        looked_at = [each["name"] for each in ran.json["checks"] if each["standing"] != "skipped"]
        assert looked_at == ["settings", "configuration"]
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
    elif how == "chain gone":
        shutil.rmtree(home / "chain")
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
        ("chain gone", 4, "chain.sqlite3 is not there"),
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
