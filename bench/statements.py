"""Statements registered in a second: ``python -m bench.statements [--requests N] [--registrations N]``.

The real service (`concord init`, `concord serve`: embedded chain, SQLite and log on this disk) over HTTP on loopback.
Statements are signed ahead with the participants' own keys and submitted from another process; accepted means durable
in the log with a receipt, final means covered by a checkpoint on chain and, where a contract executes the type,
executed. The ceilings are measured in the same run, so that figures of unlike machines can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.ceilings import measure_commits, measure_recoveries
from bench.load import Load, LoadResult
from bench.processes import Usage, read_usage
from bench.stated import Party, found_parties, registrations, requests, sign_all
from bench.table import format_table
from ledger.client import Client, statements
from ledger.errors import LedgerError, UnavailableError
from ledger.statements import Statement
from ledger.types import Bytes32
from scripts.demo.service import Service, running

__all__ = ["Figures", "format_figures", "main", "measure_registrations"]

_FINAL_WITHIN_S: Final = 300.0
_LOAD_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True)
class Figures:
    """What was measured of one kind of statement. Service figures are None where the system does not tell them."""

    what: str
    load: LoadResult
    final_s: float
    service_cpu_s: float | None
    peak_bytes: int | None

    @property
    def accepted_rate(self) -> float:
        """Statements accepted in a second."""
        return self.load.accepted / self.load.elapsed_s

    @property
    def final_rate(self) -> float:
        """Statements that became final in a second, from the first request on."""
        return self.load.accepted / self.final_s


def format_figures(all_figures: list[Figures], recoveries: float, commits: float) -> str:
    """The table: one column for each kind of statement."""
    rows: list[tuple[str, ...]] = [
        ("statements", *(f"{each.load.accepted:,}" for each in all_figures)),
        ("accepted in a second", *(f"{each.accepted_rate:,.0f}" for each in all_figures)),
        ("final in a second", *(f"{each.final_rate:,.0f}" for each in all_figures)),
        ("all final after, s", *(f"{each.final_s:.1f}" for each in all_figures)),
        ("answer, median, ms", *(f"{each.load.median_s * 1e3:.0f}" for each in all_figures)),
        ("answer, 99th percentile, ms", *(f"{each.load.slowest_hundredth_s * 1e3:.0f}" for each in all_figures)),
        ("accepted / recoveries", *(f"{each.accepted_rate / recoveries:.4f}" for each in all_figures)),
        ("accepted / single commits", *(f"{each.accepted_rate / commits:.4f}" for each in all_figures)),
        ("service, cores", *(_share(each.service_cpu_s, each.load.elapsed_s) for each in all_figures)),
        ("load generator, cores", *(_share(each.load.cpu_s, each.load.elapsed_s) for each in all_figures)),
        ("service, peak memory, MiB", *(_mebibytes(each.peak_bytes) for each in all_figures)),
    ]
    return format_table(("", *(each.what for each in all_figures)), rows)


def _share(cpu_s: float | None, elapsed_s: float) -> str:
    return "-" if cpu_s is None else f"{cpu_s / elapsed_s:.2f}"


def _mebibytes(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 2**20:,.0f}"


@dataclass(frozen=True)
class _Bench:
    folder: Path
    service: Service
    concurrency: int

    def measure(self, what: str, party: Party, all_stated: list[Statement]) -> Figures:
        """Submit and wait until all are final. Raises: UnavailableError: they are not in time."""
        signatures = sign_all(party, all_stated)
        load = Load(
            url=self.service.url,
            token=party.token,
            concurrency=self.concurrency,
            consortium=json.loads((self.folder / "gateway" / "consortium.json").read_bytes()),
            type_name=all_stated[0].type.name,
            signer=str(party.signing.address),
            messages=[each.to_json() for each in all_stated],
            signatures=signatures,
        )
        load.write(self.folder / "load.json")
        before = read_usage(self.service.process.pid)
        result = self._run_load()
        after = read_usage(self.service.process.pid)
        final_s = result.elapsed_s + self._await_final(party, result.last, set(signatures))
        return _figures(what, result, final_s, before, after)

    def _run_load(self) -> LoadResult:
        command = [sys.executable, "-m", "bench.load", str(self.folder / "load.json")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LOAD_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"the load is not through after {_LOAD_TIMEOUT_S:.0f} s: give less of it") from error
        if done.returncode != 0:
            raise UnavailableError(f"the load generator failed: {done.stderr.strip()[-1000:]}")
        return LoadResult(**json.loads(done.stdout))

    def _await_final(self, party: Party, last: str, digests: set[str]) -> float:
        """Seconds until every one of them is final; asks for one of them, for listing all would be load itself."""
        started = time.perf_counter()
        with Client(self.service.url, party.token) as client:
            while time.perf_counter() - started < _FINAL_WITHIN_S:
                client.run(statements.wait(Bytes32.parse(last)))
                elapsed_s = time.perf_counter() - started
                listed = client.run(statements.list_all(type_name=party.states))
                missing = digests - {str(each["digest"]) for each in listed if each["state"] == "final"}
                if not missing:
                    return elapsed_s
                last = min(missing)
        raise UnavailableError(f"{len(missing)} statements are not final after {_FINAL_WITHIN_S:.0f} s")


def _figures(what: str, load: LoadResult, final_s: float, before: Usage | None, after: Usage | None) -> Figures:
    if before is None or after is None:
        return Figures(what, load, final_s, None, None)
    return Figures(what, load, final_s, after.cpu_s - before.cpu_s, after.peak_bytes)


def measure_registrations(folder: Path, count: int, concurrency: int = 64) -> Figures:
    """Registrations with a transaction each, on a consortium founded in ``folder``. Raises: LedgerError."""
    passphrase = secrets.token_urlsafe(24)
    founded = found_parties(folder, passphrase)
    with (folder / "service.log").open("w") as log, running(folder / "gateway", passphrase, log) as service:
        provider = founded.join_provider(service.url)
        bench = _Bench(folder, service, concurrency)
        return bench.measure("DatasetRegistration (contract)", provider, registrations(provider, count))


def _run(folder: Path, request_count: int, registration_count: int, concurrency: int) -> list[Figures]:
    passphrase = secrets.token_urlsafe(24)
    founded = found_parties(folder, passphrase)
    with (folder / "service.log").open("w") as log, running(folder / "gateway", passphrase, log) as service:
        provider, consumer, dataset = founded.join(service.url)
        bench = _Bench(folder, service, concurrency)
        asked = requests(consumer, provider, dataset, request_count)
        registered = registrations(provider, registration_count)
        return [
            bench.measure("AccessRequest (log)", consumer, asked),
            bench.measure("DatasetRegistration (contract)", provider, registered),
        ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Statements registered in a second.")
    parser.add_argument("--requests", type=int, default=500, help="AccessRequests, which the log alone keeps")
    parser.add_argument(
        "--registrations", type=int, default=150, help="DatasetRegistrations, which a contract executes"
    )
    parser.add_argument("--concurrency", type=int, default=64, help="requests under way at a time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="concord-bench-") as name:
        folder = Path(name)
        recoveries, commits = measure_recoveries(), measure_commits(folder)
        try:
            figures = _run(folder, given.requests, given.registrations, given.concurrency)
        except LedgerError as error:
            print(error, file=sys.stderr)
            return 1
    print(f"Statements through the service over HTTP, {given.concurrency} at a time; {os.cpu_count()} cores shared by")
    print(f"service, load generator and whatever else runs; Python {platform.python_version()}")
    print(format_figures(figures, recoveries, commits))
    print(
        f"ceilings here: {recoveries:,.0f} signature recoveries/s on one core, {commits:,.0f} single SQLite commits/s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
