"""Signed statements through the bulk endpoint: ``python -m bench.bulk [--entries N] [--connections N]``.

The real service (`concord serve`: SQLite and log on this disk, fsync on, every signature checked, every entry read
back) over HTTP on loopback, and its load generator, share this machine. What it is compared with is measured in the
same run: signature recovery alone on all cores, Tessera's log of unsigned entries with its own load generator, and a
transaction for each statement. Statements are signed ahead, once, and kept in the cache folder of the user.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.bulk_figures import BulkFigures, Peers, format_bulk
from bench.bulk_load import BulkLoad, BulkResult
from bench.bulk_prepared import Prepared, cache_folder, cut_lines, prepare
from bench.ceilings import measure_all_recoveries
from bench.on_anvil import measure_on_anvil
from bench.processes import watching_tree
from bench.proofs import measure_proofs, measure_receipts
from bench.statements import Figures, measure_registrations
from bench.tessera import measure_tessera
from ledger.errors import LedgerError, UnavailableError
from scripts.demo.service import running

__all__ = ["main"]

_LOAD_TIMEOUT_S: Final = 1800.0
_TESSERA_ENTRIES: Final = 200_000
_SINGLE: Final = 150
_ON_ANVIL: Final = 2000


def _load(prepared: Prepared, folder: Path, url: str, entries: int, connections: int) -> BulkResult:
    """Run the load generator. Raises: UnavailableError: it failed, or not everything was accepted."""
    shares = cut_lines(prepared.file, entries, connections)
    BulkLoad(url, prepared.token, str(prepared.file), shares).write(folder / "load.json")
    command = [sys.executable, "-m", "bench.bulk_load", str(folder / "load.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LOAD_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise UnavailableError(f"the load generator failed: {done.stderr.strip()[-1000:]}")
    result = BulkResult(**json.loads(done.stdout))
    if result.failure or result.accepted != entries:
        told = (folder / "service.log").read_text()[-1500:]
        raise UnavailableError(
            f"{result.accepted} of {entries} were accepted, {result.refused} refused, {result.repeated} repeated.\n"
            f"{result.failure}{result.problem}\n{told}"
        )
    return result


def _measure(prepared: Prepared, folder: Path, entries: int, connections: int) -> BulkFigures:
    prepared.copy_home(folder / "gateway")
    before = measure_all_recoveries()
    with (
        (folder / "service.log").open("w") as log,
        running(folder / "gateway", prepared.passphrase, log) as service,
    ):
        with watching_tree(service.process.pid) as watched:
            result = _load(prepared, folder, service.url, entries, connections)
        receipts = measure_receipts(service.url, prepared.token, result.digests)
        proofs = measure_proofs(folder / "gateway" / "log")
    recoveries = (before + measure_all_recoveries()) / 2  # a machine's clock is seldom the same for minutes
    return BulkFigures(entries, connections, result, watched, recoveries, receipts, proofs)


def _measure_single(folder: Path) -> Figures:
    """A transaction for each, on a consortium of its own: the same embedded chain, through HTTP."""
    folder.mkdir()
    return measure_registrations(folder, _SINGLE)


@dataclass(frozen=True)
class _Wanted:
    entries: int
    connections: int
    peers: bool


def _run(wanted: _Wanted) -> str:
    prepared = prepare(cache_folder() / "bulk", wanted.entries)
    with tempfile.TemporaryDirectory(prefix="concord-bench-bulk-") as name:
        folder = Path(name)
        single = _measure_single(folder / "single") if wanted.peers else None
        figures = _measure(prepared, folder, wanted.entries, wanted.connections)
        tessera = measure_tessera(min(_TESSERA_ENTRIES, wanted.entries)) if wanted.peers else "not asked for"
        anvil = measure_on_anvil(_ON_ANVIL) if wanted.peers else "not asked for"
    for peer, found in (("Tessera", tessera), ("anvil", anvil)):
        if wanted.peers and isinstance(found, str):
            print(f"*** SKIPPED: {peer} was not measured: {found} ***", file=sys.stderr)
    return format_bulk(figures, Peers(tessera, None if single is None else single.final_rate, anvil))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Signed statements through the bulk endpoint.")
    parser.add_argument("--entries", type=int, default=1_000_000, help="how many, all signed by one participant")
    parser.add_argument("--connections", type=int, default=2, help="requests at a time, each a share of them")
    parser.add_argument("--no-peers", action="store_true", help="neither Tessera nor a transaction for each")
    given = parser.parse_args(arguments)
    try:
        told = _run(_Wanted(given.entries, given.connections, not given.no_peers))
    except LedgerError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"DatasetRegistrations through POST /v1/statements:batch; {os.cpu_count()} cores shared by service, load")
    print(
        f"generator and whatever else runs (load average {os.getloadavg()[0]:.1f}); Python {platform.python_version()}"
    )
    print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
