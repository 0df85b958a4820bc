"""Tessera's POSIX log under its own load generator: a fast log of unsigned entries, one HTTP request each.

Installed by ``go install`` into the benchmarks' cache, once. https://github.com/transparency-dev/tessera
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.bulk_prepared import cache_folder
from bench.processes import watching_tree
from ledger.log import NoteSigner

__all__ = ["TesseraFigures", "measure_tessera"]

_VERSION: Final = "v1.0.2"
_MODULE: Final = "github.com/transparency-dev/tessera"
_PROGRAMS: Final = {"posix": "cmd/conformance/posix", "hammer": "internal/hammer"}
_ENTRY_BYTES: Final = 97
_WRITERS: Final = 512
_INSTALL_S: Final = 300.0
_RUN_S: Final = 180.0


@dataclass(frozen=True)
class TesseraFigures:
    """Entries, how long they took, and CPU seconds of the log and of its load generator."""

    entries: int
    elapsed_s: float
    log_cpu_s: float
    load_cpu_s: float

    @property
    def rate(self) -> float:
        """Entries in a second."""
        return self.entries / self.elapsed_s


def measure_tessera(entries: int) -> TesseraFigures | str:
    """Write ``entries``; why not, where it can not be had."""
    programs = cache_folder() / "go" / "bin"
    if missing := _install(programs):
        return missing
    with tempfile.TemporaryDirectory(prefix="concord-bench-tessera-") as name:
        return _measure(Path(name), programs, entries)


def _install(programs: Path) -> str:
    """Why the programs are not there; nothing: they are."""
    if all((programs / name).exists() for name in _PROGRAMS):
        return ""
    if shutil.which("go") is None:
        return "there is no Go here"
    folder = programs.parent
    environment = {**os.environ, "GOPATH": str(folder), "GOBIN": str(programs), "GOFLAGS": "-modcacherw"}
    for path in _PROGRAMS.values():
        command = ["go", "install", f"{_MODULE}/{path}@{_VERSION}"]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"go install took longer than {_INSTALL_S:.0f} s"
        if done.returncode != 0:
            return f"go install failed: {done.stderr.strip()[-300:]}"
    return ""


def _measure(folder: Path, programs: Path, entries: int) -> TesseraFigures | str:
    signer = NoteSigner.generate("tessera.example/bench")
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(signer.to_text())
    with _serving(folder, programs) as (log, url):
        command = [
            str(programs / "hammer"), "--log_public_key", str(signer.verifier_key), "--log_url", f"file://{folder}/log/",
            "--write_log_url", url, "--num_writers", str(_WRITERS), "--max_write_ops", "1000000",
            "--leaf_write_goal", str(entries), "--leaf_min_size", str(_ENTRY_BYTES), "--dup_chance", "0",
            "--num_readers_full", "0", "--num_readers_random", "0", "--max_read_ops", "0", "--show_ui=false",
            "--max_runtime", f"{_RUN_S:.0f}s",
        ]  # fmt: skip
        usage_before = os.times()
        started = time.perf_counter()
        with watching_tree(log.pid) as watched:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_RUN_S, check=False)
        elapsed_s, usage = time.perf_counter() - started, os.times()
    if done.returncode != 0:
        return f"its load generator failed: {done.stderr.strip()[-300:]}"
    load_cpu_s = usage.children_user + usage.children_system - usage_before.children_user - usage_before.children_system
    return TesseraFigures(entries, elapsed_s, watched.cpu_s, load_cpu_s)


@contextmanager
def _serving(folder: Path, programs: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        str(programs / "posix"), "--private_key", str(folder / "key"), "--storage_dir", str(folder / "log"),
        "--listen", f"127.0.0.1:{port}",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as log:
        try:
            _await_listening(log, port)
            yield log, f"http://127.0.0.1:{port}/"
        finally:
            log.terminate()


def _await_listening(log: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while log.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("Tessera's log does not listen")
