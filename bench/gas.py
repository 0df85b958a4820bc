"""Gas of every operation, as real transactions on the real contracts: ``python -m bench.gas``.

The chain is the embedded one in memory; what is measured is ``gasUsed`` of each transaction's receipt, its own cost
included. Exits with 1 when the dearest of an operation's transactions is above its limit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from bench.gas_eas import EAS_FOLDER, measure_eas
from bench.gas_operations import measure_checkpoints, measure_exchange, measure_participants, measure_registrations
from bench.table import format_table
from ledger.chain import CONTRACT_NAMES, ChainEdge
from tests.support.chain import Consortium, found, memory_settings

__all__ = ["Cost", "exceeds", "format_costs", "main"]

_MOST_CODE_BYTES = 24_576


@dataclass(frozen=True)
class Cost:
    """What an operation took: in gas, or a contract's size in bytes. ``limit`` None: none was set."""

    operation: str
    figures: Sequence[float]
    limit: int | None = None

    @property
    def mean(self) -> float:
        """The mean."""
        return mean(self.figures)

    @property
    def dearest(self) -> float:
        """The highest."""
        return max(self.figures)


def exceeds(cost: Cost) -> bool:
    """Whether the dearest is above the limit."""
    return cost.limit is not None and cost.dearest > cost.limit


def format_costs(costs: Sequence[Cost]) -> str:
    """The table of costs."""
    rows = [
        (
            cost.operation,
            str(len(cost.figures)),
            f"{cost.mean:,.0f}",
            f"{cost.dearest:,.0f}",
            "-" if cost.limit is None else f"{cost.limit:,}",
            "-" if cost.limit is None else f"{cost.dearest / cost.limit:.3f}",
            "EXCEEDS" if exceeds(cost) else "",
        )
        for cost in costs
    ]
    return format_table(("operation", "measured", "mean", "dearest", "limit", "dearest/limit", ""), rows)


def _measure(consortium: Consortium) -> list[Cost]:
    measured = [
        *measure_registrations(consortium),
        *measure_exchange(consortium),
        *measure_participants(consortium),
        *measure_checkpoints(consortium),
        *(measure_eas(consortium) if EAS_FOLDER.exists() else ()),
    ]
    return [Cost(each.operation, each.gas, each.limit) for each in measured]


def _code_sizes(consortium: Consortium) -> list[Cost]:
    contracts = consortium.deployment.contracts
    return [
        Cost(f"{name}, bytes of code", [len(consortium.edge.code(contracts[name]))], _MOST_CODE_BYTES)
        for name in CONTRACT_NAMES
    ]


def main() -> int:
    """Measure and print; 1 when a limit is exceeded."""
    started = time.monotonic()
    with ChainEdge.open(memory_settings()) as edge:
        consortium = found(edge)
        costs = [*_measure(consortium), *_code_sizes(consortium)]
    print("Gas of each operation: embedded chain (Paris rules), relayed by an account that is no participant")
    print(format_costs(costs))
    if not EAS_FOLDER.exists():
        print("*** SKIPPED: the Ethereum Attestation Service, its package is not there: make bench installs it ***")
    above = [cost.operation for cost in costs if exceeds(cost)]
    verdict = f"above the limit: {', '.join(above)}" if above else "every limit is met"
    print(f"{verdict} ({time.monotonic() - started:.0f} s)")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
