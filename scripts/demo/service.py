"""The service as the demo runs it: `concord init` and `concord serve`, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ledger.errors import UnavailableError

__all__ = ["Service", "run_concord", "running"]

_STARTING_S: Final = 60.0
_STOPPING_S: Final = 20.0


def _environment(passphrase: str) -> dict[str, str]:
    return {**os.environ, "CONCORD_PASSPHRASE": passphrase, "CONCORD_PUBLISH_AFTER_S": "0.5"}


def run_concord(arguments: Sequence[str], passphrase: str) -> Any:
    """Run `concord --json ARGUMENTS` and return what it printed. Raises: UnavailableError."""
    command = [sys.executable, "-m", "scripts.concord", "--json", *arguments]
    done = subprocess.run(command, env=_environment(passphrase), capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode != 0:
        raise UnavailableError(f"concord {arguments[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Service:
    """A running `concord serve`."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.process = process

    def stop(self) -> None:
        """Ask it to end, and wait until it has. Raises: UnavailableError."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOPPING_S)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise UnavailableError(f"the service did not stop within {_STOPPING_S:.0f} s and was killed") from error


@contextmanager
def running(home: Path, passphrase: str, log_file: Path) -> Iterator[Service]:
    """Start the service on a free port and stop it at the end. Raises: UnavailableError: it does not come up."""
    command = [sys.executable, "-m", "scripts.concord", "--json", "serve", "--home", str(home), "--port", "0"]
    with log_file.open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, env=_environment(passphrase), stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            service = Service(_read_url(process, log_file), process)
            yield service
        finally:
            Service("", process).stop()
            if process.stdout is not None:
                process.stdout.close()


def _read_url(process: subprocess.Popen[str], log_file: Path) -> str:
    deadline = time.monotonic() + _STARTING_S
    while time.monotonic() < deadline and process.stdout is not None:
        line = process.stdout.readline()
        if line:
            return str(json.loads(line)["url"])
        if process.poll() is not None:
            break
    raise UnavailableError(f"the service did not start: see {log_file}")
