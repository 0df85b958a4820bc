"""A real S3 server of the tests' own: versitygw over a folder, killed and started again as they like."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.ports import draw_ports
from tests.support.waiting import eventually

__all__ = ["ACCESS_KEY", "SECRET_KEY", "S3Server", "find_versitygw", "running_s3"]

ACCESS_KEY: Final = "concord-test"
SECRET_KEY: Final = "kept-out-of-every-message"
_NAMED: Final = "CONCORD_VERSITYGW"
_BUCKET: Final = "contents"


def find_versitygw() -> Path | None:
    """The program that CONCORD_VERSITYGW names, as `make test-objects` sets it."""
    named = os.environ.get(_NAMED)
    return None if named is None else Path(named)


def _files_in(folder: Path, but: str = "") -> list[Path]:
    """All files below it, in no folder named ``but``; one that goes meanwhile, as the server works, is none."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        if but in folders:
            folders.remove(but)
        found += [Path(place, name) for name in names]
    return found


class S3Server:
    """A server with one bucket, ``contents``; what is in it lies in ``bucket`` as files."""

    def __init__(self, folder: Path, program: Path) -> None:
        [self.port] = draw_ports(1)
        self.bucket = folder / _BUCKET
        self.bucket.mkdir(parents=True)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        listening = ["--port", f"127.0.0.1:{self.port}", "--quiet"]
        command = [str(self._program), *listening, "posix", str(self.bucket.parent)]
        environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._process = process
        eventually(lambda: process.poll() is not None or self._listens(), 60, "versitygw does not listen")
        assert process.poll() is None, "versitygw ended at once"

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=20)
            self._process = None

    def object_names(self) -> list[str]:
        """The keys that the bucket shows."""
        return sorted(str(path.relative_to(self.bucket)) for path in _files_in(self.bucket, but=".sgwtmp"))

    def parts(self) -> list[Path]:
        """The parts of uploads that were neither completed nor aborted."""
        return _files_in(self.bucket / ".sgwtmp" / "multipart")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


@contextmanager
def running_s3(folder: Path, program: Path) -> Iterator[S3Server]:
    """A server in ``folder``, gone with the block."""
    server = S3Server(folder, program)
    try:
        server.start()
        yield server
    finally:
        server.kill()
