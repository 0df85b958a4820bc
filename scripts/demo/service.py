"""The service as the demo runs it: `concord init` and `concord serve`, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from ledger.errors import UnavailableError

__all__ = ["CommandFailedError", "Service", "run_concord", "running"]

_STOPPING_S: Final = 20.0


class CommandFailedError(UnavailableError):
    """`concord` ended with an error: ``document`` is what it said."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"concord {command} failed: {said}")
        last = said.splitlines()[-1] if said else ""
        self.document: dict[str, Any] = json.loads(last) if last.startswith("{") else {}


def _environment(passphrase: str) -> dict[str, str]:
    return {**os.environ, "CONCORD_PASSPHRASE": passphrase}


def run_concord(arguments: Sequence[str], passphrase: str) -> Any:
    """Run `concord --json ARGUMENTS` and return what it printed. Raises: CommandFailedError."""
    command = [sys.executable, "-m", "scripts.concord", "--json", *arguments]
    done = subprocess.run(command, env=_environment(passphrase), capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode != 0:
        raise CommandFailedError(arguments[0], done.stderr.strip())
    return json.loads(done.stdout)


class Service:
    """A running `concord serve`."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.process = process


@contextmanager
def running(home: Path, passphrase: str, log: IO[str], port: int = 0) -> Iterator[Service]:
    """Start the service, by default on a free port, and stop it at the end; ``log`` takes what it says.

    Raises:
        UnavailableError: it does not come up, or does not stop.
    """
    arguments = ["--json", "serve", "--home", str(home), "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "scripts.concord", *arguments],
        env=_environment(passphrase),
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        yield Service(_read_url(process), process)
    finally:
        _stop(process)


def _read_url(process: subprocess.Popen[str]) -> str:
    """The URL that it prints once it listens; its end, if it ends before."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise UnavailableError("the service did not start")
    return str(json.loads(line)["url"])


def _stop(process: subprocess.Popen[str]) -> None:
    """Ask it to end, and wait until it has. Raises: UnavailableError."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOPPING_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise UnavailableError(f"the service did not stop within {_STOPPING_S:.0f} s and was killed") from error
    finally:
        if process.stdout is not None:
            process.stdout.close()
