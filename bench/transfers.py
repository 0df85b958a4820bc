"""How fast data sets are handed over: ``python -m bench.transfers [--mebibytes M] [--files N] [--rounds R]``.

A real service on loopback, and ``concord`` as its users run it, one process a command: a provider registers a folder
and uploads it; a consumer pulls it sealed, checks every chunk, receipts it, gets the key, opens everything and checks
it again. Beside it, in the same round, what moves the same file without any of that: Python's own HTTP server and curl,
which writes what it gets to the same disk. The first pull of a version has to seal it as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from bench.delivery_ceiling import Ceiling, measure_ceiling
from bench.hashing import make_small
from bench.processes import watching_tree
from bench.table import format_table
from ledger.client import Client, access
from ledger.errors import LedgerError
from tests.support.ports import draw_ports
from tests.support.served import ROOT, environment, served
from tests.support.world import serving

__all__ = ["Run", "Side", "format_figures", "main"]

_MIB: Final = 1 << 20
_SHARE: Final = 0.5
_MOST_MEMORY_BYTES: Final = 200 * _MIB
_PROVIDER: Final = "utility"
_CONSUMER: Final = "analyst"


@dataclass(frozen=True)
class Run:
    """What one command took: seconds, and the highest memory of itself and of the service, in bytes."""

    elapsed_s: float
    client_bytes: int
    service_bytes: int


@dataclass
class Side:
    """A service under way, and who speaks to it."""

    folder: Path
    url: str
    pid: int
    tokens: dict[str, str] = field(repr=False)

    def concord(self, who: str, *arguments: str | Path) -> Run:
        """Run a command to its end. Raises: RuntimeError: it failed."""
        told = {"CONCORD_URL": self.url, "CONCORD_API_KEY": self.tokens[who], "XDG_CACHE_HOME": str(self.folder)}
        command = [sys.executable, "-m", "scripts.concord", *map(str, arguments)]
        with watching_tree(self.pid) as service:
            started = time.perf_counter()
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment() | told,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            with watching_tree(child.pid) as client:
                _, said = child.communicate()
            elapsed_s = time.perf_counter() - started
        if child.returncode:
            raise RuntimeError(f"concord {' '.join(map(str, arguments))} ended with {child.returncode}: {said}")
        return Run(elapsed_s, client.peak_bytes, service.peak_bytes)

    def push(self, folder: Path, slug: str) -> Run:
        """Register a folder and upload it, and wait until that is final."""
        return self.concord(_PROVIDER, "dataset", "register", folder, f"{_PROVIDER}/{slug}", "--wait", "final")

    def grant(self, slug: str) -> None:
        """Let the consumer have it."""
        flow = access.grant(
            f"{_PROVIDER}/{slug}",
            _CONSUMER,
            purpose="ResearchAndDevelopment",
            rights=["read"],
            valid_until=datetime.now(UTC) + timedelta(days=1),
            wait_s=30,
        )
        with Client(self.url, self.tokens[_PROVIDER]) as client:
            client.run(flow)

    def pull(self, slug: str) -> Run:
        """Pull it into a fresh folder, compare it with what was pushed, and remove it."""
        place = self.folder / "pulled"
        run = self.concord(_CONSUMER, "dataset", "pull", f"{_PROVIDER}/{slug}", "--to", place)
        subprocess.run(["diff", "-rq", self.folder / slug, place], check=True)
        shutil.rmtree(place)
        return run


@contextmanager
def _serving(folder: Path) -> Iterator[Side]:
    """Found a consortium with a provider and a consumer, and serve it by a process of its own."""
    with serving(folder) as world:
        tokens = {handle: world.enroll(handle, custodial=True).token for handle in (_PROVIDER, _CONSUMER)}
    with served(folder / "home") as (process, url):
        yield Side(folder, url, process.pid, tokens)


def _fetch_plainly(source: Path, target: Path) -> float:
    """Seconds that curl takes for a file of Python's own server. Raises: CalledProcessError: it failed."""
    [port] = draw_ports(1)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(source.parent)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/{source.name}"
        asking = ["curl", "--silent", "--fail", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-I", url]
        subprocess.run(asking, check=True, stdout=subprocess.DEVNULL)
        started = time.perf_counter()
        subprocess.run(["curl", "--silent", "--fail", "--output", target, url], check=True)
        return time.perf_counter() - started
    finally:
        server.kill()
        server.wait()
        target.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Round:
    """The same bytes plainly, pushed, pulled for the first time and again; then small files."""

    ceiling: Ceiling
    plain_s: float
    push: Run
    first: Run
    again: Run
    small_push: Run
    small: Run


def _measure(side: Side, number: int, mebibytes: int, small_files: int) -> _Round:
    large, small = side.folder / f"large-{number}", side.folder / f"small-{number}"
    large.mkdir()
    with (large / "data.bin").open("wb") as target:
        for _ in range(mebibytes):
            target.write(os.urandom(_MIB))
    make_small(small, small_files)
    ceiling = measure_ceiling(side.folder)
    plain_s = _fetch_plainly(large / "data.bin", side.folder / "plain")
    push = side.push(large, large.name)
    side.grant(large.name)
    first, again = side.pull(large.name), side.pull(large.name)
    small_push = side.push(small, small.name)
    side.grant(small.name)
    small_pull = side.pull(small.name)
    shutil.rmtree(large)
    shutil.rmtree(small)
    return _Round(ceiling, plain_s, push, first, again, small_push, small_pull)


@dataclass(frozen=True)
class _Work:
    """How often each byte is hashed, enciphered, and written and synced."""

    hashes: int
    ciphers: int
    writes: int

    def limit(self, ceiling: Ceiling) -> float:
        """MiB in a second that are the most, whichever ends first: cores or disk."""
        return min(ceiling.speed(self.hashes, self.ciphers), ceiling.disk_speed(self.writes))


def format_figures(rounds: Sequence[_Round], mebibytes: int, small_files: int) -> str:
    """The table: medians of all rounds, memory at its highest."""
    plain = median(mebibytes / each.plain_s for each in rounds)
    rows = [
        ("plain HTTP, MiB/s", f"{plain:,.0f}", ""),
        ("SHA-256 in memory, all cores, MiB/s", f"{median(each.ceiling.hashed for each in rounds):,.0f}", ""),
        ("AES-256-GCM in memory, all cores, MiB/s", f"{median(each.ceiling.enciphered for each in rounds):,.0f}", ""),
        ("written and synced, MiB/s", f"{median(each.ceiling.written for each in rounds):,.0f}", ""),
    ]
    for name, runs, work in (
        ("registered and uploaded", [each.push for each in rounds], _Work(hashes=4, ciphers=0, writes=1)),
        ("pulled for the first time: sealed, too", [each.first for each in rounds], _Work(5, 2, 3)),
        ("pulled again", [each.again for each in rounds], _Work(3, 1, 2)),
    ):
        rows += _compare(name, list(zip(rounds, runs, strict=True)), work, mebibytes)
    for name, runs in (
        ("pushed", [each.small_push for each in rounds]),
        ("pulled", [each.small for each in rounds]),
    ):
        rate = median(small_files / run.elapsed_s for run in runs)
        rows.append((f"small files {name} in a second, of {small_files:,}", f"{rate:,.0f}", ""))
    every = [run for each in rounds for run in (each.push, each.first, each.again, each.small_push, each.small)]
    for name, peak in (
        ("client", max(run.client_bytes for run in every)),
        ("service", max(run.service_bytes for run in every)),
    ):
        rows.append((f"memory of the {name}, peak, MiB", f"{peak / _MIB:,.0f}", f"{_MOST_MEMORY_BYTES // _MIB}"))
    return format_table((f"medians of {len(rounds)}, {mebibytes:,} MiB", "measured", "target"), rows)


def _compare(name: str, runs: Sequence[tuple[_Round, Run]], work: _Work, mebibytes: int) -> list[tuple[str, str, str]]:
    """How fast it was, beside plain HTTP and what cores and disk allow; each ratio is of one round."""
    speeds = [(each, mebibytes / run.elapsed_s) for each, run in runs]
    of_plain = median(each.plain_s * speed / mebibytes for each, speed in speeds)
    hashed = median(each.ceiling.speed(work.hashes, work.ciphers) for each, _ in runs)
    written = median(each.ceiling.disk_speed(work.writes) for each, _ in runs)
    of_limit = median(speed / work.limit(each.ceiling) for each, speed in speeds)
    return [
        (f"{name}, MiB/s", f"{median(speed for _, speed in speeds):,.0f}", ""),
        ("  of plain HTTP", f"{of_plain:.2f}", f"{_SHARE}"),
        ("  what its hashes and ciphers allow, MiB/s", f"{hashed:,.0f}", ""),
        ("  what the disk allows, MiB/s", f"{written:,.0f}", ""),
        ("  of the smaller of the two", f"{of_limit:.2f}", ""),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast data sets are handed over.")
    parser.add_argument("--mebibytes", type=int, default=1024, help="of the large file")
    parser.add_argument("--files", type=int, default=2_000, help="small ones")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="concord-bench-transfers-") as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < 6 * given.mebibytes * given.rounds * _MIB:
            print(f"{folder} has no room for {6 * given.mebibytes * given.rounds:,} MiB: name another folder in TMPDIR")
            return 1
        try:
            with _serving(folder) as side:
                rounds = [_measure(side, each, given.mebibytes, given.files) for each in range(given.rounds)]
        except (LedgerError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"not measured: {error}", file=sys.stderr)
            return 1
        print(format_figures(rounds, given.mebibytes, given.files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
