"""The bulk load generator, a process of its own: ``python -m bench.bulk_load LOAD.json`` prints what it saw as JSON.

As lean as it can be, since it shares the machine with the service that is measured: file to socket within the kernel
(``sendfile``), answers counted by their bytes and not parsed.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["BulkLoad", "BulkResult", "Counter", "main"]

_RECEIVE_BYTES: Final = 1 << 18
_TIMEOUT_S: Final = 300.0
_ANSWERED: Final = b'"index"'
_DIGEST: Final = re.compile(rb'"digest": ?"(0x[0-9a-f]{64})"')
_PROBLEM: Final = b'"problem"'
_DONE: Final = re.compile(rb'\{"done".*\}')


@dataclass(frozen=True)
class BulkLoad:
    """What to send: shares of a file, each over a connection of its own."""

    url: str
    token: str
    file: str
    shares: Sequence[tuple[int, int]]

    def write(self, path: Path) -> None:
        """Write it for the generator."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))


@dataclass
class BulkResult:
    """What the generator saw: ``samples`` are moments (of the monotonic clock) and how many were accepted by then."""

    started: float = 0.0
    ended: float = 0.0
    cpu_s: float = 0.0
    samples: list[tuple[float, int]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    refused: int = 0
    repeated: int = 0
    failure: str = ""
    problem: str = ""

    @property
    def accepted(self) -> int:
        """How many were accepted in all."""
        return self.samples[-1][1] if self.samples else 0


class Counter:
    """Counts accepted statements in the bytes of an answer, wherever they are cut."""

    def __init__(self) -> None:
        self._rest = b""
        self.last_line = b""
        self.problem = b""

    def count(self, piece: bytes) -> tuple[int, str | None]:
        """How many more were accepted, and a digest of one of them."""
        whole, newline, rest = (self._rest + piece).rpartition(b"\n")
        self._rest = rest
        if not newline:
            return 0, None
        if done := _DONE.search(whole, max(0, len(whole) - 500)):
            self.last_line = done[0]
        if not self.problem and _PROBLEM in whole:
            self.problem = next(line for line in whole.split(b"\n") if _PROBLEM in line)
        found = _DIGEST.search(whole)
        return whole.count(_ANSWERED), None if found is None else found[1].decode()


class _Connection:
    """One request: a share of the file, and its answer."""

    def __init__(self, load: BulkLoad, share: tuple[int, int], result: BulkResult, lock: threading.Lock) -> None:
        self._load, self._share, self._result, self._lock = load, share, result, lock
        parts = urlsplit(load.url)
        self._socket = socket.create_connection((parts.hostname, parts.port), _TIMEOUT_S)

    def send(self) -> None:
        """Send head and share."""
        offset, size = self._share
        head = (
            "POST /v1/statements:batch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: Bearer {self._load.token}\r\nContent-Type: application/x-ndjson\r\n"
            f"Content-Length: {size}\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        with Path(self._load.file).open("rb") as file:
            self._socket.sendfile(file, offset, size)

    def receive(self) -> None:
        """Count the answers until the service closes the connection."""
        counter, began = Counter(), b""
        while piece := self._socket.recv(_RECEIVE_BYTES):
            began = began or piece[:1000]
            more, digest = counter.count(piece)
            with self._lock:
                self._result.samples.append((time.monotonic(), self._result.accepted + more))
                if digest is not None:
                    self._result.digests.append(digest)
        self._conclude(counter, began)

    def _conclude(self, counter: Counter, began: bytes) -> None:
        with self._lock:
            self._result.problem = self._result.problem or counter.problem.decode(errors="replace")
            if not counter.last_line:
                self._result.failure = f"an answer ended without its last line; it began {began[:600]!r}"
                return
            done: dict[str, Any] = json.loads(counter.last_line)
            self._result.refused += done["refused"]
            self._result.repeated += done["repeated"]

    def close(self) -> None:
        self._socket.close()


def _sending(connection: _Connection, result: BulkResult) -> None:
    try:
        connection.send()
    except OSError as error:  # the service hung up: its answer says why, if it said it
        result.failure = result.failure or f"sending was cut off: {error}"


def _receiving(connection: _Connection, result: BulkResult) -> None:
    try:
        connection.receive()
    except OSError as error:
        result.failure = result.failure or f"the answer was cut off: {error}"


def _send_all(load: BulkLoad) -> BulkResult:
    result, lock = BulkResult(), threading.Lock()
    connections = [_Connection(load, share, result, lock) for share in load.shares]
    result.started, cpu_started = time.monotonic(), time.process_time()
    threads = [
        threading.Thread(target=work, args=(each, result)) for each in connections for work in (_sending, _receiving)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.ended, result.cpu_s = time.monotonic(), time.process_time() - cpu_started
    for each in connections:
        each.close()
    return result


def main(path: Path) -> None:
    """Send a load and print the result."""
    print(json.dumps(asdict(_send_all(BulkLoad(**json.loads(path.read_bytes()))))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
