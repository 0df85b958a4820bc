"""The keys of sealings: stored wrapped by the key-encryption key, wrapped anew when that is rotated.

Rotation draws the next key, or has the key-management service add a version, wraps every key anew in small
transactions, and then lets the next key take the place of the old one, whose file goes; no data is encrypted again, and
both keys unwrap all the while. Killed anywhere, the same call goes on where it stopped. Moving to a key-management
service and back is a rotation, too.

Whoever may rotate decides neither who gets the gateway's token nor who sees its keys: they go to the service that has
them already, and to those that the operator's settings list.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ledger.content.sealing import SealingKey
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.key_encryption import KeyEncryptionKey
from ledger.exchange.keystore import KeyStore
from ledger.exchange.transit_key import NamedTransitKey, TransitKey
from ledger.store import Store
from ledger.store.rows import SealingRow
from ledger.types import Bytes32

if TYPE_CHECKING:
    from ledger.client.transit import TransitPlace

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

    def __init__(self, store: Store, keystore: KeyStore, kms_urls: frozenset[str] = frozenset()) -> None:
        """``kms_urls`` are the key services that keys may be moved to, as `parse_kms_urls` spells them."""
        self._store = store
        self._keystore = keystore
        self._kms_urls = kms_urls
        self._rotating, self._wrapping = threading.Lock(), threading.Lock()

    def keep(self, row: SealingRow, key: SealingKey) -> None:
        """Store a sealing that is about to be written, its key wrapped.

        Raises:
            ConflictError: the version was erased.
            StoredKeyError: the key-encryption key's file is damaged.
            UnavailableError: the key-encryption key can not be reached.
        """
        with self._wrapping:  # no key is wrapped by one that is just being destroyed
            with _opening("the key-encryption key"):
                kek = self._keystore.ensure_kek()
            wrapped = kek.wrap(key.to_bytes(), row.id)
            self._store.sealings.add(replace(row, kek=kek.id, wrapped_key=wrapped))

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
                    return SealingKey.opened(kek.unwrap(row.wrapped_key, row.id), row.id)
            missing = row.kek
        raise StoredKeyError(
            f"the key-encryption key {missing} that wrapped the sealing {sealing} is not in the keystore: put its file "
            "back from a backup"
        )

    def rotate(self, place: TransitPlace | None = None, *, to_keystore: bool = False) -> RotatedKek:
        """Let a new key-encryption key wrap all keys, and destroy the old one.

        The new one is where the old one is: in the keystore, or a version more at the key-management service. With
        ``place`` it is the key of such a service, ``to_keystore`` draws one in the keystore.

        Raises:
            ConflictError: another rotation is under way (``rotation-under-way``).
            ForbiddenError: the operator listed no key service at that place (``unknown-kms``); none was asked.
            StoredKeyError: a stored key was changed; nothing is lost, the old key-encryption key stays.
            UnavailableError: disk, database or the key service failed; the same call goes on.
        """
        if not self._rotating.acquire(blocking=False):
            raise ConflictError(
                "another rotation is under way: wait for it", code="rotation-under-way", retry_after_s=_RETRY_AFTER_S
            )
        try:
            if place is not None:
                self._check_place(place)
            if (place is not None or to_keystore) and self._keystore.find_next_kek() is not None:
                self._rotate(None, to_keystore=False)  # what was cut short ends first
            return self._rotate(place, to_keystore=to_keystore)
        finally:
            self._rotating.release()

    def resume(self) -> None:
        """Finish a rotation that was cut short. Raises: as `rotate`; a key service that is away is waited for.

        Both keys open what they wrapped, so a gateway starts without the service; the next call or start goes on.
        """
        successor = self._keystore.find_next_kek()
        if successor is None:
            return
        try:
            self.rotate()
        except UnavailableError as error:
            if not isinstance(successor, TransitKey):
                raise
            _logger.warning("the rotation of the key-encryption key goes on with `concord key rotate kek`: %s", error)

    def _check_place(self, place: TransitPlace) -> None:
        from ledger.client.transit import parse_kms_url  # noqa: PLC0415 - loads HTTP, which few gateways need for this

        url = parse_kms_url(place.url)
        if url in self._kms_urls:
            return
        with self._wrapping:
            present = self._keystore.ensure_kek() if self._keystore.has_kek else None
        if not isinstance(present, TransitKey) or parse_kms_url(present.named.place.url) != url:
            raise ForbiddenError(
                f"the operator lists no key service at {url}, so it gets neither token nor keys: let CONCORD_KMS_URLS "
                "name it, start the gateway again, and repeat this",
                code="unknown-kms",
                facts={"url": url},
            )

    def _rotate(self, place: TransitPlace | None, *, to_keystore: bool) -> RotatedKek:
        with self._wrapping:
            is_first, present = not self._keystore.has_kek, self._keystore.ensure_kek()
            is_moved = place is not None or to_keystore
            if is_first and not is_moved and not self._store.sealings.list_wrapped_otherwise(present.id, 1):
                return RotatedKek(present.id, 0)  # it is new, and nothing was wrapped by another
        named = None
        if self._keystore.find_next_kek() is None and not to_keystore:
            named = self._name_successor(present, place)
        with self._wrapping:
            successor = self._keystore.ensure_next_kek(named)
        count = 0
        while rewrapped := self._rewrap_some(successor):
            count += rewrapped
        with self._wrapping:
            while rewrapped := self._rewrap_some(successor):
                count += rewrapped
            if isinstance(successor, TransitKey):
                successor.retire_predecessors()
            self._keystore.adopt_next_kek()
        _logger.info("the keys of sealings are wrapped by %s from now on, %d of them anew", successor.id, count)
        return RotatedKek(successor.id, count)

    def _name_successor(self, present: KeyEncryptionKey, place: TransitPlace | None) -> NamedTransitKey | None:
        """At a key-management service, which was found to wrap and unwrap with it; None: in the keystore."""
        if place is not None:
            named = self._keystore.open_transit_key(NamedTransitKey.draw(place, 1)).name_newest()
        elif isinstance(present, TransitKey):
            named = present.follow()
        else:
            return None
        self._keystore.open_transit_key(named).check()
        return named

    def _rewrap_some(self, successor: KeyEncryptionKey) -> int:
        """Wrap up to a hundred keys anew, each checked against its commitment before; how many there were.

        A key service may be slow, so the database is not held meanwhile: what changed since is left as it is.
        """
        found = self._store.sealings.list_wrapped_otherwise(successor.id, _AT_ONCE)
        wrapped: list[tuple[Bytes32, str, bytes]] = []
        for sealing, old in found:
            with suppress(NotFoundError):  # replaced or destroyed meanwhile
                wrapped.append((sealing, old, successor.wrap(self.unwrap(sealing).to_bytes(), sealing)))
        with self._store.transaction():
            for sealing, old, each in wrapped:
                self._store.sealings.rewrap(sealing, old, successor.id, each)
        return len(found)


@contextmanager
def _opening(what: str) -> Iterator[None]:
    try:
        yield
    except (MalformedError, VerificationError) as error:
        expected, found = getattr(error, "expected", None), getattr(error, "found", None)
        raise StoredKeyError(f"{what} does not open: {error}", expected=expected, found=found) from error
