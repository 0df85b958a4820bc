"""secp256k1 signatures over statement digests: 65 bytes r || s || v, low s, v 27 or 28 (EIP-2, Yellow Paper app. F)."""

from __future__ import annotations

import secrets
from typing import Final

from coincurve import PrivateKey, PublicKey

from ledger.errors import MalformedError, VerificationError
from ledger.keccak import keccak256
from ledger.types import Address, Bytes32

__all__ = ["address_of", "generate_private_key", "recover_signer", "sign_digest", "verify_signature"]

_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_SIZE: Final = 65


def generate_private_key() -> bytes:
    """Draw a private key, 32 bytes."""
    while True:
        candidate = secrets.token_bytes(32)
        if 0 < int.from_bytes(candidate, "big") < _ORDER:
            return candidate


def _to_address(public_key: PublicKey) -> Address:
    return Address(keccak256(public_key.format(compressed=False)[1:])[12:])


def address_of(private_key: bytes) -> Address:
    """The address of a private key. Raises: ValueError: not a private key."""
    return _to_address(PrivateKey(private_key).public_key)


def sign_digest(private_key: bytes | PrivateKey, digest: bytes) -> bytes:
    """Sign a 32-byte digest (RFC 6979, low s); 65 bytes r || s || v. Who signs much hands over coincurve's key.

    Raises:
        ValueError: not a private key.
    """
    key = private_key if isinstance(private_key, PrivateKey) else PrivateKey(private_key)
    raw = key.sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes([raw[64] + 27])


def recover_signer(digest: Bytes32, signature: bytes) -> Address:
    """The address whose key signed ``digest``.

    Raises:
        MalformedError: not 65 bytes, v other than 27 or 28, r or s out of range, or high s (not canonical).
        VerificationError: no public key can have made it.
    """
    if len(signature) != _SIZE:
        raise MalformedError(f"a signature has {_SIZE} bytes, found {len(signature)}")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if signature[64] not in (27, 28):
        raise MalformedError(f"a signature ends with v 27 or 28, found {signature[64]}")
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        raise MalformedError("a signature's r or s is out of range")
    if s > _ORDER // 2:
        raise MalformedError("the signature is not canonical: s is in the high half (EIP-2); use order - s and flip v")
    try:
        recovered = PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), digest, hasher=None
        )
    except Exception as error:  # coincurve raises a bare Exception when libsecp256k1 recovers no point
        raise VerificationError("the signature recovers to no public key") from error
    return _to_address(recovered)


def verify_signature(digest: Bytes32, signature: bytes, signer: Address) -> None:
    """Check that ``signer`` signed ``digest``.

    Raises:
        MalformedError: the signature is not canonical.
        VerificationError: another key signed it.
    """
    found = recover_signer(digest, signature)
    if found != signer:
        raise VerificationError(f"signed by {found}, not by {signer}", expected=str(signer), found=str(found))
