"""How fast data sets are hashed: ``python -m bench.hashing [--mebibytes M] [--files N] [--rounds R] [--no-peers]``.

A manifest has two SHA-256 of every byte, of the whole file and of its chunk, from one read. So what SHA-256 alone
allows is taken for twice the bytes: data in memory, on all cores, nothing read. Whatever else runs on the machine slows
all of it down: every round measures each thing once, one after the other, and the ratios are of the same round.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench import blake3
from bench.table import format_table
from ledger.content import scan_folder
from ledger.content.cache import SETTLED_NS, HashCache

__all__ = ["Rates", "Took", "format_rates", "main", "make_large", "make_small", "measure_round", "took"]

_MIB: Final = 1 << 20
_SHARE: Final = 0.9
_SMALL_RATE: Final = 10_000
_SMALL_SIZES: Final = (300, 1_000, 4_000, 20_000)
_FILES_A_FOLDER: Final = 200
_CORES: Final = os.cpu_count() or 1
_SPARSE: Final = 4
_TICK_S: Final = 1e-6


@dataclass(frozen=True)
class Took:
    """Seconds of the clock, and of CPU time of this process and its children."""

    elapsed_s: float
    cpu_s: float


@dataclass(frozen=True)
class Rates:
    """One round: seconds for the same large files, by who hashed them, and for the small ones."""

    size_bytes: int
    small_files: int
    ceiling: Took
    many: Took
    one: Took
    sha256sum: Took
    blake3: Took | str
    small: Took
    kept: Took
    small_sha256sum: Took

    def share(self, mine: Took) -> float:
        """What SHA-256 alone would have taken, as a share of what it took."""
        return self.ceiling.elapsed_s / mine.elapsed_s

    def share_of_cpu(self, mine: Took) -> float:
        """The same in CPU time."""
        return self.ceiling.cpu_s / mine.cpu_s


def took(act: Callable[[], object]) -> Took:
    """How long ``act`` takes."""
    before, started = _cpu_s(), time.perf_counter()
    act()
    return Took(max(time.perf_counter() - started, _TICK_S), max(_cpu_s() - before, _TICK_S))


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def make_large(folder: Path, size_bytes: int) -> Path:
    """Random files of ``size_bytes`` together, one a core and as large as each other, and one of all that."""
    for name, count in (("many", _CORES), ("one", 1)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            with (folder / name / f"{number}.bin").open("wb") as target:
                for _ in range(size_bytes // count // _MIB):
                    target.write(secrets.token_bytes(_MIB))
    return folder


def make_small(folder: Path, count: int) -> Path:
    """So many files of 300 to 20,000 bytes."""
    for number in range(count):
        place = folder / str(number // _FILES_A_FOLDER)
        if number % _FILES_A_FOLDER == 0:
            place.mkdir(parents=True)
        (place / f"{number}.csv").write_bytes(secrets.token_bytes(_SMALL_SIZES[number % len(_SMALL_SIZES)]))
    return folder


def _hash_in_memory(size_bytes: int) -> None:
    """SHA-256 of so much, shared by all cores."""

    def hash_share() -> None:
        data, digest = secrets.token_bytes(_MIB), hashlib.sha256()
        for _ in range(size_bytes // _CORES // _MIB):
            digest.update(data)

    threads = [threading.Thread(target=hash_share) for _ in range(_CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _sha256sum_large(folder: Path) -> None:
    """One process a file, all at once. Raises: RuntimeError."""
    running = [subprocess.Popen(["sha256sum", path], stdout=subprocess.DEVNULL) for path in sorted(folder.iterdir())]
    if sum(each.wait() for each in running):
        raise RuntimeError("sha256sum failed")


def _sha256sum_small(folder: Path) -> None:
    """As many processes as there are cores, 500 files each time. Raises: subprocess.CalledProcessError."""
    script = f'find "$1" -type f -print0 | xargs -0 -n 500 -P {_CORES} sha256sum'
    subprocess.run(["sh", "-c", script, "sh", str(folder)], check=True, stdout=subprocess.DEVNULL)


def _write_manifest(folder: Path) -> bytes:
    return scan_folder(folder).manifest.to_bytes()


@contextmanager
def _cache(folder: Path) -> Iterator[HashCache]:
    cache = HashCache.open(folder / "cache")
    try:
        yield cache
    finally:
        cache.close()


def measure_round(folder: Path, size_bytes: int, small_files: int, with_peers: Callable[[Path], Took | str]) -> Rates:
    """Measure everything once, in ``folder``, which has the files."""

    def rerun() -> None:
        with _cache(folder) as cache:
            scan_folder(folder / "small", cache=cache)

    ceiling = took(lambda: _hash_in_memory(2 * size_bytes))
    many = took(lambda: scan_folder(folder / "large" / "many"))
    sha256sum = took(lambda: _sha256sum_large(folder / "large" / "many"))
    one = took(lambda: scan_folder(folder / "large" / "one"))
    blake = with_peers(folder / "large" / "many")
    small = took(lambda: _write_manifest(folder / "small"))
    small_sha256sum = took(lambda: _sha256sum_small(folder / "small"))
    return Rates(size_bytes, small_files, ceiling, many, one, sha256sum, blake, small, took(rerun), small_sha256sum)


def _middle(rounds: Sequence[Rates], figure: Callable[[Rates], float]) -> float:
    return median(map(figure, rounds))


def format_rates(rounds: Sequence[Rates]) -> str:
    """The table: medians of all rounds."""

    def speed(seconds: Callable[[Rates], float]) -> str:
        return f"{_middle(rounds, lambda each: each.size_bytes / seconds(each)) / 1e9:.2f}"

    def ratio(figure: Callable[[Rates], float]) -> str:
        return f"{_middle(rounds, figure):.2f}"

    def files(seconds: Callable[[Rates], float]) -> str:
        return f"{_middle(rounds, lambda each: each.small_files / seconds(each)):,.0f}"

    rows = [
        ("SHA-256 in memory, all cores, GB/s", speed(lambda each: each.ceiling.elapsed_s / 2), ""),
        ("a file a core: read and hashed twice, GB/s", speed(lambda each: each.many.elapsed_s), ""),
        ("  its two SHA-256 / SHA-256 in memory", ratio(lambda each: each.share(each.many)), f"{_SHARE}"),
        ("  the same of CPU time", ratio(lambda each: each.share_of_cpu(each.many)), f"{_SHARE}"),
        ("one file: read and hashed twice, GB/s", speed(lambda each: each.one.elapsed_s), ""),
        ("  its two SHA-256 / SHA-256 in memory", ratio(lambda each: each.share(each.one)), f"{_SHARE}"),
        ("  the same of CPU time", ratio(lambda each: each.share_of_cpu(each.one)), f"{_SHARE}"),
        ("sha256sum of the same, a process a file, GB/s", speed(lambda each: each.sha256sum.elapsed_s), ""),
        (
            "  our two SHA-256 / its one, in a second of CPU time",
            ratio(lambda each: 2 * each.sha256sum.cpu_s / each.many.cpu_s),
            "",
        ),
        *_blake_rows(rounds),
        ("small files in a second", files(lambda each: each.small.elapsed_s), f"{_SMALL_RATE:,}"),
        ("  in a second of CPU time", files(lambda each: each.small.cpu_s), f"{_SMALL_RATE:,}"),
        ("  of a rerun that knows them, in a second of CPU time", files(lambda each: each.kept.cpu_s), ""),
        ("  sha256sum's, in a second of CPU time", files(lambda each: each.small_sha256sum.cpu_s), ""),
    ]
    return format_table((f"medians of {len(rounds)}", "measured", "target"), rows)


def _blake_rows(rounds: Sequence[Rates]) -> list[tuple[str, str, str]]:
    known = [(each, each.blake3) for each in rounds if isinstance(each.blake3, Took)]
    if not known:
        return [(f"BLAKE3: {rounds[0].blake3}", "-", "")]
    speed = median(each.size_bytes / peer.elapsed_s for each, peer in known) / 1e9
    share = median(peer.cpu_s / each.many.cpu_s for each, peer in known)
    return [
        ("BLAKE3 of the same, all cores, GB/s", f"{speed:.2f}", ""),
        ("  our rate / its, in a second of CPU time", f"{share:.2f}", ""),
    ]


def _peak_memory(folder: Path) -> int:
    """Peak memory, in MiB, of a process that hashes the folder. Raises: subprocess.CalledProcessError."""
    command = [sys.executable, "-m", "bench.hashing", "--memory-of", str(folder)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _memory_rows(folder: Path, size_bytes: int) -> list[tuple[str, str]]:
    sparse = folder / "sparse"
    sparse.mkdir()
    with (sparse / "sparse.bin").open("wb") as target:
        target.truncate(_SPARSE * size_bytes)
    (folder / "empty").mkdir()
    (folder / "empty" / "empty").touch()
    rows = [("an empty file", folder / "empty"), ("the one file", folder / "large" / "one")]
    rows.append((f"a file {_SPARSE} times as large", sparse))
    return [(f"peak memory, MiB: {what}", f"{_peak_memory(place):,}") for what, place in rows]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast data sets are hashed.")
    parser.add_argument("--mebibytes", type=int, default=1024, help="of large files, in memory's cache when measured")
    parser.add_argument("--files", type=int, default=20_000, help="small ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="leave BLAKE3 out")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    given = _parse(arguments)
    if given.memory_of is not None:
        scan_folder(given.memory_of)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return 0
    size_bytes = given.mebibytes // _CORES * _CORES * _MIB
    missing = "left out" if given.no_peers else blake3.install()
    with tempfile.TemporaryDirectory(prefix="concord-bench-hashing-") as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < 3 * size_bytes:
            print(f"{folder} has no room for {2 * given.mebibytes:,} MiB: name another folder in TMPDIR")
            return 1
        make_large(folder / "large", size_bytes)
        make_small(folder / "small", given.files)
        time.sleep(SETTLED_NS / 1e9)  # what was just written is not kept
        with _cache(folder) as cache:
            scan_folder(folder / "small", cache=cache)

        def peers(place: Path) -> Took | str:
            return missing or took(lambda: blake3.hash_files(place))

        rounds = [measure_round(folder, size_bytes, given.files, peers) for _ in range(given.rounds)]
        print(format_rates(rounds))
        print(format_table(("", "measured"), _memory_rows(folder, size_bytes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
