"""What one thread makes while another uses what it made before."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

__all__ = ["make_ahead"]

_DEPTH: Final = 4


def make_ahead(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Yield the same pieces; the next few are made by a thread meanwhile. Raises: whatever ``pieces`` raises."""
    with ThreadPoolExecutor(1, thread_name_prefix="concord-ahead") as maker:
        waiting = deque(maker.submit(next, pieces, None) for _ in range(_DEPTH))
        while (piece := waiting.popleft().result()) is not None:
            waiting.append(maker.submit(next, pieces, None))
            yield piece
