"""Two processes that believe they are the log's writer: never both win, whoever dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from ledger.errors import ConflictError, FatalError
from tests.support.log import SqliteCheckpointStore, check_nothing_lost, entries_of, open_log
from tests.support.log_writer import SIZES, STOPPED

ROOT: Final = Path(__file__).parents[2]
BATCHES: Final = 40
Acknowledged = list[tuple[int, int, str]]


@contextmanager
def writer(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.log_writer", str(folder), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_all(lines: Iterable[str]) -> Acknowledged:
    """What was acknowledged; a line that a kill cut off was not, nor is a refusal."""
    parts = [line.split() for line in lines if line.endswith("\n") and line[0].isdigit()]
    return [(int(first), int(count), label) for first, count, label in parts]


def finish(process: subprocess.Popen[str]) -> tuple[int, Acknowledged, str]:
    out, err = process.communicate(timeout=120)
    lines = out.splitlines(keepends=True)
    why = next((line for line in lines if line.startswith("stopped")), err)
    return process.returncode, read_all(lines), why


def shared_copies(folder: Path) -> list[Path]:
    """Two copies of a log's folder over one database: what a restored machine beside the old one makes."""
    homes = [folder / "a", folder / "b"]
    for home in homes:
        home.mkdir()
    (homes[1] / "log.sqlite").symlink_to(homes[0] / "log.sqlite")
    with closing(SqliteCheckpointStore(homes[0] / "log.sqlite")) as store, open_log(homes[0] / "log", store) as log:
        log.append(entries_of("before", 250))
    shutil.copytree(homes[0] / "log", homes[1] / "log", ignore=shutil.ignore_patterns(".*"))
    return homes


def check(folder: Path, acknowledged: Acknowledged) -> None:
    with closing(SqliteCheckpointStore(folder / "log.sqlite")) as store, open_log(folder / "log", store) as log:
        entries = log.reader.entries(0, log.size)
        for first, count, label in acknowledged:
            assert entries[first : first + count] == entries_of(label, count)
        last = log.append([b"later"]).checkpoint
    check_nothing_lost(folder / "log", [*entries, b"later"], [last])


LATER = [pytest.param(each, marks=pytest.mark.slow) for each in ("second", "third")]


@pytest.mark.parametrize("round_name", ["first", *LATER])
def test_over_one_database_one_wins_and_the_other_stops(tmp_path: Path, round_name: str) -> None:
    homes = shared_copies(tmp_path)
    with ExitStack() as stack:
        processes = [stack.enter_context(writer(home, f"{round_name}-{home.name}", str(BATCHES))) for home in homes]
        ends = [finish(process) for process in processes]
    codes = [code for code, _, _ in ends]
    assert sorted(codes) == [0, STOPPED], ends
    won, lost = codes.index(0), codes.index(STOPPED)
    assert len(ends[won][1]) == BATCHES
    assert ends[lost][1] == []  # not one that both were told
    assert "another writer" in ends[lost][2] or "do not hold" in ends[lost][2]
    check(homes[won], ends[won][1])
    with closing(SqliteCheckpointStore(homes[lost] / "log.sqlite")) as store, pytest.raises(FatalError):
        open_log(homes[lost] / "log", store)


def test_the_one_that_lost_does_not_take_over_when_the_other_is_killed(tmp_path: Path) -> None:
    homes = shared_copies(tmp_path)
    with ExitStack() as stack:
        winner = stack.enter_context(writer(homes[0]))
        assert winner.stdout is not None
        said = read_all(winner.stdout.readline() for _ in range(5))
        loser = stack.enter_context(writer(homes[1], "late", str(len(SIZES))))
        assert finish(loser)[:2] == (STOPPED, [])
        os.kill(winner.pid, signal.SIGKILL)
        said += read_all(winner.stdout)
    with ExitStack() as stack:
        loser = stack.enter_context(writer(homes[1], "later", str(len(SIZES))))
        code, acknowledged, why = finish(loser)
    assert (code, acknowledged) == (STOPPED, [])
    assert "concord log recover --from" in why
    check(homes[0], said)


def test_on_one_folder_the_second_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    said: Acknowledged = []
    for _ in range(3):
        with writer(tmp_path) as first:
            assert first.stdout is not None
            said += read_all(first.stdout.readline() for _ in range(4))
            with (
                closing(SqliteCheckpointStore(tmp_path / "log.sqlite")) as store,
                pytest.raises(ConflictError, match=f"pid {first.pid}"),
            ):
                open_log(tmp_path / "log", store)
            os.kill(first.pid, signal.SIGKILL)
            said += read_all(first.stdout)
    check(tmp_path, said)
