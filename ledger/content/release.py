"""A sealing's key on its way to one consumer: HPKE (RFC 9180) to the fresh public key of one transfer.

Mode base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Which transfer it is for goes into HPKE's ``info``, so
that what was wrapped for one opens in no other. Needs `cryptography` alone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ledger.errors import MalformedError, VerificationError
from ledger.types import Bytes32

__all__ = [
    "KEY_SIZE_BYTES",
    "LEAST_TERM_S",
    "RECIPIENT_KEY_SIZE_BYTES",
    "WRAPPED_KEY_SIZE_BYTES",
    "RecipientKey",
    "ReleaseTerms",
    "check_recipient_key",
    "open_key",
    "wrap_key",
]

KEY_SIZE_BYTES: Final = 32
RECIPIENT_KEY_SIZE_BYTES: Final = 32
WRAPPED_KEY_SIZE_BYTES: Final = 32 + KEY_SIZE_BYTES + 16
"""The encapsulated key, the ciphertext, its tag."""
LEAST_TERM_S: Final = 300
"""What a receipt gives its provider at least for the key: no gateway takes one that gives less, and nobody is judged
by a shorter time, whatever another log took."""

_LABEL: Final = b"concord key release v1"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class ReleaseTerms:
    """What a wrapped key is bound to: the transfer, its grant, the sealing (digests of both) and who receives it."""

    transfer: Bytes32
    grant: Bytes32
    sealing: Bytes32
    consumer: Bytes32

    def to_info(self) -> bytes:
        """HPKE's ``info``: the label and the four values, each 32 bytes."""
        return _LABEL + self.transfer + self.grant + self.sealing + self.consumer


@dataclass(frozen=True, slots=True, repr=False)
class RecipientKey:
    """The private key of one transfer, 32 bytes in X25519's clamped form: no other spelling means the same key."""

    private: bytes

    def __post_init__(self) -> None:
        """Raise MalformedError unless the bytes are a private key in clamped form (RFC 7748, section 5)."""
        if len(self.private) != RECIPIENT_KEY_SIZE_BYTES or self.private != _clamp(self.private):
            raise MalformedError("a transfer's private key is 32 bytes of X25519 in clamped form")

    @classmethod
    def generate(cls) -> RecipientKey:
        """Draw one; a transfer has its own."""
        return cls(_clamp(secrets.token_bytes(RECIPIENT_KEY_SIZE_BYTES)))

    @property
    def public(self) -> bytes:
        """What stands as ``recipientKey`` in the receipt."""
        return X25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes_raw()


def check_recipient_key(recipient_key: bytes) -> None:
    """Check that a key can be wrapped to it. Raises: MalformedError: not 32 bytes, or a point of small order."""
    wrap_key(bytes(KEY_SIZE_BYTES), recipient_key, ReleaseTerms(*[Bytes32(bytes(32))] * 4))


def wrap_key(key: bytes, recipient_key: bytes, terms: ReleaseTerms) -> bytes:
    """Wrap a sealing's key to a transfer's public key: encapsulated key and ciphertext, 80 bytes.

    Raises:
        MalformedError: the public key is not 32 bytes, or a point of small order, to which everybody could open.
        ValueError: the sealing's key is not 32 bytes.
    """
    if len(key) != KEY_SIZE_BYTES:
        raise ValueError(f"a sealing's key has {KEY_SIZE_BYTES} bytes")
    if len(recipient_key) != RECIPIENT_KEY_SIZE_BYTES:
        raise MalformedError(f"a recipient's key has {RECIPIENT_KEY_SIZE_BYTES} bytes, found {len(recipient_key)}")
    try:
        return _SUITE.encrypt(key, X25519PublicKey.from_public_bytes(recipient_key), info=terms.to_info())
    except ValueError as error:
        raise MalformedError("the recipient's key is a point of small order: draw another") from error


def open_key(wrapped: bytes, recipient: RecipientKey, terms: ReleaseTerms) -> bytes:
    """Open a wrapped key: the sealing's key, 32 bytes, whatever it is worth.

    Raises:
        MalformedError: not 80 bytes.
        VerificationError: it was wrapped to another public key, for another transfer, or changed.
    """
    if len(wrapped) != WRAPPED_KEY_SIZE_BYTES:
        raise MalformedError(f"a wrapped key has {WRAPPED_KEY_SIZE_BYTES} bytes, found {len(wrapped)}")
    private = X25519PrivateKey.from_private_bytes(recipient.private)
    try:
        return _SUITE.decrypt(wrapped, private, info=terms.to_info())
    except InvalidTag as error:
        raise VerificationError("the wrapped key does not open with this transfer's private key") from error


def _clamp(raw: bytes) -> bytes:
    return bytes([raw[0] & 248, *raw[1:31], raw[31] & 127 | 64]) if len(raw) == RECIPIENT_KEY_SIZE_BYTES else b""
