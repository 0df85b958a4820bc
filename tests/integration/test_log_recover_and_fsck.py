"""A gateway whose log was restored from an old copy: it refuses to sign, is recovered, and `fsck` finds nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.client import LocalKey
from ledger.errors import ConflictError, FatalError, NotFoundError, UnavailableError, VerificationError
from ledger.evidence import Node, Verdict, Verifier, build_event_evidence, create_policy, parse_policy
from ledger.exchange import Founded, GatewaySettings
from ledger.exchange.bulk.answers import Answers, Taken
from ledger.exchange.log_recovery import recover_log
from ledger.keyfiles import read_key_file
from ledger.log import Checkpoint, SignedNote
from ledger.log.mirror import Mirror
from ledger.surface.outcomes import SignedStatement
from ledger.types import Address, parse_hex
from scripts.chain_checkpoints import ChainCheckpoints
from scripts.check_consistency import main as compare
from scripts.concord import main as concord
from scripts.fsck import main as fsck
from tests.support.bulk import Said, Sayer
from tests.support.content import flip_bit
from tests.support.evidence_node import serve
from tests.support.exchange import PASSPHRASE, Consortium, found_in, open_gateway, registration, upload
from tests.support.log import ORIGIN, MemoryCheckpointStore, entries_of, open_log

DATA = b"plant,mwh\nA,1\n" * 1000
OLD = ("log", "ledger.db")


@dataclass(frozen=True)
class Copies:
    """One gateway's home at two moments; the chain is that of the later one."""

    folder: Path
    founded: Founded

    @property
    def newer_log(self) -> Path:
        return self.folder / "new" / "log"

    def restore(self, home: Path, *names: str) -> Path:
        """The newer home, with ``names`` as they were at the earlier moment."""
        shutil.copytree(self.folder / "new", home)
        for name in names:
            target, old = home / name, self.folder / "old" / name
            (shutil.rmtree if target.is_dir() else Path.unlink)(target)
            (shutil.copytree if old.is_dir() else shutil.copy)(old, target)
        if "ledger.db" in names:
            for tail in ("-wal", "-shm"):
                (home / f"ledger.db{tail}").unlink(missing_ok=True)
        return home


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    folder = tmp_path_factory.mktemp("recover")
    home = folder / "home"
    founded = found_in(home)
    for name in ("old", "new"):
        with open_gateway(home, founded) as running:
            running.state("utility", registration("power", {"plants.csv": DATA, "b.csv": name.encode()}))
            upload(running, "utility", "utility/power", 1 if name == "old" else 2, "plants.csv", DATA)
            running.state("utility", registration(name, {"a.csv": b"1"}))
        shutil.copytree(home, folder / name)
    return Copies(folder, founded)


def size_of(log: Path) -> int:
    return Checkpoint.parse(SignedNote.parse((log / "checkpoint").read_bytes()).text).size


def settings_of(home: Path) -> GatewaySettings:
    return GatewaySettings(home=home, passphrase=PASSPHRASE)


def goes_on(home: Path, founded: Founded) -> None:
    """The gateway takes, anchors and finishes another statement."""
    with open_gateway(home, founded) as running:
        assert running.state("utility", registration("later", {"a.csv": b"2"})).index is not None


