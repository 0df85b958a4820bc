"""`concord` as a process: founded, served, called nightly, in a terminal and without one, stopped and starved."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.surface.codec import dump_value
from ledger.surface.outcomes import InForce, Outcome, Refusal, State
from ledger.types import Bytes32
from tests.support.answering import Said, answering
from tests.support.measuring import MEASURED

ROOT: Final = Path(__file__).resolve().parents[2]
PASSPHRASE: Final = "correct horse"
COMMAND: Final = (sys.executable, "-m", "scripts.concord")
DIGEST: Final = Bytes32(b"\xcd" * 32)

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Desk:
    """Where commands are typed: a folder and an environment."""

    folder: Path
    settings: Mapping[str, str]

    def environment(self, **more: str) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("CONCORD_", "_CONCORD"))}
        home = {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(self.folder / "config"), "LC_ALL": "C.UTF-8"}
        return {**ours, **home, **self.settings, **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environment(**more), capture_output=True, text=True,
            check=False, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def ok(self, *arguments: str, **more: str) -> str:
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environment(**MEASURED), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A consortium that `concord init` founded and `concord serve` serves, and its operator's desk."""
    folder = tmp_path_factory.mktemp("office")
    desk = Desk(folder, {"CONCORD_PASSPHRASE": PASSPHRASE})
    founded = json.loads(desk.ok("init", "--home", "home", "--governor", "operator=Betreiber 東京", "--json"))
    process = desk.start("serve", "--home", "home", "--port", "0", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = json.loads(process.stdout.readline())["url"]
        yield Desk(folder, {**desk.settings, "CONCORD_URL": url, "CONCORD_API_KEY": founded["api_keys"]["operator"]})
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert "stopped" in err


def test_the_nightly_call_states_once_and_says_when_nothing_changed(office: Desk) -> None:
    out = office.folder / "out"
    (out / "ü ber").mkdir(parents=True)
    (out / "a.csv").write_text("hour,mwh\n0,1\n")
    (out / "ü ber" / "naïve +%?#.txt").write_text("x")
    (out / "large.bin").write_bytes(bytes(range(256)) * 8192)
    (out / "empty").write_bytes(b"")
    nightly = ("dataset", "register", "./out", "operator/power", "--if-changed", "--wait", "final", "--evidence", "ev")
    first = office.ok(*nightly, "--title", "Power", "--licence", "CC0-1.0", "--keyword", "hourly")
    assert re.fullmatch(r"registered operator/power@1: 0x[0-9a-f]{64} \(final, block [0-9]+\)\n", first)
    assert office.ok(*nightly) == "unchanged: version 1\n"
    assert json.loads(office.ok(*nightly, "--json"))["state"] == "unchanged"
    (out / "a.csv").write_text("hour,mwh\n0,2\n")
    assert office.ok(*nightly).startswith("registered operator/power@2: ")
    assert json.loads(office.ok("dataset", "show", "operator/power@2", "--json"))["metadata"]["title"] == "Power"
    policy = ("policy", "create", "--rpc", f"{office.settings['CONCORD_URL']}/rpc", "-o", "policy.json")
    office.ok(*policy, "--consortium", "home/consortium.json")
    office.ok("evidence", "operator/power", "-o", "ev", "--policy", "policy.json")
    assert "VERIFIED" in office.ok("verify", "ev", "--policy", "policy.json", "--data", "out")
    (out / "large.bin").write_bytes(b"other")
    refuted = office.run("verify", "ev", "--policy", "policy.json", "--data", "out", "--json")
    assert (refuted.returncode, json.loads(refuted.stdout)["verdict"]) == (1, "refuted")


@pytest.mark.slow
def test_a_download_resumes_and_overwrites_nothing_by_itself(office: Desk) -> None:
    source = office.folder / "src"
    source.mkdir()
    for name in ("a", "b"):
        (source / name).write_text(name)
    office.ok("dataset", "register", "src", "operator/resumed")
    get = ("dataset", "get", "operator/resumed", "got")
    assert "2 files, 2 bytes, all as registered" in office.ok(*get)
    (office.folder / "got" / "b").unlink()
    office.ok(*get)
    (office.folder / "got" / "a").write_text("mine")
    kept = office.run(*get)
    assert kept.returncode == 1
    assert "--replace" in kept.stderr
    assert (office.folder / "got" / "a").read_text() == "mine"
    office.ok(*get, "--replace")
    assert sorted(path.read_text() for path in (office.folder / "got").iterdir()) == ["a", "b"]


@pytest.mark.parametrize("which", [slice(2), pytest.param(slice(2, None), marks=pytest.mark.slow)])
def test_serving_what_can_not_be_served_is_told(office: Desk, which: slice) -> None:
    port = office.settings["CONCORD_URL"].rpartition(":")[2]
    cases: tuple[tuple[tuple[str, ...], dict[str, str], int, str], ...] = (
        (("--home", "home", "--port", port), {}, 2, "is in use: stop what listens there, or give another --port"),
        (("--home", "home", "--port", "0"), {"CONCORD_PASSPHRASE": "wrong"}, 4, "check the passphrase"),
        (("--home", "home", "--port", "0"), {}, 2, "another process"),
        (("--home", "nothing", "--port", "0"), {}, 4, "run `concord init` first"),
        (("--home", "home", "--host", "no.invalid"), {}, 2, "is no address"),
        (("--home", "home", "--port", "99999"), {}, 3, "'--port'"),
        (("--home", "home", "--port", "0"), {"CONCORD_PUBLISH_AFTER_S": "often"}, 3, "CONCORD_PUBLISH_AFTER_S"),
        (("--home", "home", "--port", "0"), {"CONCORD_PASSPHRASE": ""}, 3, "CONCORD_PASSPHRASE is empty"),
    )
    with ThreadPoolExecutor(3) as pool:
        endings = list(pool.map(lambda case: office.run("serve", *case[0], **case[1]), cases[which]))
    for done, (_, _, code, words) in zip(endings, cases[which], strict=True):
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr


def test_without_a_terminal_nothing_is_asked_and_nothing_drawn(office: Desk) -> None:
    bare = Desk(office.folder, {name: value for name, value in office.settings.items() if "PASS" not in name})
    done = bare.run("key", "new", "unasked.json")
    assert done.returncode == 3
    assert "set CONCORD_PASSPHRASE or CONCORD_PASSPHRASE_FILE, or run this in a terminal" in done.stderr
    assert not (office.folder / "unasked.json").exists()
    (office.folder / "drawn").mkdir()
    (office.folder / "drawn" / "a").write_text("a")
    quiet = office.run("dataset", "register", "drawn", "operator/drawn", "--wait", "final")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert "\x1b" not in quiet.stdout


def in_terminal(desk: Desk, answers: Mapping[str, str], *arguments: str, **more: str) -> tuple[int, str]:
    """Run a command in a pseudo-terminal, typing an answer where a prompt shows; its exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=desk.folder, env=desk.environment(TERM="xterm", **more), stdin=theirs,
        stdout=theirs, stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    shown, asked, deadline = b"", dict(answers), time.monotonic() + 100
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the terminal is gone with the process
            break
        if not piece:
            break
        shown += piece
        for prompt in [each for each in asked if shown.endswith(each.encode())]:
            os.write(ours, f"{asked.pop(prompt)}\n".encode())
    os.close(ours)
    return process.wait(60), shown.decode()


def test_a_new_passphrase_is_asked_for_twice_and_never_shown(office: Desk) -> None:
    bare = Desk(office.folder, {})
    answers = {"Passphrase for the new key mine.json: ": "secret", "Repeat for confirmation: ": "secret"}
    code, shown = in_terminal(bare, answers, "key", "new", "mine.json")
    assert code == 0, shown
    assert "secret" not in shown
    opened = bare.run("key", "show", "mine.json", CONCORD_PASSPHRASE="secret")
    assert opened.returncode == 0
    assert opened.stdout.strip() in shown
    code, shown = in_terminal(bare, {"Passphrase for mine.json: ": "wrong"}, "key", "show", "mine.json")
    assert (code, "check the passphrase" in shown) == (4, True)


def test_a_person_sees_that_something_is_under_way(office: Desk) -> None:
    folder = office.folder / "watched"
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(3 << 20))
    code, shown = in_terminal(office, {}, "dataset", "register", "watched", "operator/watched", "--wait", "final")
    assert code == 0, shown
    for words in ("hashing", "uploading", "waiting until it is final", "registered operator/watched@1: "):
        assert words in shown
    code, shown = in_terminal(office, {}, "dataset", "get", "operator/watched", "watched-got")
    assert (code, "downloading" in shown) == (0, True)
    code, shown = in_terminal(office, {}, "participant", "list")
    assert (code, "Betreiber 東京" in shown) == (0, True)


def test_names_are_escaped_where_they_can_not_be_shown(office: Desk) -> None:
    shown = office.ok("participant", "list", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert "Betreiber \\u6771\\u4eac" in shown


@pytest.mark.slow
def test_completion_answers_each_shell(office: Desk) -> None:
    bash = office.ok(_CONCORD_COMPLETE="complete_bash", COMP_WORDS="concord dataset re", COMP_CWORD="2")
    assert bash.split() == ["register", "retire"]
    for shell in ("zsh", "fish"):
        more = {"_TYPER_COMPLETE_ARGS": "concord prop", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        assert "proposal" in office.ok(_CONCORD_COMPLETE=f"complete_{shell}", **more)
    script = 'eval "$(concord completion bash)"; COMP_WORDS=(concord agr); COMP_CWORD=1; _concord_completion concord; '
    function = f'concord() {{ "{sys.executable}" -m scripts.concord "$@"; }}; export -f concord; '
    done = subprocess.run(
        ["bash", "-c", function + script + 'echo "${COMPREPLY[@]}"'], cwd=ROOT, env=office.environment(),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_full_disk_and_a_reader_that_left_are_no_tracebacks(office: Desk) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "participant", "list"], cwd=office.folder, env=office.environment(), stdout=full,
            stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (3, "concord: No space left on device\n")
    left = office.start("participant", "list")
    assert left.stdout is not None
    left.stdout.close()
    assert left.stderr is not None
    with left.stderr as stream:
        assert stream.read() == ""
    assert left.wait(60) == 0


def outcome(**changes: Any) -> bytes:
    accepted = Outcome(
        digest=DIGEST, type="AccessRevocation", participant=DIGEST, state=State.ACCEPTED, in_force=InForce.PENDING,
        refusal=None, index=3, receipt="", transaction=None, block=None, custodial=True, api_key="k",
        ids={"agreement": str(DIGEST)}, accepted_at=datetime.now(UTC), as_of_block=9,
    )  # fmt: skip
    document = dump_value(accepted)
    assert isinstance(document, dict)
    return json.dumps({**document, **changes}).encode()


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (outcome(), 2, "not lost: `concord statement show 0xcdcd"),
        (outcome(state="final", in_force="yes", block=12), 0, "accepted: 0xcdcd"),
        (
            outcome(
                state="final", in_force="refused", refusal=dump_value(Refusal("too-late", "the deadline is over", {}))
            ),
            1,
            "was said, and is not in force: the deadline is over",
        ),
    ],
)
def test_what_became_of_a_statement_decides_the_exit_code(tmp_path: Path, found: bytes, code: int, words: str) -> None:
    def answer(method: str, _path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        return Said(202, outcome()) if method == "POST" else Said(body=found)

    with answering(answer) as url:
        done = Desk(tmp_path, {"CONCORD_URL": url}).run("agreement", "accept", str(DIGEST))
    assert done.returncode == code
    assert words in done.stdout + done.stderr


def test_ctrl_c_says_stopped(tmp_path: Path) -> None:
    asked, over = threading.Event(), threading.Event()

    def answer(_method: str, _path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        asked.set()
        over.wait(60)
        return Said(body=b"")

    with answering(answer) as url:
        process = Desk(tmp_path, {"CONCORD_URL": url}).start("api-key", "whoami")
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        over.set()
    assert (process.returncode, out, err) == (130, "", "concord: stopped\n")
