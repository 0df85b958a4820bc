"""A real PostgreSQL server of the tests' own: on a Unix socket in a temporary folder, gone with the block."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

__all__ = ["PostgresServer", "find_programs", "running_postgres"]

_START_S: Final = 60
_ACCOUNT: Final = "postgres"


class PostgresServer:
    """A server in ``folder`` that can be killed and started again."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Where its socket lies."""
        return self._folder

    @property
    def parameters(self) -> str:
        """How libpq finds the server: its socket's folder and its superuser."""
        return f"host={self._folder} user={_ACCOUNT}"

    def initialise(self) -> None:
        """Make the cluster, in UTF-8 and without a password: its socket lies in a folder of its own account's."""
        command: list[str | Path] = [
            self._programs / "initdb",
            "-D",
            self._folder / "data",
            "-U",
            _ACCOUNT,
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        subprocess.run([*command, "--no-sync"], check=True, capture_output=True, cwd=self._folder, user=_account())

    def start(self) -> None:
        """Start the server and wait until it answers.

        While children of a killed one still hold its shared memory it ends again at once: it is begun anew.
        """
        deadline = time.monotonic() + _START_S
        self._begin()
        while True:
            try:
                psycopg.connect(f"{self.parameters} dbname=postgres").close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    error.add_note((self._folder / "server.log").read_text("utf-8", "replace")[-2000:])
                    raise
                if self._process is None or self._process.poll() is not None:
                    self._begin()
                time.sleep(0.05)

    def _begin(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder,
                    # Killed servers lose nothing of this: only a machine's fall would.
                    "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off",
                ],
                cwd=self._folder, stdout=log, stderr=log, user=_account(),
            )  # fmt: skip

    def kill(self) -> None:
        """End it at once and without warning, as a power cut would: its children see that it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_START_S)

    def stop(self) -> None:
        """End it in good order, connections included (its "fast" shutdown)."""
        if self._process is not None:
            self._process.send_signal(2)
            self._process.wait(_START_S)


def find_programs() -> Path | None:
    """The folder of initdb and postgres; None: there is no PostgreSQL server on this machine."""
    on_path = shutil.which("initdb")
    if on_path is not None and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A fresh server until the block ends. Raises: RuntimeError: there is none to start."""
    programs = find_programs()
    if programs is None:
        raise RuntimeError("there is no PostgreSQL server here: install one (Debian: apt-get install postgresql)")
    # A socket's path has at most 107 bytes: the folder lies where temporary folders do, not below a test's.
    folder = Path(tempfile.mkdtemp(prefix="concord-pg-"))
    account = _account()
    if account is not None:
        shutil.chown(folder, account)
    server = PostgresServer(folder, programs)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _account() -> str | None:
    """PostgreSQL refuses to run as root: there it runs as the account that its package made."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam(_ACCOUNT).pw_name
