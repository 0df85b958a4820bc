"""What this machine can do at most, measured in the same run: one signature recovered, one commit made durable."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from coincurve import PrivateKey, PublicKey

__all__ = ["measure_all_recoveries", "measure_commits", "measure_rate", "measure_recoveries"]

_SECONDS: Final = 1.0
_ROW_BYTES: Final = 600


def measure_rate(act: Callable[[], object], seconds: float = _SECONDS) -> float:
    """How often ``act`` happens in a second, one after the other."""
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not count:
        act()
        count += 1
    return count / elapsed


def measure_recoveries() -> float:
    """secp256k1 public keys recovered in a second on one core, nothing else."""
    digest = secrets.token_bytes(32)
    signature = PrivateKey().sign_recoverable(digest, hasher=None)
    return measure_rate(lambda: PublicKey.from_signature_and_message(signature, digest, hasher=None))


def measure_all_recoveries() -> float:
    """The same on all cores at once: what checking every signature alone would allow."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(_warm_up, range(cores)))
        return sum(pool.map(_recover, range(cores)))


def _warm_up(_core: int) -> None:
    measure_rate(lambda: None, seconds=0.2)  # so that each process has started, and none takes two turns


def _recover(_core: int) -> float:
    return measure_recoveries()


def measure_commits(folder: Path) -> float:
    """Rows of a statement's size that SQLite commits in a second, one for each commit, each synced to disk."""
    row = secrets.token_bytes(_ROW_BYTES)
    database = sqlite3.connect(folder / "ceiling.db", isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE statement (id INTEGER PRIMARY KEY, body BLOB)")
        return measure_rate(lambda: database.execute("INSERT INTO statement (body) VALUES (?)", (row,)))
    finally:
        database.close()
