"""A real process whose n-th fsync, write or rename fails, or during which it is killed; for every n that there is.

Which helping thread writes which of many files is another in every run: so n grows until a run in which nothing was
broken, and that run must be whole.

`strace` breaks the system calls, so nothing of ours is between the fault and the product. Then the log is opened again:
every acknowledged entry is where it was said to be, `fsck` finds nothing, and the log goes on.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.support.log import SqliteCheckpointStore, check_nothing_lost, entries_of, open_log
from tests.support.log_writer import SIZES

STRACE: Final = shutil.which("strace")
ROOT: Final = Path(__file__).parents[2]
BEFORE: Final = 254
CALLS: Final = {
    "write": "write",
    "fsync": "fsync,fdatasync",
    "rename": "rename,renameat,renameat2",
    "mkdir": "mkdir,mkdirat",
}
FAULTS: Final = [
    pytest.param("write", "error=EIO", marks=pytest.mark.slow),
    pytest.param("write", "signal=SIGKILL", marks=pytest.mark.slow),
    pytest.param("fsync", "error=EIO", marks=pytest.mark.slow),
    ("fsync", "signal=SIGKILL"),
    pytest.param("rename", "error=EIO", marks=pytest.mark.slow),
    pytest.param("rename", "signal=SIGKILL", marks=pytest.mark.slow),
    ("mkdir", "error=ENOSPC"),
]

pytestmark = [
    pytest.mark.skipif(
        STRACE is None and not os.environ.get("CI"),
        reason="STRACE IS MISSING: no real system call of the sequencer is broken. apt-get install strace",
    ),
    pytest.mark.timeout(300),
]


@dataclass
class Run:
    """What one process said, and how it ended (-9: killed).

    ``calls``: by name, how many its first thread made. ``is_broken``: one of its calls was.
    """

    acknowledged: list[tuple[int, int, str]]
    refused: int
    code: int
    calls: dict[str, int]
    is_broken: bool


class Server:
    """Forks writers and traces them."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, folder: Path, label: str, calls: str, fault: str = "") -> Run:
        """Run a writer to its end under ``fault`` (``error=EIO:when=3``); none counts its calls."""
        self._send(f"{folder} {label} {len(SIZES)}")
        pid = self._read().removeprefix("pid ")
        trace = folder / "trace"
        inject = ["-e", f"inject={calls}:{fault}"] if fault else []
        command = [str(STRACE), "-f", "-p", pid, "-o", str(trace), "-e", f"trace={calls}", *inject]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            attached = tracer.stderr.readline()
            assert "attached" in attached, attached
            self._send("go")
            acknowledged, refused = [], 0
            while not (line := self._read()).startswith("ended"):
                if line == "refused":
                    refused += 1
                else:
                    first, size, said = line.split()
                    acknowledged.append((int(first), int(size), said))
            tracer.wait(60)
        told, code = trace.read_text(), int(line.split()[1])
        met = re.findall(r"^(\d+) +(\w+)\(", told, re.MULTILINE)
        made = {name: sum(each == (pid, name) for each in met) for _, name in met}
        return Run(acknowledged, refused, code, made, "(INJECTED)" in told or code == -signal.SIGKILL)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 90)
        assert ready, "the writer says nothing"
        return self._process.stdout.readline().decode().strip()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.support.log_writer", "--serve"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        yield Server(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    with closing(SqliteCheckpointStore(folder / "log.sqlite")) as store, open_log(folder / "log", store) as log:
        log.append(entries_of("before", BEFORE))
    return folder


def check(folder: Path, run: Run) -> None:
    """Nothing acknowledged is lost, `fsck` finds nothing, and the log goes on."""
    with closing(SqliteCheckpointStore(folder / "log.sqlite")) as store, open_log(folder / "log", store) as log:
        entries = log.reader.entries(0, log.size)
        promised = [log.checkpoint]
        for first, size, label in run.acknowledged:
            assert entries[first : first + size] == entries_of(label, size)
        assert entries[:BEFORE] == entries_of("before", BEFORE)
        promised.append(log.append([b"it goes on"]).checkpoint)
    check_nothing_lost(folder / "log", [*entries, b"it goes on"], promised)


def test_strace_is_there_where_it_must_be() -> None:
    assert STRACE is not None, "CI is set and strace is missing: apt-get install -y strace"


@pytest.mark.parametrize(("call", "fault"), FAULTS)
def test_every_call_broken_once(server: Server, template: Path, tmp_path: Path, call: str, fault: str) -> None:
    healthy = copy(template, tmp_path / "healthy")
    whole = server.run(healthy, "healthy", CALLS[call])
    check_whole(whole)
    check(healthy, whole)
    assert whole.calls
    for name, least in whole.calls.items():
        for number in count(1):
            folder = copy(template, tmp_path / f"{name}-{number}")
            run = server.run(folder, "met", name, f"{fault}:when={number}")
            (check_run if run.is_broken else check_whole)(run, fault)
            check(folder, run)
            shutil.rmtree(folder)
            if not run.is_broken:
                assert number > max(least, 1), "the first thread makes so many of them in every run"
                break


def check_whole(run: Run, _fault: str = "") -> None:
    """Nothing was broken: each thread counts its own calls, and none made so many."""
    assert (len(run.acknowledged), run.refused, run.code) == (len(SIZES), 0, 0), run


def check_run(run: Run, fault: str) -> None:
    """A fault costs one batch, in the main thread and in one that helps it; a kill costs what comes after it."""
    if "SIGKILL" in fault:
        assert run.code == -9, run
        return
    assert run.code == 0, run
    assert len(run.acknowledged) + run.refused == len(SIZES), run
    assert run.refused <= 2, run


def copy(template: Path, folder: Path) -> Path:
    shutil.copytree(template, folder)
    return folder
