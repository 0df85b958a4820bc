"""The consumer's side of a delivery: what it has its gateway fetch, how far that is, and the files."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ledger.client import transfers
from ledger.client.signed import signed
from ledger.content import FileEntry
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.exchange.asker import Asker
from ledger.exchange.deliveries.fetching import Fetching, find_custodial_key
from ledger.exchange.deliveries.peers import Peers, parse_peers
from ledger.exchange.deliveries.places import Place
from ledger.exchange.deliveries.run import Try
from ledger.exchange.errors import ForbiddenError, NoSuchRangeError
from ledger.exchange.evidence import Pin
from ledger.exchange.parts import Parts
from ledger.store.rows import DeliveryRow, VersionRow
from ledger.surface.deliveries import (
    DeliveredFileView,
    DeliveryErrorView,
    DeliveryRequest,
    DeliveryState,
    DeliveryView,
)
from ledger.types import Bytes32

__all__ = ["DeliveredFile", "Deliveries"]

_MOST_EACH: Final = 1000
_RETRY_AFTER_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.05
_LONGEST_S: Final = 60.0
_PARTS: Final = frozenset({"sealing", "receipt", "release"})
_ENDS: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED})


@dataclass(frozen=True)
class DeliveredFile:
    """Bytes ``first`` to ``last`` (included) of a delivered file."""

    entry: FileEntry
    first: int
    last: int
    pieces: AsyncIterator[bytes]


class Deliveries:
    """`gateway.deliveries`. To everybody but its consumer a delivery is not there."""

    def __init__(self, parts: Parts, wake: Callable[[], None]) -> None:
        """``wake`` wakes those who call `Fetching.step`. Raises: MalformedError: the peers in settings are no URLs."""
        self._parts = parts
        self._peers = Peers(parts, parse_peers(parts.settings.peers))
        self.fetching: Final = Fetching(parts, self._peers)
        self._wake = wake
        self._rows = parts.store.deliveries

    def start(self, asker: Asker, request: DeliveryRequest) -> DeliveryView:
        """Have a version fetched, or find it being fetched, or delivered, already; one that failed goes on.

        Raises:
            ForbiddenError: the key is nobody's, or the data are the asker's own (``own-dataset``).
            NotFoundError: no such dataset or version.
            UnknownPeerError: the gateway may not fetch from there.
            ConflictError: it holds no key of the asker (``no-custodial-key``), or there are too many deliveries.
            UnavailableError: the database failed, or the endpoint's name can not be looked up.
        """
        consumer = _consumer(asker)
        version = self._find_version(request)
        if version.provider == consumer:
            raise ForbiddenError("your own data need no delivery: download them", code="own-dataset")
        find_custodial_key(self._parts, consumer)
        peer = self._peers.choose(version.provider, request.source)
        if len(self._rows.list(consumer)) >= _MOST_EACH:
            raise ConflictError(
                f"you have {_MOST_EACH} deliveries, as many as the gateway keeps: cancel those that you have read",
                code="too-many-deliveries",
            )
        row = self._rows.add_or_get(self._draw(consumer, version, request.grant, peer.endpoint))
        if row.state == DeliveryState.CANCELLED:
            raise ConflictError(
                "the delivery of this version is just being removed: start it again soon",
                code="delivery-under-way",
                retry_after_s=_RETRY_AFTER_S,
            )
        if row.state in (DeliveryState.FAILED, DeliveryState.WAITING):
            self._go_on(row, request.grant, peer.endpoint)
        self._wake()
        return self.show(asker, row.id)

    def _draw(self, consumer: Bytes32, version: VersionRow, grant: Bytes32 | None, endpoint: str) -> DeliveryRow:
        now = self._parts.now()
        return DeliveryRow(
            id=Bytes32(secrets.token_bytes(32)),
            consumer=consumer,
            provider=version.provider,
            dataset=version.dataset,
            version=version.version,
            registration=version.registration,
            grant=grant,
            endpoint=endpoint,
            state=DeliveryState.QUEUED.value,
            next_try_at=now,
            progress_at=now,
            created_at=now,
        )

    def _go_on(self, row: DeliveryRow, grant: Bytes32 | None, endpoint: str) -> None:
        now = self._parts.now()
        self._rows.change(
            row.id,
            unless=DeliveryState.CANCELLED,
            state=DeliveryState.QUEUED,
            grant=grant or row.grant,
            endpoint=endpoint,
            tries=0,
            next_try_at=now,
            progress_at=now,
            error_code=None,
            error=None,
        )

    def list(self, asker: Asker) -> tuple[DeliveryView, ...]:
        """The asker's deliveries, the newest first. Raises: ForbiddenError: the key is nobody's."""
        rows = self._rows.list(_consumer(asker))
        return tuple(self._present(row) for row in rows if row.state != DeliveryState.CANCELLED)

    def show(self, asker: Asker, delivery: Bytes32) -> DeliveryView:
        """A delivery, and how far it is. Raises: NotFoundError."""
        return self._present(self._find(asker, delivery))

    def wait(self, asker: Asker, delivery: Bytes32, timeout_s: float) -> DeliveryView:
        """A delivery once it is delivered or failed, or when time is up. Raises: NotFoundError: none, or no more."""
        end = time.monotonic() + timeout_s
        while (view := self.show(asker, delivery)).state not in _ENDS and time.monotonic() < end:
            time.sleep(_LOOK_AGAIN_S)
        return view

    def cancel(self, asker: Asker, delivery: Bytes32) -> None:
        """End a delivery, whatever its state, and remove what was received of it; its files, too.

        Raises:
            NotFoundError: there is none, or no more.
            UnavailableError: database or disk failed; it is removed at the latest after the next start.
        """
        self.fetching.cancel(self._find(asker, delivery).id)

    def files(self, asker: Asker, delivery: Bytes32) -> tuple[DeliveredFileView, ...]:
        """The delivered files. Raises: NotFoundError; ConflictError: ``not-delivered``."""
        manifest = self._find_delivered(asker, delivery).load_manifest()
        return tuple(DeliveredFileView(each.path, each.size_bytes, each.sha256, each.root) for each in manifest.files)

    def statements(self, asker: Asker, delivery: Bytes32) -> bytes:
        """What was stated about it, signed: sealing, receipt, release. Raises: as `files`."""
        return self._find_delivered(asker, delivery).load_statements()

    def evidence(self, asker: Asker, delivery: Bytes32, part: str, pins: Sequence[Pin] = ()) -> bytes:
        """Evidence of its ``sealing``, ``receipt`` or ``release``, as the provider's gateway makes it of its log.

        Evidence of the sealing that was kept is the answer where that gateway gives none.

        Raises:
            NotFoundError: no such delivery, or nothing of the kind was stated.
            RefusedError, ConflictError: the provider's gateway says no, or not yet (``not-final``).
            UnavailableError: it does not answer.
        """
        row = self._find(asker, delivery)
        if row.transfer is None or part not in _PARTS:
            raise NotFoundError("a transfer has evidence of its sealing, receipt and release, once they are stated")
        peer, key = self._peers.choose(row.provider, row.endpoint), find_custodial_key(self._parts, row.consumer)
        asked = transfers.evidence(row.transfer, part, tuple((each.first, each.last) for each in pins))
        try:
            return Try(_LONGEST_S).drive(peer, signed(asked, peer.endpoint, row.consumer, key, self._parts.clock))
        except UnavailableError as error:
            if part == "sealing":  # kept before the receipt, for when nobody answers
                with suppress(NotFoundError):
                    return self.fetching.place_of(row.id).load_kept_sealing()
            raise UnavailableError(f"{peer.endpoint}: {error}", retry_after_s=error.retry_after_s) from error

    def private_state(self, asker: Asker, delivery: Bytes32) -> bytes:
        """What evidence of a provider that withholds the key is made from; it has this one transfer's private key.

        Raises:
            NotFoundError: no such delivery, or it was delivered, or not begun.
        """
        row = self._find(asker, delivery)
        return self.fetching.place_of(row.id).load_private_state()

    def wrong_chunk(self, asker: Asker, delivery: Bytes32) -> bytes:
        """The receipted chunk, with its proofs, that the released key does not open to what was registered.

        Raises:
            NotFoundError: no such delivery, or nothing of the kind was found.
        """
        return self.fetching.place_of(self._find(asker, delivery).id).load_wrong_chunk()

    def open(
        self, asker: Asker, delivery: Bytes32, path: str, first: int = 0, last: int | None = None
    ) -> DeliveredFile:
        """A delivered file, or bytes ``first`` to ``last`` (included) of it.

        Raises:
            NotFoundError: no such delivery or file.
            ConflictError: ``not-delivered``.
            NoSuchRangeError: the file has no such bytes.
        """
        place = self._find_delivered(asker, delivery)
        _, entry = place.load_manifest().find(path)
        place.check_file(path)
        end = entry.size_bytes - 1 if last is None else min(last, entry.size_bytes - 1)
        if not 0 <= first <= end and (first, last) != (0, None):
            raise NoSuchRangeError(
                f"{path} has {entry.size_bytes} bytes: there is none from {first} on", size_bytes=entry.size_bytes
            )
        return DeliveredFile(entry, first, end, _in_threads(place.read(path, first, end)))

    def _find_version(self, request: DeliveryRequest) -> VersionRow:
        try:
            dataset = self._parts.directory.dataset(request.dataset)
        except NotFoundError as error:
            raise NotFoundError(
                f"{error}: names are known where they were registered, so name a dataset of another gateway by its id"
            ) from error
        number = dataset.latest_version if request.version is None else request.version
        version = self._parts.store.datasets.find_version(dataset.id, number)
        if version is None:
            raise NotFoundError(f"the dataset {request.dataset[:140]} has no version {number}")
        return version

    def _find(self, asker: Asker, delivery: Bytes32) -> DeliveryRow:
        row = self._rows.find(delivery)
        if row is None or row.consumer != asker.participant or row.state == DeliveryState.CANCELLED:
            raise NotFoundError("there is no delivery to you with this id")
        return row

    def _find_delivered(self, asker: Asker, delivery: Bytes32) -> Place:
        row = self._find(asker, delivery)
        if row.state != DeliveryState.DELIVERED:
            raise ConflictError(
                f"it is {row.state}: the files are there, all at once, when it is delivered", code="not-delivered"
            )
        return self.fetching.place_of(row.id)

    def _present(self, row: DeliveryRow) -> DeliveryView:
        is_delivered = row.state == DeliveryState.DELIVERED
        received = self.fetching.place_of(row.id).received_bytes
        error = None if row.error_code is None else DeliveryErrorView(row.error_code, row.error or "")
        return DeliveryView(
            id=row.id,
            state=DeliveryState(row.state),
            consumer=row.consumer,
            provider=row.provider,
            dataset=row.dataset,
            name=self._parts.directory.name_of(row.dataset),
            version=row.version,
            registration=row.registration,
            grant=row.grant,
            endpoint=row.endpoint,
            transfer=row.transfer,
            received_bytes=row.sealed_bytes or 0 if is_delivered else received,
            total_bytes=row.sealed_bytes,
            files=row.files,
            size_bytes=row.size_bytes,
            error=error,
            next_try_at=row.next_try_at if row.state == DeliveryState.WAITING else None,
            created_at=row.created_at,
            delivered_at=row.delivered_at,
        )


def _consumer(asker: Asker) -> Bytes32:
    if asker.participant is None:
        raise ForbiddenError("data are delivered to a participant: this key is bound to none", code="not-yours")
    return asker.participant


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, b"")) != b"":
        yield piece
