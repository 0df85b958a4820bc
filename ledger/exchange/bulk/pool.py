"""The processes that check signatures: as many as cores, started at the first block, ended with the gateway.

Each has a thread here that hands it one block after another. A process that dies is replaced and its block given to the
new one. A block that kills two is given out in halves, until the line that does it is alone and refused.
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import BinaryIO, Final, cast

import msgspec

from ledger.checking import Record, Rejected, decode_records
from ledger.checking.worker import encode_domains, read_frame, write_frame
from ledger.errors import LedgerError, UnavailableError
from ledger.statements import Domains

__all__ = ["CheckingPool"]

_TRIES: Final = 2
_MOST_PIECES: Final = 64
"""Pieces of one block that may each end two processes; beyond that the block is given up."""
_FATAL: Final = Rejected("MalformedError", "no process could check this line: two ended over it")
_RETRY_AFTER_S: Final = 5.0
_END_S: Final = 5.0
_COMMAND: Final = (sys.executable, "-m", "ledger.checking.worker")
_logger = logging.getLogger(__name__)

_Job = tuple[bytes, "Future[list[Record]]"]


class CheckingPool:
    """Checks blocks of lines. Thread-safe."""

    def __init__(self, domains: Domains, size: int | None = None) -> None:
        self._greeting = encode_domains(domains)
        self._size = size or os.cpu_count() or 1
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._turn = threading.Lock()
        self._is_closed = False

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of those that run now."""
        with self._turn:
            return frozenset(process.pid for process in self._processes)

    def check(self, block: bytes) -> Future[list[Record]]:
        """Have the lines of ``block`` checked: a record for each.

        The future's errors: UnavailableError: no process could do it, or the pool is closed.
        """
        done: Future[list[Record]] = Future()
        with self._turn:
            if self._is_closed:
                done.set_exception(_unavailable("the gateway is closing"))
                return done
            if not self._threads:
                self._start()
            self._jobs.put((block, done))
        return done

    def close(self) -> None:
        """End the processes and wait for them; blocks that wait fail. A second call does nothing."""
        with self._turn:
            if self._is_closed:
                return
            self._is_closed = True
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        self._threads = [
            threading.Thread(target=self._run, name=f"concord-checking-{number}", daemon=True)
            for number in range(self._size)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        process: subprocess.Popen[bytes] | None = None
        while (job := self._jobs.get()) is not None:
            block, done = job
            if not done.set_running_or_notify_cancel():
                continue
            if self._is_closed:
                done.set_exception(_unavailable("the gateway is closing"))
                continue
            process = self._do(process, block, done)
        if process is not None:
            self._end(process)

    def _do(
        self, process: subprocess.Popen[bytes] | None, block: bytes, done: Future[list[Record]]
    ) -> subprocess.Popen[bytes] | None:
        """Check a block in ``process`` or a new one; return the process that is alive afterwards."""
        records: list[Record] = []
        waiting, pieces = [block], 0
        while waiting:
            piece = waiting.pop()
            process, found = self._try(process, piece)
            pieces += found is None
            if found is None and b"\n" not in piece[:-1]:
                process, alone = self._try(process, b"\n")
                found = None if alone is None else [_FATAL]  # the line's doing: others can be checked
            elif found is None and pieces <= _MOST_PIECES:
                waiting += reversed(_halve(piece))
                continue
            if found is None:
                done.set_exception(_unavailable("no process could check the lines"))
                return process
            records += found
        done.set_result(records)
        return process

    def _try(
        self, process: subprocess.Popen[bytes] | None, block: bytes
    ) -> tuple[subprocess.Popen[bytes] | None, list[Record] | None]:
        """The process that is alive afterwards, and the records; none where two processes ended over the block."""
        for _ in range(_TRIES):
            try:
                process = process or self._spawn()
                records = _ask(process, block)
            except OSError as error:
                _logger.warning("a checking process can not be reached: %s", error)
                records = None
            if records is not None:
                return process, records
            if process is not None:
                self._end(process)
                _logger.warning("checking process %d ended with code %s", process.pid, process.returncode)
                process = None
        return None, None

    def _spawn(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  our own
        with self._turn:
            self._processes.add(process)
        try:
            write_frame(cast("BinaryIO", process.stdin), self._greeting)
        except OSError:
            self._end(process)
            raise
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Close its input, which ends it; where it does not end by itself it is ended."""
        with self._turn:
            self._processes.discard(process)
        try:
            process.communicate(timeout=_END_S)
        except (subprocess.TimeoutExpired, OSError, ValueError):
            process.kill()
            process.wait()


def _ask(process: subprocess.Popen[bytes], block: bytes) -> list[Record] | None:
    """The process's records of a block; None when it ended or answers nonsense. Raises: OSError."""
    write_frame(cast("BinaryIO", process.stdin), block)
    frame = read_frame(cast("BinaryIO", process.stdout))
    if frame is None:
        return None
    try:
        return decode_records(frame)
    except msgspec.DecodeError:
        return None


def _halve(block: bytes) -> list[bytes]:
    """Two pieces of whole lines; ``block`` has two lines at least."""
    end = block.find(b"\n", len(block) // 2, -1) + 1 or block.rfind(b"\n", 0, -1) + 1
    return [block[:end], block[end:]]


def _unavailable(reason: str) -> LedgerError:
    return UnavailableError(f"{reason}: send the lines without an answer again", retry_after_s=_RETRY_AFTER_S)