def check(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code = fsck([*map(str, arguments), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


@pytest.fixture
def run_concord(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setenv("CONCORD_PASSPHRASE", PASSPHRASE)
        monkeypatch.setattr(sys, "argv", ["concord", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            concord()
        return int(done.value.code or 0), *capsys.readouterr()

    return run


def test_an_old_log_folder_is_refused_and_recovered(copies: Copies, tmp_path: Path, run_concord: Any) -> None:
    home = copies.restore(tmp_path / "home", "log")
    before, after = size_of(home / "log"), size_of(copies.newer_log)
    with pytest.raises(FatalError, match=r"concord log recover --from"), open_gateway(home, copies.founded):
        pass
    code, out, err = run_concord("log", "recover", "--from", copies.newer_log, "--home", home)
    assert (code, err) == (0, "")
    assert out.startswith(f"log of {after} entries ({after} on chain): entries {before} to {after - 1} recovered\n")
    code, out, _ = run_concord("log", "recover", "--from", copies.newer_log, "--home", home, "--json")
    answer = json.loads(out)
    assert (code, answer["recovered"], answer["missing_statements"]) == (0, 0, [])
    goes_on(home, copies.founded)


def test_an_old_log_and_database_are_refused_and_recovered(
    copies: Copies, tmp_path: Path, run_concord: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    home = copies.restore(tmp_path / "home", *OLD)
    before, after = size_of(home / "log"), size_of(copies.newer_log)
    with pytest.raises(FatalError, match=r"this is an old copy\. Run `concord log recover"):
        goes_on(home, copies.founded)
    code, out, err = run_concord("log", "recover", "--from", copies.newer_log, "--home", home)
    assert (code, err) == (0, "")
    assert f"entries {before} to {after - 1} recovered" in out
    assert f"{after - before} statements' texts are missing" in out
    goes_on(home, copies.founded)
    code, answer = check(capsys, "--home", home)
    assert (code, answer["first_divergence"]) == (1, before)
    assert [each["kind"] for each in answer["findings"]] == ["statement"] * (after - before)


def sign(said: Said) -> SignedStatement:
    signature, signer = parse_hex(str(said.body["signature"])), Address.parse(str(said.body["signer"]))
    return SignedStatement(said.statement, signature, signer)


def stream(running: Consortium, who: str, data: bytes) -> list[tuple[int, bool]]:
    """Index of each line of a bulk stream, and whether it was in the log before."""
    found: list[tuple[int, bool]] = []

    async def body() -> AsyncIterator[bytes]:
        yield data

    async def keep(answers: Answers) -> None:
        for each in answers.lines:
            assert isinstance(each, Taken), each
            found.append((each.index, each.repeated))

    async def go() -> None:
        async with asyncio.timeout(30):
            await running.gateway.bulk.open(running.asker(who)).run(body(), keep)

    asyncio.run(go())
    return found


@pytest.mark.slow
def test_texts_that_come_again_take_their_old_places(
    copies: Copies,
    tmp_path: Path,
    run_concord: Any,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = tmp_path / "home"
    shutil.copytree(copies.folder / "new", home)
    with open_gateway(home, copies.founded) as running:
        key = LocalKey(read_key_file(copies.founded.key_files["analyst/signing"], PASSPHRASE))
        sayer = Sayer(copies.founded.participants["analyst"], key, running.gateway.parts.domains)
        said = [sayer.register() for _ in range(4)]
        statements = running.gateway.statements
        outcomes = [statements.submit(running.asker("analyst"), sign(each)) for each in said]
        for each in outcomes:
            running.finish(each)
    old = tmp_path / "old"
    shutil.copytree(home, old)
    for name in OLD:
        target, before = old / name, copies.folder / "new" / name
        (shutil.rmtree if target.is_dir() else Path.unlink)(target)
        (shutil.copytree if before.is_dir() else shutil.copy)(before, target)
    for tail in ("-wal", "-shm"):
        (old / f"ledger.db{tail}").unlink(missing_ok=True)
    assert run_concord("log", "recover", "--from", home / "log", "--home", old)[0] == 0
    size = size_of(old / "log")
    with open_gateway(old, copies.founded) as running:
        (told,) = [each.getMessage() for each in caplog.records if "no statement here" in each.getMessage()]
        assert told.startswith(f"4 entries of the log have no statement here (the first: {outcomes[0].index}, ")
        again = running.gateway.statements.submit(running.asker("analyst"), sign(said[0]))
        assert again.index == outcomes[0].index
        taken = stream(running, "analyst", said[1].line + said[2].line + said[1].line)
        assert taken == [(outcomes[1].index, True), (outcomes[2].index, True), (outcomes[1].index, True)]
        assert running.finish(running.gateway.statements.outcome(said[1].digest)).receipt
    assert size_of(old / "log") == size
    code, answer = check(capsys, "--home", old)
    assert (code, [each["index"] for each in answer["findings"]]) == (1, [outcomes[3].index])


def test_everything_fetched_again_heals_a_damaged_folder(
    copies: Copies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = copies.restore(tmp_path / "home")
    size = size_of(home / "log")
    damaged = home / f"log/tile/entries/000.p/{size}"
    flip_bit(damaged, -1)
    code, answer = check(capsys, "--home", home)
    assert (code, answer["first_divergence"]) == (1, size - 1)
    done = recover_log(settings_of(home), Mirror(str(copies.newer_log)), everything=True)
    assert (done.first_index, done.size, done.missing) == (0, size, ())
    assert check(capsys, "--home", home)[0] == 0


@pytest.mark.slow
def test_a_mirror_that_ends_early_is_completed_from_statements(copies: Copies, tmp_path: Path) -> None:
    home = copies.restore(tmp_path / "home", "log")
    old = Mirror(str(copies.folder / "old" / "log"))
    done = recover_log(settings_of(home), old)
    assert done.size == size_of(copies.newer_log) == size_of(home / "log")
    goes_on(home, copies.founded)


@pytest.mark.slow
def test_mirrors_that_do_not_help(copies: Copies, tmp_path: Path) -> None:
    home = copies.restore(tmp_path / "home", *OLD)
    before = (home / "log" / "checkpoint").read_bytes()
    foreign = tmp_path / "foreign"
    with open_log(foreign, MemoryCheckpointStore()) as log:
        log.append(entries_of("foreign", 40))
    wrong = tmp_path / "wrong"
    shutil.copytree(copies.newer_log, wrong)
    bundle = wrong / f"tile/entries/000.p/{size_of(wrong)}"
    flip_bit(bundle, -1)
    cut = tmp_path / "cut"
    shutil.copytree(copies.newer_log, cut)
    (cut / f"tile/entries/000.p/{size_of(cut)}").write_bytes(b"\xff\xff")
    for mirror, error, words in (
        (copies.folder / "old" / "log", UnavailableError, "name a mirror that has them"),
        (foreign, VerificationError, "does not mirror"),
        (wrong, VerificationError, "nothing was recovered"),
        (cut, UnavailableError, "damaged"),
        (tmp_path, NotFoundError, "no log at"),
    ):
        with pytest.raises(error, match=words):
            recover_log(settings_of(home), Mirror(str(mirror)))
        assert (home / "log" / "checkpoint").read_bytes() == before
    (home / "consortium.json").unlink()
    with pytest.raises(NotFoundError, match=r"consortium\.json"):
        recover_log(settings_of(home), Mirror(str(copies.newer_log)))


def test_a_running_gateway_is_not_recovered_but_checked(
    copies: Copies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = copies.restore(tmp_path / "home")
    with open_gateway(home, copies.founded):
        with pytest.raises(ConflictError):
            recover_log(settings_of(home), Mirror(str(copies.newer_log)))
        code, answer = check(capsys, "--home", home)
        assert (code, answer["verdict"], answer["findings"]) == (0, "clean", [])
    assert answer["size"] == size_of(home / "log")
    assert answer["checkpoints_on_chain"] > 1
    assert answer["files"] == 1


def test_against_the_chain_itself(copies: Copies, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, policy = copies.restore(tmp_path / "home"), tmp_path / "policy.json"
    with open_gateway(home, copies.founded) as running:
        gateway = running.gateway
        with serve(lambda body: (200, gateway.rpc(json.dumps(body).encode()))) as url:
            policy.write_bytes(create_policy(Node(url), gateway.parts.deployment.contracts).to_bytes())
            trust = ["--policy", policy, "--rpc", url]
            code, answer = check(capsys, "--home", home, *trust)
            assert (code, answer["not_checked"]) == (0, [])
            code, mirrored = check(capsys, "--log", home / "log", *trust)
            assert (code, mirrored["checkpoints_on_chain"]) == (0, answer["checkpoints_on_chain"])
            code, behind = check(capsys, "--log", copies.folder / "old" / "log", *trust)
            assert (code, behind["first_divergence"]) == (1, size_of(copies.folder / "old" / "log"))
            for first, second in ((copies.folder / "old" / "log", "chain"), ("chain", home / "log")):
                tiles = ["--tiles", str(home / "log")]
                assert compare([str(first), str(second), *tiles, *map(str, trust), "--json"]) == 0
                assert json.loads(capsys.readouterr().out)["larger"]["size"] == size_of(home / "log")
            trusted = parse_policy(policy.read_bytes())
            chain = ChainCheckpoints(url, trusted, trusted.logs[0])
            shown = build_event_evidence(chain.prove(chain.find()))
            assert Verifier(trusted).verify(shown.to_bytes()).verdict is Verdict.VERIFIED


@pytest.fixture
def home(copies: Copies, tmp_path: Path) -> Path:
    return copies.restore(tmp_path / "home")


def change(home: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(home / "ledger.db")
    with connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


def test_what_fsck_finds_in_a_home(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = next(each for each in (home / "content" / "files").rglob("*") if each.is_file())
    flip_bit(stored, -1)
    swap = 'replace(message, \'"version":"2"\', \'"version":"1"\')'
    second = "type = 'DatasetRegistration' AND message LIKE '%\"version\":\"2\"%'"
    change(home, f"UPDATE statements SET message = {swap} WHERE {second}")
    change(home, "UPDATE statements SET log_index = ? WHERE log_index = ?", f"{900:020}", f"{0:020}")
    code, answer = check(capsys, "--home", home)
    assert code == 1
    kinds = sorted(each["kind"] for each in answer["findings"])
    assert kinds == ["entry", "file", "second-root", "statement", "statement"]
    told = [each["message"] for each in answer["findings"] if each["kind"] == "statement"]
    assert "its text makes another digest" in told[0]
    assert "900" in told[1]


def test_signatures_and_signed_checkpoints_are_checked_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = check(capsys, "--home", home)
    assert (code, answer["signatures"]) == (0, answer["size"])
    change(home, "UPDATE statements SET signer = ?, executable = 0 WHERE log_index = ?", bytes(20), f"{3:020}")
    code, answer = check(capsys, "--home", home)
    assert (code, [(each["kind"], each["index"]) for each in answer["findings"]]) == (1, [("signature", 3)])
    first = f"SELECT min(size) FROM signed_checkpoints WHERE size > '{0:020}'"
    for text, words in ((Checkpoint(ORIGIN, 1, bytes(32)).text, "a signed checkpoint says AAAA"), ("x", "malformed")):
        change(home, f"UPDATE signed_checkpoints SET text = ? WHERE size = ({first})", text)
        code, answer = check(capsys, "--home", home)
        assert (code, {each["kind"] for each in answer["findings"]}) == (1, {"signature", "root"})
        assert any(words in each["message"] for each in answer["findings"])
    assert fsck(["--home", str(home)]) == 1
    assert " signatures recovered" in capsys.readouterr().out


def test_what_is_not_in_a_home(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(home / "content")
    (home / "log" / "checkpoint").unlink()
    code, answer = check(capsys, "--home", home)
    assert code == 1
    assert sorted(each["kind"] for each in answer["findings"]) == ["file", "root"]
    (home / "consortium.json").rename(home / "elsewhere.json")
    assert check(capsys, "--home", home)[0] == 3
    (home / "elsewhere.json").rename(home / "consortium.json")
    (home / "ledger.db").unlink()
    assert check(capsys, "--home", home)[0] == 3


def test_statements_that_can_not_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = "WHERE log_index = (SELECT max(log_index) FROM statements WHERE type = 'DatasetRegistration')"
    change(home, f"UPDATE statements SET type = 'OfALaterVersion' {where}")
    code, answer = check(capsys, "--home", home)
    assert (code, [each["kind"] for each in answer["findings"]]) == (1, ["statement"])
    change(
        home,
        f"UPDATE statements SET type = 'DatasetRegistration' {where.replace('DatasetRegistration', 'OfALaterVersion')}",
    )
    change(home, "UPDATE statements SET message = '{}' WHERE log_index = ?", f"{4:020}")
    code, answer = check(capsys, "--home", home)
    assert code == 1
    assert [(each["kind"], each["index"]) for each in answer["findings"]] == [("statement", 4)]
    bundle = home / f"log/tile/entries/000.p/{size_of(home / 'log')}"
    bundle.unlink()
    change(home, "UPDATE statements SET log_index = ? WHERE log_index = ?", f"{900:020}", f"{0:020}")
    code, answer = check(capsys, "--home", home)
    assert [each["kind"] for each in answer["findings"]] == ["bundle", "bundle", "statement"]
    change(home, "DELETE FROM signed_checkpoints")
    assert check(capsys, "--home", home)[0] == 3


@pytest.mark.slow
def test_a_log_key_that_the_index_does_not_know_yet(copies: Copies, tmp_path: Path) -> None:
    home = copies.restore(tmp_path / "home", "log")
    for tail in ("", "-wal", "-shm"):
        (home / f"ledger.db{tail}").unlink(missing_ok=True)
    done = recover_log(settings_of(home), Mirror(str(copies.newer_log)))
    assert done.anchored_size == done.size == len(done.missing)
