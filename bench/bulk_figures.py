"""What a bulk run showed, as figures and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.bulk_load import BulkResult
from bench.load import percentile
from bench.processes import Tree
from bench.table import format_table
from bench.tessera import TesseraFigures

__all__ = ["BulkFigures", "Peers", "format_bulk", "join_bursts", "moment_of"]

_MARGIN: Final = 35_000
_GAP_S: Final = 0.1
_BURST_S: Final = 0.5
_TARGET: Final = 20_000
_MOST_BYTES: Final = 500 * 10**6


def moment_of(samples: Sequence[tuple[float, int]], count: int, started: float) -> float:
    """When ``count`` were accepted, between two samples on the line between them. Raises: ValueError: never."""
    before = (started, 0)
    for sample in samples:
        if sample[1] >= count:
            (since, had), (until, has) = before, sample
            return since + (until - since) * (count - had) / max(has - had, 1)
        before = sample
    raise ValueError(f"never were {count} accepted")


def join_bursts(samples: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """The last sample of each burst: the answers to a batch come together, and say nothing about its lines apart."""
    joined: list[tuple[float, int]] = []
    began = before = float("-inf")
    for sample in samples:
        if sample[0] - before < _GAP_S and sample[0] - began < _BURST_S:
            joined[-1] = sample
        else:
            joined.append(sample)
            began = sample[0]
        before = sample[0]
    return joined


@dataclass(frozen=True)
class BulkFigures:
    """One run: what the load generator saw, what the service took; proof times in seconds."""

    entries: int
    connections: int
    result: BulkResult
    service: Tree
    recoveries: float
    receipts: Sequence[float]
    proofs: Sequence[float]

    @property
    def elapsed_s(self) -> float:
        """From the first request to the last answer."""
        return self.result.ended - self.result.started

    @property
    def rate(self) -> float:
        """Statements accepted in a second, over the whole run."""
        return self.entries / self.elapsed_s

    @property
    def windows(self) -> tuple[range, range]:
        """The statements that count as early and as late, but for some batches at both ends.

        The first is short of processes that still start, the last of lines to check meanwhile.
        """
        margin = min(_MARGIN, self.entries // 10)
        width, end = max(1, self.entries // 20), self.entries - margin
        return range(margin, margin + width), range(end - width, end)

    def rate_in(self, window: range) -> float:
        """Statements accepted in a second within a window."""
        samples = join_bursts(self.result.samples)
        first, last = (moment_of(samples, count, self.result.started) for count in (window.start, window.stop))
        return len(window) / max(last - first, 1e-9)

    @property
    def slowing(self) -> float:
        """Time for a late statement as a multiple of an early one's."""
        early, late = self.windows
        return self.rate_in(early) / self.rate_in(late)


@dataclass(frozen=True)
class Peers:
    """What it is compared with, or why not; transactions in a second, through the service and sent to anvil at once."""

    tessera: TesseraFigures | str
    single: float | None
    anvil: float | str


def format_bulk(figures: BulkFigures, peers: Peers) -> str:
    """The table."""
    rows = [*_speed(figures), *_shares(figures), *_proofs(figures), *_peers(figures, peers)]
    return format_table(("", "measured", "target"), rows)


def _speed(figures: BulkFigures) -> list[tuple[str, str, str]]:
    early, late = figures.windows
    return [
        ("statements", f"{figures.entries:,}", ""),
        ("connections", str(figures.connections), ""),
        ("seconds", f"{figures.elapsed_s:.1f}", ""),
        ("accepted in a second", f"{figures.rate:,.0f}", f"{_TARGET:,}"),
        (f"  from {early.start:,} to {early.stop:,}", f"{figures.rate_in(early):,.0f}", ""),
        (f"  from {late.start:,} to {late.stop:,}", f"{figures.rate_in(late):,.0f}", ""),
        ("time for a late one / for an early one", f"{figures.slowing:.3f}", "1.100"),
    ]


def _shares(figures: BulkFigures) -> list[tuple[str, str, str]]:
    service, result, samples = figures.service, figures.result, figures.service.samples
    cpu_s = service.cpu_s + result.cpu_s
    half_way = max(samples[: len(samples) // 2], default=0)
    return [
        ("memory of all its processes, peak, MB", _megabytes(service.peak_bytes), _megabytes(_MOST_BYTES)),
        ("  peak until half way, MB", _megabytes(half_way), ""),
        ("  at the end, MB", _megabytes(service.memory_bytes), ""),
        ("service, CPU seconds", f"{service.cpu_s:.1f}", ""),
        ("service, CPU us for each", f"{service.cpu_s / figures.entries * 1e6:.1f}", ""),
        ("load generator, CPU seconds", f"{result.cpu_s:.1f}", ""),
        ("load generator's share of CPU used", f"{result.cpu_s / max(cpu_s, 1e-9):.1%}", ""),
        ("signature recoveries, all cores, in a second", f"{figures.recoveries:,.0f}", ""),
        ("accepted / recoveries", f"{figures.rate / figures.recoveries:.3f}", "0.400"),
    ]


def _proofs(figures: BulkFigures) -> list[tuple[str, str, str]]:
    rows = []
    for what, times, target in (("inclusion proof", figures.proofs, "1.00"), ("receipt by HTTP", figures.receipts, "")):
        for name, share in (("median", 0.5), ("99th percentile", 0.99)):
            rows.append((f"{what}, {name}, ms", f"{percentile(times, share) * 1e3:.2f}", target))
    return rows


def _peers(figures: BulkFigures, peers: Peers) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    tessera, single, anvil = peers.tessera, peers.single, peers.anvil
    if isinstance(tessera, TesseraFigures):
        rows += [
            (f"Tessera, {tessera.entries:,} unsigned entries, in a second", f"{tessera.rate:,.0f}", ""),
            ("  its CPU us for each", f"{tessera.log_cpu_s / tessera.entries * 1e6:.1f}", ""),
            ("  its load generator's CPU us for each", f"{tessera.load_cpu_s / tessera.entries * 1e6:.1f}", ""),
            ("accepted / Tessera's", f"{figures.rate / tessera.rate:.2f}", "1.00"),
        ]
    else:
        rows.append(("Tessera", tessera, ""))
    if single is not None:
        rows += [
            ("a transaction for each, embedded chain, in a second", f"{single:,.1f}", ""),
            ("accepted / those", f"{figures.rate / single:,.0f}", ""),
        ]
    if isinstance(anvil, float):
        rows += [
            ("a transaction for each, sent to anvil, in a second", f"{anvil:,.0f}", ""),
            ("accepted / those sent to anvil", f"{figures.rate / anvil:,.0f}", ""),
        ]
    return rows


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 10**6:,.0f}"
