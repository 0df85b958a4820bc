"""The key-encryption key: what the keys of sealings are wrapped with before they are stored.

`KeyEncryptionKey` is the port. `LocalKey` is the keystore's: 32 bytes in an encrypted key file;
`ledger.exchange.transit_key` is a key-management service's, which keeps the key, wraps and unwraps 32 bytes, and ``id``
names it with its version. Nothing else has to go with the wrapped key: a sealing's key is checked against the sealing's
own commitment after it was unwrapped.
"""

from __future__ import annotations

from typing import Final, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from ledger.errors import VerificationError
from ledger.types import Bytes32

__all__ = ["WRAPPING_KEY_FILES", "KeyEncryptionKey", "LocalKey"]

WRAPPING_KEY_FILES: Final = ("kek.json", "kek.next.json")
"""Of the keystore: the key-encryption key, and the one that is to follow it."""

_ID_LABEL: Final = b"concord-kek/1 id"
_ID_SIZE_BYTES: Final = 16


class KeyEncryptionKey(Protocol):
    """Wraps and unwraps keys of 32 bytes. Safe to share between threads."""

    @property
    def id(self) -> str:
        """Its name, at most 255 characters, the same for as long as it unwraps what it wrapped."""

    def wrap(self, key: bytes, sealing: Bytes32) -> bytes:
        """Return the ``key`` of a sealing so that only this key unwraps it.

        Raises:
            UnavailableError: it can not be reached.
        """

    def unwrap(self, wrapped: bytes, sealing: Bytes32) -> bytes:
        """Return what was wrapped.

        Raises:
            VerificationError: this key did not wrap it, or it was changed; where the key can tell, for this sealing.
            UnavailableError: the key can not be reached.
        """


class LocalKey:
    """A key of 32 bytes in this process: AES-256 key wrap, RFC 3394, which takes no nonce. Its text shows nothing."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        derived = HKDF(algorithm=SHA256(), length=_ID_SIZE_BYTES, salt=None, info=_ID_LABEL).derive(secret)
        self._id = f"keystore:{derived.hex()}"

    @property
    def id(self) -> str:
        """``keystore:`` and 32 hex digits that follow from the key and do not tell it."""
        return self._id

    def wrap(self, key: bytes, _sealing: Bytes32) -> bytes:
        """Return ``key`` wrapped, 8 bytes longer. RFC 3394 binds no sealing: the key's commitment does."""
        return aes_key_wrap(self._secret, key)

    def unwrap(self, wrapped: bytes, _sealing: Bytes32) -> bytes:
        """Return what was wrapped. Raises: VerificationError: another key wrapped it, or it was changed."""
        try:
            return aes_key_unwrap(self._secret, wrapped)
        except InvalidUnwrap as error:
            raise VerificationError(
                f"a wrapped key does not open with the key-encryption key {self._id}: it was changed"
            ) from error

    def __repr__(self) -> str:
        return f"LocalKey({self._id})"
