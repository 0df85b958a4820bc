"""Ports of loopback for servers that are started later, or stopped and started again."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

__all__ = ["draw_ports"]

_LOWEST: Final = 10_000
_HIGHEST: Final = 32_768
"""Where Linux begins to take the ports of outgoing connections from, unless it is told otherwise."""
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def draw_ports(count: int) -> list[int]:
    """Free ports that no outgoing connection takes while nobody listens on them."""
    first = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _HIGHEST
    candidates = list(range(_LOWEST, first if first > _LOWEST + 1000 else 1 << 16))
    random.SystemRandom().shuffle(candidates)
    with ExitStack() as probes:
        return [_take(candidates, probes) for _ in range(count)]


def _take(candidates: list[int], probes: ExitStack) -> int:
    """The first candidate that can be bound; it stays bound until the others are drawn."""
    while True:
        port, probe = candidates.pop(), probes.enter_context(socket.socket())
        try:
            probe.bind(("127.0.0.1", port))
            return port
        except OSError:
            continue  # somebody's
