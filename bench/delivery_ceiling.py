"""What a delivery can not be faster than: the SHA-256 and AES-256-GCM that its format demands, on all cores at once.

Provider, gateway and consumer share this machine's cores, so the work of all of them counts. For every byte:

    registered and uploaded    flat and chunk hash when it is scanned, both again when the gateway takes it: 4 hashes
    sealed                     chunk hash before it is encrypted, leaf hash of the sealed chunk: 2 hashes, 1 cipher
    pulled                     leaf hash as it arrives, then opened, flat and chunk hash: 3 hashes, 1 cipher

They share its disk, too, which takes every byte once when it is uploaded, once when it is sealed, and twice when it is
pulled: as it arrives, and opened.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Ceiling", "measure_ceiling"]

_MIB: Final = 1 << 20
_CORES: Final = os.cpu_count() or 1
_NONCE: Final = bytes(12)


@dataclass(frozen=True)
class Ceiling:
    """MiB in a second: hashed and enciphered by all cores at once, in memory; written by one file, and durable."""

    hashed: float
    enciphered: float
    written: float

    def speed(self, hashes: int, ciphers: int) -> float:
        """MiB in a second of what needs so many of them for each byte."""
        return 1 / (hashes / self.hashed + ciphers / self.enciphered)

    def disk_speed(self, times: int) -> float:
        """MiB in a second of what is written so many times, and durable each time."""
        return self.written / times


def measure_ceiling(folder: Path, *, buffers: int = 256) -> Ceiling:
    """Measure it, of so many MiB; takes a second or two. Raises: OSError."""
    data, cipher = secrets.token_bytes(_MIB), AESGCM(secrets.token_bytes(32))
    hashed = _on_all_cores(buffers, lambda: hashlib.sha256(data).digest())
    enciphered = _on_all_cores(buffers, lambda: cipher.encrypt(_NONCE, data, None))
    return Ceiling(hashed, enciphered, _write(folder / "written", data, buffers))


def _on_all_cores(buffers: int, act: Callable[[], object]) -> float:
    def repeat() -> None:
        for _ in range(buffers):
            act()

    threads = [threading.Thread(target=repeat) for _ in range(_CORES)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _CORES * buffers / (time.perf_counter() - started)


def _write(place: Path, data: bytes, buffers: int) -> float:
    started = time.perf_counter()
    with place.open("wb") as target:
        for _ in range(buffers):
            target.write(data)
        target.flush()
        os.fsync(target.fileno())
    elapsed_s = time.perf_counter() - started
    place.unlink()
    return buffers / elapsed_s
