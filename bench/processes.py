"""What a process takes, as Linux tells in /proc; elsewhere nothing is known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "parse_usage", "read_usage"]


@dataclass(frozen=True)
class Usage:
    """CPU time so far, memory now and at its highest."""

    cpu_s: float
    memory_bytes: int
    peak_bytes: int


def read_usage(pid: int) -> Usage | None:
    """What the process took so far; None where there is no /proc."""
    folder = Path("/proc") / str(pid)
    if not folder.exists():
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    return parse_usage((folder / "stat").read_text(), (folder / "status").read_text(), ticks)


def parse_usage(stat: str, status: str, ticks_per_second: int) -> Usage:
    """Read ``/proc/PID/stat`` and ``/proc/PID/status`` (proc(5))."""
    times = stat.rpartition(")")[2].split()  # the name in brackets may hold spaces
    sizes = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Usage(
        cpu_s=(int(times[11]) + int(times[12])) / ticks_per_second,
        memory_bytes=_to_bytes(sizes["VmRSS"]),
        peak_bytes=_to_bytes(sizes["VmHWM"]),
    )


def _to_bytes(size: str) -> int:
    return int(size.split(maxsplit=1)[0]) * 1024
