"""What keeps a gateway from its work, the doctor finds, names its fix, and changes nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import RefusalKind, RemoteKey
from ledger.errors import UnavailableError
from ledger.exchange import GatewaySettings
from ledger.exchange.doctor import Check, Diagnosis, Standing, diagnose
from ledger.exchange.findings import judge
from ledger.keyfiles import WrongPassphraseError
from ledger.types import Address
from scripts.concord import main as concord
from tests.support.answering import Said, answering
from tests.support.asked_gateway import asked
from tests.support.bad_wire import SEND, refuse
from tests.support.edge_world import edge_world, settings_for
from tests.support.exchange import PASSPHRASE, open_gateway
from tests.support.operated import Kept, home, kept
from tests.support.waiting import eventually

NOWHERE = "http://127.0.0.1:1"
MINUTE_S = 60
OTHER = Said(body=b"other.example/log\n1\n", headers={"Content-Type": "text/plain"})


__all__ = ["home", "kept"]


def look(home: Path, url: str = NOWHERE, **settings: Any) -> dict[str, Check]:
    """What failed, by name."""
    given = GatewaySettings(home=home, passphrase=PASSPHRASE, **settings)
    return {each.name: each for each in diagnose(given, url) if each.standing is Standing.FAILED}


def listing(home: Path) -> dict[str, bytes]:
    """What is in a home, locks apart."""
    files = (each for each in home.rglob("*") if each.is_file() and each.name not in {"chain.lock", ".lock"})
    return {str(each.relative_to(home)): each.read_bytes() for each in files}


def test_a_missing_chain_is_missed_and_not_founded(home: Path) -> None:
    shutil.rmtree(home / "chain")
    found = look(home)
    assert set(found) == {"chain"}
    assert "chain.sqlite3 is not there" in found["chain"].detail
    assert "concord restore BACKUP NEW-HOME" in str(found["chain"].fix)
    assert not (home / "chain").exists()


def test_it_changes_nothing(home: Path) -> None:
    before = listing(home)
    assert look(home) == {}
    assert listing(home) == before


def test_missing_folders_of_log_and_content(home: Path) -> None:
    shutil.rmtree(home / "log")
    shutil.rmtree(home / "content")
    found = look(home)
    assert set(found) == {"log", "content"}
    assert "do not hold them" in found["log"].detail
    assert "1 files that were uploaded" in found["content"].detail
    assert not (home / "log").exists()
    assert not (home / "content").exists()


def test_entries_without_texts(home: Path) -> None:
    with sqlite3.connect(home / "ledger.db") as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("DELETE FROM statements WHERE log_index = (SELECT max(log_index) FROM statements)")
    connection.close()
    found = look(home)
    assert set(found) == {"texts"}
    assert "1 entries of the log have no statement" in found["texts"].detail


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CONCORD_POLL_S", "soon", "CONCORD_POLL_S"),
        ("CONCORD_PORT", "abc", "CONCORD_PORT"),
        ("CONCORD_PEERS", "no gateway", "CONCORD_PEERS lists what is no gateway's URL"),
        ("CONCORD_CONTENT_URL", "ftp://store.example/x", "not ftp://"),
        ("CONCORD_CONTENT_URL", "http://127.0.0.1:9/x", "the content store can not be looked at"),
    ],
)
def test_settings_that_the_service_does_not_take(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    words: str,
) -> None:
    for variable, text in {"CONCORD_PASSPHRASE": PASSPHRASE, "CONCORD_URL": NOWHERE, name: value}.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.setattr("sys.argv", ["concord", "doctor", "--home", str(home)])
    with pytest.raises(SystemExit) as ended:
        concord()
    told = capsys.readouterr().out
    assert ended.value.code == 1
    assert [line for line in told.splitlines() if line.startswith("FAILED") and words in line], told


def test_a_remote_signer_that_is_dead(home: Path, tmp_path: Path) -> None:
    remote = RemoteKey(NOWHERE, bytes.fromhex("11" * 64))
    (home / "keys" / "relay.next.json").write_text(json.dumps(remote.to_json()))
    found = look(home)
    assert set(found) == {"remote signer"}
    assert "does not answer" in found["remote signer"].detail


def test_roles_are_compared_with_the_chain_and_not_with_the_database(home: Path, kept: Kept) -> None:
    """A restored home: keys and database of the same, older moment, and a chain that knows their successors."""
    older = Path(shutil.copytree(home, home.with_name("older")))
    with open_gateway(home, kept.founded) as running:
        running.gateway.keys.rotate_relay()
    shutil.rmtree(older / "chain")
    shutil.copytree(home / "chain", older / "chain")
    assert "account and log key" in look(older)


def test_a_running_gateway_is_asked(home: Path, kept: Kept) -> None:
    with open_gateway(home, kept.founded) as running:
        found = look(home)
        assert "CONCORD_URL" in str(found["service"].fix)
        with asked(running.gateway) as url:
            assert look(home, url) == {}
        with answering(lambda *_: OTHER) as other:
            assert "another log answers there" in look(home, other)["service"].detail
    with answering(lambda *_: OTHER) as other:
        assert look(home, other) == {}


def test_a_node_that_refuses_the_relay_account_and_clocks_that_differ(tmp_path: Path) -> None:
    with edge_world(tmp_path) as worlds:
        world = next(worlds)
        settings = settings_for(world.home)

        def off(seconds: float) -> list[str]:
            clock = Diagnosis(settings, NOWHERE, clock=lambda: time.time() + seconds)
            return [each.detail for each in clock.run() if (each.name, each.standing) == ("clock", Standing.FAILED)]

        assert off(0) == []
        # Its blocks came faster than one a second, so that the last is dated later than it is by now.
        eventually(lambda: any("ahead of the node's" in each for each in off(60 * MINUTE_S)))
        assert "behind the chain's last block" in off(-60 * MINUTE_S)[0]
        with world.gateway() as gateway, asked(gateway) as url:
            message = "Sender account not authorized to send transactions"
            world.wire.break_with(refuse(-32007, message), SEND, times=1 << 30)
            digests = world.register(gateway, 1)
            eventually(lambda: "submitter" in gateway.health().reasons)
            found = {each.name: each for each in diagnose(settings, url)}["service"]
            assert found.standing is Standing.FAILED
            assert message in found.detail
            assert f"`concord network allow DIR {gateway.parts.relay.address}`" in found.detail
            world.settle(gateway, digests)
            assert {each.name: each for each in diagnose(settings, url)}["service"].standing is Standing.OK


def test_each_kind_of_error_has_its_fix(home: Path) -> None:
    def fix_of(name: str, error: Exception) -> str:
        def fail() -> str:
            raise error

        return str(judge(name, fail).fix)

    denied = PermissionError(13, "Permission denied", "log.pem")
    for name in ("keys", "database", "chain", "log"):
        assert "chown" in fix_of(name, denied)
    locked = UnavailableError("the folder can not be written")
    locked.__cause__ = denied
    assert "chown" in fix_of("chain", locked)
    for name in ("ledger.db", "chain/chain.sqlite3"):
        whole = (home / name).read_bytes()
        (home / name).write_bytes(b"no database" * 1000)
        found = look(home)
        check = found["database" if name == "ledger.db" else "chain"]
        assert "concord restore BACKUP NEW-HOME" in str(check.fix), check
        (home / name).write_bytes(whole)
    (home / "chain" / "chain.sqlite3").unlink()
    (home / "chain" / "chain.sqlite3").mkdir()
    assert "is not there" in look(home)["chain"].detail
    assert "CONCORD_PASSPHRASE" in fix_of("keys", WrongPassphraseError("does not open"))


@pytest.mark.parametrize("kind", [each for each in RefusalKind if each.needs_operator])
def test_what_an_operator_does_about_a_refusal_names_what(kind: RefusalKind) -> None:
    told = kind.advise(Address(b"\x07" * 20))
    assert told.startswith("an operator must act: ")
    assert "gateway.json" in told or str(Address(b"\x07" * 20)) in told
