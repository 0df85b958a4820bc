"""Public key recovery with libsecp256k1's own calls and buffers that are used again: one thread."""

from __future__ import annotations

from typing import Any, Final

from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]  # compiled, without stubs
from coincurve.context import GLOBAL_CONTEXT

from ledger.keccak import keccak256

__all__ = ["Recoverer"]

_SIZE: Final = 65
_HALF_ORDER: Final = bytes.fromhex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")
_MOST_REMEMBERED: Final = 4096
_UNCOMPRESSED: Final = lib.SECP256K1_EC_UNCOMPRESSED


class Recoverer:
    """Recovers the signers of canonical signatures. Not to be shared between threads."""

    def __init__(self) -> None:
        self._context: Any = GLOBAL_CONTEXT.ctx
        self._signature: Any = ffi.new("secp256k1_ecdsa_recoverable_signature *")
        self._key: Any = ffi.new("secp256k1_pubkey *")
        self._out: Any = ffi.new("unsigned char[65]")
        self._size: Any = ffi.new("size_t *", _SIZE)
        self._xy: Any = ffi.buffer(self._out + 1, _SIZE - 1)
        self._held_key: Any = ffi.buffer(self._key)
        self._addresses: dict[bytes, bytes] = {}

    def recover(self, digest: bytes, signature: bytes) -> bytes | None:
        """The signer's address, 20 bytes; None where ``recover_signer`` raises, which tells why."""
        if len(signature) != _SIZE or signature[64] not in (27, 28) or signature[32:64] > _HALF_ORDER:
            return None
        context, held, key = self._context, self._signature, self._key
        if not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(context, held, signature, signature[64] - 27):
            return None
        if not lib.secp256k1_ecdsa_recover(context, key, held, digest):
            return None
        return self._addresses.get(self._held_key[:]) or self._compute_address()

    def _compute_address(self) -> bytes:
        """The address of the key that was recovered last; few sign much, so that it is kept for the next time."""
        lib.secp256k1_ec_pubkey_serialize(self._context, self._out, self._size, self._key, _UNCOMPRESSED)
        address = keccak256(self._xy[:])[12:]
        if len(self._addresses) >= _MOST_REMEMBERED:
            self._addresses.clear()
        self._addresses[self._held_key[:]] = address
        return address
