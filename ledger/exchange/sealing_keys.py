"""The keys of sealings: stored wrapped by the key-encryption key, wrapped anew when that is rotated.

Rotation draws the next key, wraps every key anew in small transactions, and then lets the next key take the place of
the old one, whose file goes; no data is encrypted again, and both keys unwrap all the while. Killed anywhere, the same
call goes on where it stopped.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from ledger.content.sealing import SealingKey
from ledger.errors import ConflictError, MalformedError, NotFoundError, VerificationError
from ledger.exchange.key_encryption import KeyEncryptionKey
from ledger.exchange.keystore import KeyStore
from ledger.store import Store
from ledger.store.rows import SealingRow
from ledger.types import Bytes32

__all__ = ["RotatedKek", "SealingKeys", "StoredKeyError"]

_AT_ONCE: Final = 100
_RETRY_AFTER_S: Final = 2.0
_ATTEMPTS: Final = 3
_logger = logging.getLogger(__name__)


class StoredKeyError(VerificationError):
    """What is kept of a sealing's key, or the key-encryption key that wrapped it, is not what it was: an operator's."""


@dataclass(frozen=True, slots=True)
class RotatedKek:
    """What came of a rotation: the id of the key-encryption key, and how many keys were wrapped anew by this call."""

    kek: str
    rewrapped: int


class SealingKeys:
    """Wraps, unwraps and wraps anew. Thread-safe."""

    def __init__(self, store: Store, keystore: KeyStore) -> None:
        self._store = store
        self._keystore = keystore
        self._rotating, self._wrapping = threading.Lock(), threading.Lock()

    def keep(self, row: SealingRow, key: SealingKey) -> None:
        """Store a sealing that is about to be written, its key wrapped.

        Raises:
            ConflictError: the version was erased.
            StoredKeyError: the key-encryption key's file is damaged.
        """
        with self._wrapping:  # no key is wrapped by one that is just being destroyed
            with _opening("the key-encryption key"):
                kek = self._keystore.ensure_kek()
            self._store.sealings.add(replace(row, kek=kek.id, wrapped_key=kek.wrap(key.to_bytes())))

    def unwrap(self, sealing: Bytes32) -> SealingKey:
        """Return a sealing's key, checked against its commitment.

        Raises:
            NotFoundError: no such sealing, or its key was destroyed: it was replaced, or the version erased.
            StoredKeyError: the stored key was changed, or the key-encryption key is not the keystore's, or damaged.
            UnavailableError: the key-encryption key can not be reached.
        """
        missing = ""
        for _ in range(_ATTEMPTS):  # between the two reads it may have been wrapped anew
            row = self._store.sealings.find(sealing)
            if row is None or row.wrapped_key is None or row.kek is None:
                raise NotFoundError(f"the key of the sealing {sealing} is not here: it was never, or is destroyed")
            with _opening(f"the key of the sealing {sealing}"):
                kek = self._keystore.find_kek(row.kek)
                if kek is not None:
                    return SealingKey.opened(kek.unwrap(row.wrapped_key), row.id)
            missing = row.kek
        raise StoredKeyError(
            f"the key-encryption key {missing} that wrapped the sealing {sealing} is not in the keystore: put its file "
            "back from a backup"
        )

    def rotate(self) -> RotatedKek:
        """Let a new key-encryption key wrap all keys, and destroy the old one.

        Raises:
            ConflictError: another rotation is under way (``rotation-under-way``).
            StoredKeyError: a stored key was changed; nothing is lost, the old key-encryption key stays.
            UnavailableError: disk or database failed; the same call goes on.
        """
        if not self._rotating.acquire(blocking=False):
            raise ConflictError(
                "another rotation is under way: wait for it", code="rotation-under-way", retry_after_s=_RETRY_AFTER_S
            )
        try:
            return self._rotate()
        finally:
            self._rotating.release()

    def resume(self) -> None:
        """Finish a rotation that was cut short. Raises: as `rotate`."""
        if self._keystore.find_next_kek() is not None:
            self.rotate()

    def _rotate(self) -> RotatedKek:
        with self._wrapping:
            is_first, present = not self._keystore.has_kek, self._keystore.ensure_kek()
            if is_first and not self._store.sealings.list_wrapped_otherwise(present.id, 1):
                return RotatedKek(present.id, 0)  # it is new, and nothing was wrapped by another
            successor = self._keystore.ensure_next_kek()
        count = 0
        while rewrapped := self._rewrap_some(successor):
            count += rewrapped
        with self._wrapping:
            while rewrapped := self._rewrap_some(successor):
                count += rewrapped
            self._keystore.adopt_next_kek()
        _logger.info("the keys of sealings are wrapped by %s from now on, %d of them anew", successor.id, count)
        return RotatedKek(successor.id, count)

    def _rewrap_some(self, successor: KeyEncryptionKey) -> int:
        """Wrap up to a hundred keys anew, each checked against its commitment before; how many there were."""
        with self._store.transaction():
            found = self._store.sealings.list_wrapped_otherwise(successor.id, _AT_ONCE)
            for sealing, old in found:
                with suppress(NotFoundError):  # replaced or destroyed meanwhile
                    wrapped = successor.wrap(self.unwrap(sealing).to_bytes())
                    self._store.sealings.rewrap(sealing, old, successor.id, wrapped)
        return len(found)


@contextmanager
def _opening(what: str) -> Iterator[None]:
    try:
        yield
    except (MalformedError, VerificationError) as error:
        expected, found = getattr(error, "expected", None), getattr(error, "found", None)
        raise StoredKeyError(f"{what} does not open: {error}", expected=expected, found=found) from error
