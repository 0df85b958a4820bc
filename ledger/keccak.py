"""Keccak-256 as Ethereum uses it (the original padding, not FIPS 202's), from a native library.

pysha3 takes 0.7 us a call but has wheels for Linux alone; pycryptodome takes 5 us and runs on every laptop.
The service installs the first, the verifier needs only the second.
"""

from __future__ import annotations

try:
    from sha3 import keccak_256 as _keccak_256

    def keccak256(data: bytes) -> bytes:
        """Return the 32-byte Keccak-256 digest of ``data``."""
        digest: bytes = _keccak_256(data).digest()
        return digest

except ImportError:  # pragma: no cover - which branch runs depends on the platform's wheels
    from Crypto.Hash import keccak as _keccak

    def keccak256(data: bytes) -> bytes:
        """Return the 32-byte Keccak-256 digest of ``data``."""
        return _keccak.new(digest_bits=256, data=data).digest()


__all__ = ["keccak256"]
