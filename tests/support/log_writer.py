"""Processes that append to a log, to be killed and starved.

`python -m tests.support.log_writer DIR` appends until it is killed. `... DIR LABEL BATCHES` appends so many and ends
with code 0, or with code 3 when the log stops. `... --serve` forks such a process for each line `DIR LABEL BATCHES` on
its standard input, which waits for another line before it begins, so that a tracer can be attached to it.

One line an acknowledgement: `first count label`, with which `tests.support.log.entries_of` makes the entries. They are
written by writev, so that a tracer who breaks every write does not break them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from itertools import count
from pathlib import Path

from ledger.errors import FatalError, UnavailableError
from ledger.log import Sequencer
from tests.support.log import SqliteCheckpointStore, entries_of, open_log

SIZES = (3, 2300, 1)
"""The second is of so many files that several threads write and sync them."""
STOPPED = 3
_TRIES = 3
_SET_PTRACER = 0x59616D61  # linux/prctl.h: who may trace this process, where Yama restricts it
_ANYBODY = -1


def say(line: str) -> None:
    os.writev(1, [line.encode() + b"\n"])


def open_in(folder: Path) -> Sequencer:
    """Open the log; an error that passes is met by trying again, as a service manager does."""
    for _ in range(_TRIES):
        with contextlib.suppress(UnavailableError):
            return open_log(folder / "log", SqliteCheckpointStore(folder / "log.sqlite"))
    raise UnavailableError("the log could not be opened")


def append(log: Sequencer, label: str, size: int) -> None:
    try:
        batch = log.append(entries_of(label, size))
    except UnavailableError:
        say("refused")
    else:
        say(f"{batch.first_index} {batch.count} {label}")


def run(folder: Path, label: str, batches: int) -> int:
    try:
        with open_in(folder) as log:
            for number in range(batches):
                append(log, f"{label}-{number}", SIZES[number % len(SIZES)])
    except FatalError as error:
        say(f"stopped {error}")
        return STOPPED
    return 0


def run_forever(folder: Path) -> None:
    with open_in(folder) as log:
        for number in count():
            append(log, f"{os.getpid()}-{number}", 1 + number * 37 % 90)


def serve() -> None:
    """Fork one child a line; tell its pid, then how it ended."""
    with open(0, "rb", buffering=0) as lines:  # unbuffered: parent and child read from it in turn
        while line := lines.readline():
            folder, label, batches = line.decode().split()
            child = os.fork()
            if child == 0:
                ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)
                say(f"pid {os.getpid()}")
                lines.readline()
                os._exit(run(Path(folder), label, int(batches)))
            say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


def main(arguments: list[str]) -> int:
    if arguments == ["--serve"]:
        serve()
    elif len(arguments) == 3:
        return run(Path(arguments[0]), arguments[1], int(arguments[2]))
    else:
        run_forever(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
