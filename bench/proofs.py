"""How long proofs take on a log as it is: in process from its tiles, and as receipts over HTTP."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ledger.errors import UnavailableError
from ledger.log import TileReader

__all__ = ["measure_proofs", "measure_receipts", "time_each"]

_SEED: Final = "concord proofs"
_WARM_UP: Final = 20
_PROOFS: Final = 2000
_RECEIPTS: Final = 300
_TIMEOUT_S: Final = 30.0


def time_each(act: Callable[[], object]) -> float:
    """Seconds that ``act`` takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def measure_proofs(folder: Path) -> list[float]:
    """Seconds for an inclusion proof of random entries in the whole log, out of its tiles, as the service does it."""
    size = TileReader(folder).size
    reader, drawing = TileReader(folder, lambda: size), random.Random(_SEED)
    indexes = [drawing.randrange(size) for _ in range(_WARM_UP + _PROOFS)]
    return [time_each(lambda index=index: reader.prove_inclusion(index, size)) for index in indexes][_WARM_UP:]  # type: ignore[misc]  # a lambda's default


def measure_receipts(url: str, token: str, digests: Sequence[str]) -> list[float]:
    """Seconds for a receipt of random statements, one after the other over one connection. Raises: UnavailableError."""
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=_TIMEOUT_S)
    chosen = random.Random(_SEED).choices(list(digests), k=_WARM_UP + _RECEIPTS)

    def fetch(digest: str) -> None:
        connection.request("GET", f"/v1/statements/{digest}/receipt", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise UnavailableError(f"no receipt of {digest}: {body[:300]!r}")

    try:
        return [time_each(lambda digest=digest: fetch(digest)) for digest in chosen][_WARM_UP:]  # type: ignore[misc]  # a lambda's default
    finally:
        connection.close()
