#!/usr/bin/env python3
"""Fail when forge's tests reach fewer than 95 % of the branches in contracts/src.

Gas measurements are left out: without the optimizer they measure nothing. Exit 0: enough; 1: too few, or a test
failed; 2: forge is missing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CONTRACTS: Final = Path(__file__).resolve().parents[1] / "contracts"
REPORT: Final = CONTRACTS / "lcov.info"

_LEAST_PERCENT: Final = 95.0
_TIMEOUT_S: Final = 600
_COMMAND: Final = (
    str(CONTRACTS / "forge.js"),
    "coverage",
    "--report",
    "lcov",
    "--no-match-contract",
    "Gas",
    "--no-match-coverage",
    "(test|node_modules)",
    "--gas-snapshot-check=false",
    "--gas-snapshot-emit=false",
)


def branch_counts(report: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Branches reached and found, by source file, from the lines of an lcov report."""
    counts: dict[str, tuple[int, int]] = {}
    source, found = "", 0
    for line in report:
        key, _, value = line.strip().partition(":")
        if key == "SF":
            source = value
        elif key == "BRF":
            found = int(value)
        elif key == "BRH":
            counts[source] = (int(value), found)
    return counts


def main() -> int:
    """Run forge, print the files below 100 %, compare the sum; returns the exit code."""
    if not (CONTRACTS / "node_modules").exists():
        print("check_contract_coverage: no forge: run `make test-contracts`, which installs it", file=sys.stderr)
        return 2
    REPORT.unlink(missing_ok=True)
    ran = subprocess.run(  # noqa: S603 - our own forge, fixed arguments
        _COMMAND, cwd=CONTRACTS, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if ran.returncode:
        print(ran.stdout[-4000:], ran.stderr[-4000:], sep="\n", file=sys.stderr)
        return 1
    counts = branch_counts(REPORT.read_text(encoding="utf-8").splitlines())
    for source, (reached, found) in sorted(counts.items()):
        if reached < found:
            print(f"{source}: {reached} of {found} branches")
    reached, found = (sum(column) for column in zip(*counts.values(), strict=True))
    percent = 100 * reached / found
    print(f"contracts/src: {reached} of {found} branches, {percent:.1f} % (at least {_LEAST_PERCENT:.0f} %)")
    return 0 if percent >= _LEAST_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
