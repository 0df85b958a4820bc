"""Statements brought to their contracts in a second: ``python -m bench.submission [--statements N] [--rows N]``.

A gateway's durable outbox (accepted in its database, simulated, signed, committed, sent, followed to an outcome that is
committed too) beside web3.py's own idiom and beside a flood of transactions that were signed ahead, which nothing
stores and nothing checks: the ceiling. Same node (anvil), same run, registrations of the same kind. Then a process is
killed with rows in flight, and another one finds out what became of each; then a long chain is indexed from its start.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from bench.idiom import IdiomRates
from bench.indexing import IndexFigures, measure_indexing
from bench.outbox import World, measure_flood, measure_outbox, measure_web3, open_worlds
from bench.outbox_recovery import RecoveryFigures, measure_recovery
from bench.table import format_table
from ledger.errors import LedgerError
from tests.support.chain import ANVIL

__all__ = ["Figures", "format_figures", "main"]

PURE_PYTHON_TARGET: Final = 8.0
COINCURVE_TARGET: Final = 4.0
CEILING_TARGET: Final = 0.6
RECOVERY_TARGET_S: Final = 5.0
INDEX_TARGET: Final = 5_000.0
INDEX_CPU_TARGET_US: Final = 1e6 / INDEX_TARGET


@dataclass(frozen=True)
class Figures:
    """Rates in statements a second; of outbox and flood the median of their rounds."""

    outbox: float
    flood: float
    pure_python: IdiomRates
    coincurve: IdiomRates
    recovery: RecoveryFigures
    index: IndexFigures


def format_figures(figures: Figures) -> str:
    """Each way's rate, the outbox beside it, and whether that is what was aimed at."""
    ways = (
        ("web3.py, transact and wait", figures.pure_python.transact, None),
        ("web3.py, pipelined", figures.pure_python.pipelined, PURE_PYTHON_TARGET),
        ("web3.py with coincurve, transact and wait", figures.coincurve.transact, None),
        ("web3.py with coincurve, pipelined", figures.coincurve.pipelined, COINCURVE_TARGET),
        ("flood of transactions signed ahead", figures.flood, CEILING_TARGET),
    )
    rows = [(name, f"{rate:,.0f}", *_judge(figures.outbox / rate, target)) for name, rate, target in ways]
    index = figures.index
    told = format_table(
        ("statements executed", "in a second", "outbox / that", "target", ""),
        [("the durable outbox", f"{figures.outbox:,.0f}", "", "", ""), *rows],
    )
    others = format_table(
        ("", "measured", "target", ""),
        [
            (
                f"{figures.recovery.rows:,} rows in flight after kill -9, s",
                f"{figures.recovery.elapsed_s:.1f}",
                f"{RECOVERY_TARGET_S:.1f}",
                _met(figures.recovery.elapsed_s <= RECOVERY_TARGET_S),
            ),
            (
                f"{index.events:,} events in {index.blocks:,} blocks indexed, in a second",
                f"{index.rate:,.0f}",
                f"{INDEX_TARGET:,.0f}",
                _met(index.rate >= INDEX_TARGET),
            ),
            (
                "CPU for each event, of the indexing process alone, us",
                f"{index.cpu_us:,.0f}",
                f"{INDEX_CPU_TARGET_US:,.0f}",
                _met(index.cpu_us <= INDEX_CPU_TARGET_US),
            ),
        ],
    )
    return f"{told}\n\n{others}"


def _judge(ratio: float, target: float | None) -> tuple[str, str, str]:
    return f"{ratio:.2f}", "" if target is None else f"{target:.2f}", "" if target is None else _met(ratio >= target)


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def _measure(folder: Path, given: argparse.Namespace) -> Figures:
    _say("founding a consortium")
    with open_worlds(folder, given.accounts) as worlds:
        _say(f"{given.one_by_one} + {given.pipelined} registrations by web3.py in pure Python")
        pure_python = measure_web3(next(worlds), given.one_by_one, given.pipelined, pure_python=True)
        _say("as many by web3.py with coincurve")
        coincurve = measure_web3(next(worlds), given.one_by_one, given.pipelined, pure_python=False)
        outbox, flood = _measure_by_turns(worlds, given.statements, given.rounds)
        _say(f"{given.rows:,} rows signed, handed to the node, and recovered after kill -9")
        recovery = measure_recovery(replace(next(worlds), accounts=1), given.rows)
        _say(f"recovered in {recovery.elapsed_s:.1f} s; now {given.events:,} events put on a chain, and indexed")
        index = measure_indexing(next(worlds), given.events)
    return Figures(outbox, flood, pure_python, coincurve, recovery, index)


def _measure_by_turns(worlds: Iterator[World], count: int, rounds: int) -> tuple[float, float]:
    """Outbox and flood by turns, for the machine may be busier in one minute than in the next; the median of each."""
    rates: list[tuple[float, float]] = []
    for number in range(1, rounds + 1):
        _say(f"{count} registrations by the outbox, and as a flood: round {number} of {rounds}")
        rates.append((measure_outbox(next(worlds), count), measure_flood(next(worlds), count)))
        _say(f"outbox {rates[-1][0]:,.0f}/s, flood {rates[-1][1]:,.0f}/s")
    return median(outbox for outbox, _ in rates), median(flood for _, flood in rates)


def _say(what: str) -> None:
    """How far it is, to whoever waits."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Statements brought to their contracts in a second.")
    parser.add_argument("--statements", type=int, default=2_000, help="through the outbox, and flooding, in each round")
    parser.add_argument("--rounds", type=int, default=3, help="of outbox and flood, by turns")
    parser.add_argument("--pipelined", type=int, default=200, help="by web3.py, all sent before one is waited for")
    parser.add_argument("--one-by-one", type=int, default=30, help="by web3.py's transact, each waited for")
    parser.add_argument("--accounts", type=int, default=4, help="relay accounts that the outbox sends with")
    parser.add_argument("--rows", type=int, default=10_000, help="in flight when the process is killed")
    parser.add_argument("--events", type=int, default=100_000, help="on the chain that is indexed")
    given = parser.parse_args()
    if not ANVIL.exists():
        print("anvil is not installed: make test-contracts does it", file=sys.stderr)
        return 1
    print(f"Registrations on anvil; {os.cpu_count()} cores shared by node, gateway and whatever else runs (load")
    print(f"{', '.join(f'{each:.1f}' for each in os.getloadavg())}); Python {platform.python_version()};", end=" ")
    print(f"outbox with {given.accounts} relay accounts of at most 64 in flight each", flush=True)
    with tempfile.TemporaryDirectory(prefix="concord-bench-") as name:
        try:
            figures = _measure(Path(name), given)
        except LedgerError as error:
            print(error, file=sys.stderr)
            return 1
    print(format_figures(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
