"""What a process and its children take, as Linux tells in /proc; elsewhere nothing is known."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Tree", "Usage", "parse_usage", "read_tree", "read_usage", "watching_tree"]

_SAMPLED_EVERY_S: Final = 0.25


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


@dataclass
class Tree:
    """A process and all below it: CPU time so far, resident memory now, at its highest and over time."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    peak_bytes: int = 0
    samples: list[int] = field(default_factory=list)


def read_tree(pid: int) -> Tree | None:
    """What the process and its children take; memory that they share counts for each. None where there is no /proc."""
    if not (Path("/proc") / str(pid)).exists():
        return None
    ticks, found = os.sysconf("SC_CLK_TCK"), Tree()
    for each in _with_children(pid):
        folder = Path("/proc") / str(each)
        with suppress(FileNotFoundError, ProcessLookupError, KeyError):  # it ended meanwhile
            stat = (folder / "stat").read_text()
            usage = parse_usage(stat, (folder / "status").read_text(), ticks)
            ended = stat.rpartition(")")[2].split()[13:15]  # time of children that ended and were waited for
            found.cpu_s += usage.cpu_s + sum(map(int, ended)) / ticks
            found.memory_bytes += usage.memory_bytes
    return found


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for children in (Path("/proc") / str(each)).glob("task/*/children"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, children.read_text().split())
    return found


@contextmanager
def watching_tree(pid: int) -> Iterator[Tree]:
    """Sample a process and its children four times a second; CPU time is what they took meanwhile."""
    watched, ended, before = Tree(), threading.Event(), read_tree(pid)

    def watch() -> None:
        while not ended.wait(_SAMPLED_EVERY_S):
            if (now := read_tree(pid)) is not None:
                watched.samples.append(now.memory_bytes)
                watched.peak_bytes = max(watched.peak_bytes, now.memory_bytes)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield watched
    finally:
        ended.set()
        thread.join()
        after = read_tree(pid)
        if before is not None and after is not None:
            watched.cpu_s = after.cpu_s - before.cpu_s
            watched.memory_bytes = after.memory_bytes
