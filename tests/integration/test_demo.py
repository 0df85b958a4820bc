"""The demo as a user runs it, in a folder of its own: fresh, continued, cheated, served."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import IO

import pytest

from scripts.demo.closing import CHEATS
from tests.support.chain import running_anvil
from tests.support.measuring import MEASURED

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "scripts" / "verify_provenance.py"

pytestmark = pytest.mark.timeout(300)


def environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CONCORD_")}
    return {**ours, "PYTHONPATH": str(ROOT)}


def run_demo(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command, told = [sys.executable, "-m", "scripts.demo", *arguments], {**environment(), **more}
    return subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, check=False, timeout=240)


def run_shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the demo ran, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = run_demo(folder, **MEASURED)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


@pytest.mark.slow
def test_the_main_job_runs_on_a_chain_that_is_there(tmp_path: Path) -> None:
    with running_anvil() as settings:
        done = run_demo(tmp_path, "--rpc", str(settings.rpc_url))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the stranger's own transaction, relayed past the service, reverted" in done.stdout
    assert not (tmp_path / "var" / "demo" / "gateway" / "chain").exists()


def test_the_main_job_runs_and_leaves_its_files(told: tuple[Path, str]) -> None:
    folder, printed = told
    demo = folder / "var" / "demo"
    assert sorted(path.name for path in (demo / "data").iterdir()) == ["analytics", "steelworks", "utility"]
    assert len(list((demo / "data" / "utility").iterdir())) == 2
    assert (demo / "data" / "analytics" / "charging@1" / "hourly_charging.csv").stat().st_size > 3 << 20
    assert (demo / "log" / "checkpoint").is_file()
    assert (demo / "secrets.json").stat().st_mode & 0o077 == 0
    kinds = {json.loads(path.read_bytes())["statement"]["type"] for path in (demo / "evidence").glob("*.json")}
    assert kinds == {
        "ParticipantApplication", "LogOpening", "GovernanceVote", "DatasetRegistration", "AccessRequest", "AccessGrant",
        "AccessRevocation", "AgreementProposal", "AgreementAcceptance", "UsageReport", "UsageConfirmation",
        "UsageDispute", "SettlementRecord",
    }  # fmt: skip
    for number in range(1, 9):
        assert f"\n{number}. " in printed
    assert re.search(r"no  the next download: 403 grant-revoked: .* block [0-9]+", printed)
    assert "hourly_charging.csv differs in chunk 2" in printed
    assert "\x1b" not in printed


def test_the_refusals_that_the_story_needs_are_told(told: tuple[Path, str]) -> None:
    refusals = "\n".join(line for line in told[1].splitlines() if line.startswith("   no"))
    for words in (
        "is not the manifest's", "without a grant: no grant permits this", "a stranger, at the service",
        "reverted in block", "over the quota", "grant-revoked",
    ):  # fmt: skip
        assert words in refusals


def pasted(printed: str, begin: str, end: str) -> str:
    """The lines between two headings, as a user would paste them."""
    return printed.partition(begin)[2].partition(end)[0]


def test_verification_by_hand_works_as_printed(told: tuple[Path, str]) -> None:
    folder, printed = told
    done = run_shell(folder, pasted(printed, "Verify again by hand", "Five cheats"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VERIFIED: 29 evidence files" in done.stdout


@pytest.mark.parametrize("number", range(1, len(CHEATS) + 1))
def test_each_cheat_is_caught_by_the_step_that_it_names(told: tuple[Path, str], number: int) -> None:
    folder, printed = told
    cheats = pasted(printed, "First, once:", "What one operator's")
    once, *commands = re.split(r"^  [0-9]\. .*: step ([0-9]+), .*$", cheats, flags=re.MULTILINE)
    step, command = commands[2 * (number - 1) : 2 * number]
    done = run_shell(folder, once + command)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = re.findall(r"^ +([0-9]+) FAIL", done.stdout, flags=re.MULTILINE)
    assert failed[0] == step
    assert f"step {step}" in done.stdout.splitlines()[-1]


def pass_on(stream: IO[str], lines: Queue[str]) -> None:
    for line in stream:
        lines.put(line)


@contextmanager
def served(folder: Path, *arguments: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`make serve` on a port that the system chooses, and what it printed before it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.demo.serve", *(arguments or ("--port", "0"))],
        cwd=folder, env={**environment(), **more}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines: Queue[str] = Queue()
    assert process.stdout is not None
    reader = threading.Thread(target=pass_on, args=(process.stdout, lines), daemon=True)
    reader.start()
    printed = ""
    try:
        while "Ctrl-C stops" not in printed:
            printed += lines.get(timeout=120)
        yield process, printed
    except Empty:
        pytest.fail(f"it does not serve: {printed}")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(90)
        reader.join(60)
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()


def check_three_commands(folder: Path, printed: str) -> None:
    own = folder / "my-data"
    own.mkdir(exist_ok=True)
    (own / "readings.csv").write_text("hour,mwh\n0,12.5\n")
    script = "set -e\n" + pasted(printed, "In another terminal, once:", "Then three commands")
    script += pasted(printed, "./my-data:\n", "Ctrl-C stops")
    done = run_shell(folder, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "registered " in done.stdout
    assert "VERIFIED" in done.stdout


@pytest.mark.slow
def test_serve_takes_the_demos_state_and_its_three_commands_work(told: tuple[Path, str]) -> None:
    folder, _ = told
    with served(folder, **MEASURED) as (_, printed):
        assert "with the demo's state" in printed
        check_three_commands(folder, printed)
        busy = run_demo(folder)
        assert busy.returncode == 1
        assert "holds the embedded chain" in busy.stderr
    assert (folder / "var" / "demo" / "gateway" / "ledger.db").exists()


@pytest.mark.slow
def test_the_demo_continues_with_its_state(told: tuple[Path, str]) -> None:
    folder, _ = told
    before = json.loads((folder / "var/demo/consortium.json").read_bytes())
    done = run_demo(folder, "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "continuing: founded and admitted by an earlier run" in done.stdout
    assert json.loads((folder / "var/demo/consortium.json").read_bytes()) == before
    assert (folder / "var/demo/data/analytics/charging@2").is_dir()


@pytest.mark.slow
def test_serve_founds_a_consortium_where_there_is_no_demo(tmp_path: Path) -> None:
    with served(tmp_path) as (_, printed):
        assert "with a state of its own" in printed
        port = re.findall(r"serving at http://127\.0\.0\.1:([0-9]+)", printed)[0]
        check_three_commands(tmp_path, printed)
        other = subprocess.run(
            [sys.executable, "-m", "scripts.demo.serve", "--port", port],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert other.returncode == 1
    assert f"port {port}" in other.stderr
    assert "make serve PORT=" in other.stderr


def test_keep_without_a_state_says_so_and_a_stop_is_told(tmp_path: Path) -> None:
    demo = tmp_path / "var" / "demo"
    (demo / "gateway" / "chain").mkdir(parents=True)
    (demo / "secrets.json").write_text("{")
    done = run_demo(tmp_path, "--keep")
    assert done.returncode == 1
    assert "secrets.json can not be read" in done.stderr
    assert "begins anew" in done.stderr
    assert "Traceback" not in done.stderr
