"""`concord statements sign` and `import`, over real HTTP against a service that speaks the wire."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.canonical import JsonValue
from ledger.client import bulk, parse_domains
from ledger.errors import UnavailableError
from ledger.statements import Statement, verify_signature
from ledger.types import Address, Bytes32
from scripts.concord import import_progress, main
from scripts.concord.context import Context
from tests.support.bulk_wire import BulkWire, serving_wire
from tests.support.console import Console, Ran, draw_key_file
from tests.support.world import PASSPHRASE, World, serving

ID: Final = "0x" + "11" * 32
CONTRACTS: Final = ("ParticipantRegistry", "DatasetRegistry", "AccessGrants", "SharingAgreements", "CheckpointLog")
CONSORTIUM: Final[dict[str, JsonValue]] = {
    "chain_id": "77",
    "contracts": {name: {"address": "0x" + f"{place:040x}"} for place, name in enumerate(CONTRACTS, 1)},
}
Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("CONCORD_KEY", "_CONCORD_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONCORD_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CONCORD_API_KEY", "ck_abc")
    monkeypatch.setenv("CONCORD_CONSORTIUM", str(tmp_path / "consortium.json"))
    (tmp_path / "consortium.json").write_text(json.dumps(CONSORTIUM))

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["concord", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in err
        return Ran(ended.value.code, out, err)

    return run


@pytest.fixture
def wire() -> BulkWire:
    return BulkWire()


@pytest.fixture
def url(wire: BulkWire, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving_wire(wire) as url:
        monkeypatch.setenv("CONCORD_URL", url)
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "signed.ndjson"
    file.write_bytes(b'{"a": 1}\n\n{"bad": 2}\nbad \xff\n{"a": 3}\n')
    return file


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.usefixtures("url")
def test_refused_lines_are_put_aside_with_their_reason(run: Run, file: Path) -> None:
    ran = run("statements", "import", file)
    assert ran.code == 1
    assert "5 lines in" in ran.out
    assert "2 accepted, 0 in the log before, 2 refused\n  2 refused: malformed\n" in ran.out
    problem = {"code": "malformed", "detail": "it is bad"}
    refused = read_lines(Path(f"{file}.refused.ndjson"))
    assert refused[0].pop("digest").startswith("0x")
    assert refused[0] == {"line": 3, "problem": problem, "statement": {"bad": 2}}
    assert (refused[1]["line"], refused[1]["statement"]) == (4, "bad \\xff")

    file.write_bytes(b'{"a": 1}\n{"a": 3}\n')  # run again without them: nothing is refused any more
    ran = run("statement", "import", file, "--json")
    assert ran.code == 0
    assert {name: ran.json[name] for name in ("lines", "accepted", "repeated", "refused", "refused_file")} == {
        "lines": 2, "accepted": 0, "repeated": 2, "refused": 0, "refused_file": None,
    }  # fmt: skip
    assert (ran.err, Path(f"{file}.refused.ndjson").exists()) == ("", False)


@pytest.mark.usefixtures("url")
def test_answers_are_kept_where_told(run: Run, file: Path, tmp_path: Path) -> None:
    ran = run("statements", "import", file, "--answers", tmp_path / "answers", "--refused", tmp_path / "refused")
    assert f"indexes and signed checkpoints are in {tmp_path / 'answers'}" in ran.out
    answers = read_lines(tmp_path / "answers")
    assert [(each["line"], each["index"]) for each in answers if "line" in each] == [(1, 0), (5, 1)]
    assert answers[-1]["checkpoint"].startswith("log.example/wire\n2\n")
    assert [each["line"] for each in read_lines(tmp_path / "refused")] == [3, 4]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_it_goes_on_after_a_cut_and_tells_so(run: Run, wire: BulkWire, url: str, file: Path) -> None:
    wire.cuts = [5]
    ran = run("statements", "import", file)
    assert ran.code == 1
    assert f"concord: the connection to {url} was cut" in ran.err
    assert "sent again from the start" in ran.err
    assert [each["line"] for each in read_lines(Path(f"{file}.refused.ndjson"))] == [3, 4]


def test_it_says_how_to_go_on_when_it_gives_up(run: Run, wire: BulkWire, url: str, file: Path) -> None:
    wire.busy, wire.headers = 1, {}
    Path(f"{file}.refused.ndjson").write_text("of an earlier run")
    ran = run("statements", "import", file)
    assert (ran.code, ran.out) == (2, "")
    assert "another import is under way\n  0 lines had an answer; to go on, run the same command again" in ran.err
    assert Path(f"{file}.refused.ndjson").read_text() == "of an earlier run"
    assert url


@pytest.mark.usefixtures("url")
def test_ctrl_c_says_how_to_go_on(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_options: object) -> Iterator[bulk.Answer]:
        yield bulk.Refused(1, None, {"code": "x"}, b"{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(bulk, "send", interrupted)
    ran = run("statements", "import", file)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err.startswith("concord: stopped after 1 answer; to go on, run the same command again")
    assert ran.err.count("stopped") == 1
    assert read_lines(Path(f"{file}.refused.ndjson")) == [{"line": 1, "problem": {"code": "x"}, "statement": {}}]


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(("first", "then"), [(3, 1), (1, 3)])
def test_what_came_is_kept_and_counted_over_all_tries(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, first: int, then: int
) -> None:
    def cut(*_arguments: object, **_options: object) -> Iterator[bulk.Answer]:
        yield from (bulk.Accepted(line, Bytes32(bytes(32)), line, False) for line in range(first))
        yield bulk.Restarted("cut", 0.0)
        yield from (bulk.Accepted(line, Bytes32(bytes(32)), line, False) for line in range(then))
        raise UnavailableError("gone")

    monkeypatch.setattr(bulk, "send", cut)
    ran = run("statements", "import", file, "--answers", file.parent / "answers")
    assert (ran.code, ran.err.count("gone")) == (2, 1)
    assert "3 lines had an answer" in ran.err
    assert len(read_lines(file.parent / "answers")) == 3
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("url")
def test_standard_input_is_a_file_too(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    with file.open("rb") as raw, TextIOWrapper(raw) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = run("statements", "import", "-")
    assert ran.code == 1
    assert "refused lines and their reasons are in statements.refused.ndjson" in ran.out
    assert len(read_lines(file.parent / "statements.refused.ndjson")) == 2


@pytest.mark.usefixtures("url")
def test_a_named_pipe_is_read_once(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    os.mkfifo(file.parent / "pipe")
    writing = threading.Thread(target=(file.parent / "pipe").write_bytes, args=(file.read_bytes(),))
    writing.start()
    ran = run("statements", "import", file.parent / "pipe", "--json")
    writing.join()
    assert (ran.code, ran.json["lines"], ran.json["refused_file"]) == (1, 5, "statements.refused.ndjson")


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((".",), 3, "is a folder: name a file of statements"),
        (("none.ndjson",), 4, "there is no file none.ndjson"),
        (("FILE", "--refused", "nowhere/refused"), 4, "there is no folder nowhere"),
        (("FILE", "--answers", "FILE"), 3, "is the file to import"),
        (("FILE", "--policy", "none.json"), 4, "there is no policy none.json"),
    ],
)
def test_wrong_places_are_told_before_anything_is_sent(
    run: Run, wire: BulkWire, file: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = run("statements", "import", *(file if each == "FILE" else each for each in arguments))
    assert (ran.code, ran.out, wire.requests) == (code, "", [])
    assert words in ran.err


@pytest.mark.usefixtures("url")
def test_progress_is_told_on_lines_and_on_a_terminal(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_progress, "_EVERY", 1)
    monkeypatch.setattr(import_progress, "_LINE_PAUSE_S", 0)
    monkeypatch.setattr(import_progress, "_BAR_PAUSE_S", 0)
    file.write_bytes(b"{}\n" * 10)
    ran = run("statements", "import", file)
    assert "concord: 10 lines answered (100%), " in ran.err
    assert run("statements", "import", file, "--json").err == ""
    monkeypatch.setattr(Context, "has_terminal", True)
    monkeypatch.setenv("TTY_INTERACTIVE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = run("statements", "import", file)
    assert "10 lines, " in ran.err
    assert "100%" in ran.err


def test_a_restart_is_told_on_a_terminal(
    run: Run, wire: BulkWire, url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.busy = 1
    monkeypatch.setattr(Context, "has_terminal", True)
    assert "another import is under way: sent again" in run("statements", "import", file).err
    assert url


def test_a_file_is_signed_offline(run: Run, tmp_path: Path) -> None:
    key = draw_key_file(tmp_path / "own.key")
    unsigned = tmp_path / "all.ndjson"
    hashes = {"contentHash": ID, "metadataHash": ID}
    whole = {"participant": ID, "log": ID, "successor": ID, "deadline": "9", "salt": ID}
    first = {"type": "DatasetRegistration", "message": hashes}
    unsigned.write_text(json.dumps(first) + "\n\n" + json.dumps({"type": "LogClosing", "message": whole}))
    ran = run("statements", "sign", unsigned, "--key", tmp_path / "own.key", "--participant", ID, "--deadline", "2d")
    assert ran.code == 0, ran
    assert f"2 statements signed by {key.address} in {tmp_path / 'all.signed.ndjson'}" in ran.out
    registration, closing = read_lines(tmp_path / "all.signed.ndjson")
    assert closing["message"] == whole
    assert registration["message"] | hashes == registration["message"]
    assert (registration["message"]["version"], registration["message"]["parents"]) == ("1", [])
    for signed in (registration, closing):
        digest = Statement.parse(signed["type"], signed["message"]).digest(parse_domains(CONSORTIUM))
        verify_signature(digest, bytes.fromhex(signed["signature"][2:]), Address.parse(signed["signer"]))

    again = ("statements", "sign", unsigned, "--key", tmp_path / "own.key", "--participant", ID)
    assert "is there already: import it, or sign anew with --replace" in run(*again).err
    assert run(*again, "--replace", "--json").json["signed"] == 2
    late = run(*again, "--replace", "--deadline", "2020-01-01")
    assert late.code == 3
    assert "the deadline 2020-01-01 00:00:00Z has passed" in late.err
    handle = run(*again[:-1], "utility", "--replace")
    assert handle.code == 3
    assert "`concord participant show HANDLE` prints its id" in handle.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: it is not JSON; nothing was written"),
        ("[" * 100_000, "line 2: it is not JSON; nothing was written"),
        ('{"type": "LogClosing"}', 'line 2: a statement to sign is {"type": ..., "message": {...}}'),
        ('{"type": "DatasetRegistration", "message": {}}', "line 2: "),
        ('{"type": "Nothing", "message": {}}', "line 2: statement type 'Nothing' is not known"),
    ],
)
def test_a_line_that_is_no_statement_is_told_and_nothing_written(
    run: Run, tmp_path: Path, line: str, words: str
) -> None:
    draw_key_file(tmp_path / "own.key")
    (tmp_path / "a.ndjson").write_text("\n" + line)
    ran = run("statements", "sign", tmp_path / "a.ndjson", "--key", tmp_path / "own.key")
    assert (ran.code, ran.out) == (3, "")
    assert words in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ndjson", "consortium.json", "own.key"]


def test_signing_needs_a_key_and_a_place(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "signing needs your own key" in run("statements", "sign", tmp_path / "a.ndjson").err
    draw_key_file(tmp_path / "own.key")
    assert "need --output FILE" in run("statements", "sign", "-", "--key", tmp_path / "own.key").err
    assert "there is no file" in run("statements", "sign", tmp_path / "none", "--key", tmp_path / "own.key").err
    (tmp_path / "a.ndjson").write_text("\n")
    with (tmp_path / "a.ndjson").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = run("statements", "sign", "-", "-o", tmp_path / "out", "--key", tmp_path / "own.key")
    assert (ran.code, (tmp_path / "out").read_text()) == (0, "")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("concord")) as world:
        world.enroll("utility")
        yield world


def test_the_real_service_takes_what_was_signed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    concord, utility = Console(world, tmp_path, monkeypatch, capsys), world.members["utility"]
    unsigned = tmp_path / "all.ndjson"
    messages = [{"contentHash": "0x" + f"{number:064x}", "metadataHash": ID} for number in range(20)]
    lines = [json.dumps({"type": "DatasetRegistration", "message": message}) for message in messages]
    unsigned.write_text("\n".join(lines))
    signed, policy = tmp_path / "all.signed.ndjson", tmp_path / "policy.json"
    concord.ok(utility, "statements", "sign", unsigned, "--participant", utility.id)
    place = tmp_path / "consortium.json"
    concord.ok(utility, "policy", "create", "--rpc", f"{world.url}/rpc", "--consortium", place, "-o", policy)
    with signed.open("a") as file:
        file.write('{"type": "none"}\n')
    first = concord.run("statements", "import", signed, "--policy", policy, "--answers", tmp_path / "answers", "--json")
    assert first.code == 1, first
    counted = ("lines", "accepted", "repeated", "refused")
    assert [first.json[name] for name in counted] == [21, 20, 0, 1]
    assert [each["line"] for each in read_lines(Path(f"{signed}.refused.ndjson"))] == [21]
    again = concord.run("statements", "import", signed, "--json")
    assert [again.json[name] for name in counted] == [21, 0, 20, 1]
    digest = read_lines(tmp_path / "answers")[0]["digest"]
    shown = concord.answer(utility, "statements", "show", digest, "--wait", "final")
    assert (shown["type"], shown["state"]) == ("DatasetRegistration", "final")
