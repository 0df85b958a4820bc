"""Fetches what deliveries ask for: from the last good chunk on, as often as it takes, and no more than fits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from ledger.canonical import JsonValue, encode_canonical
from ledger.chain import Signer
from ledger.client import transfers
from ledger.client.choosing import Part, choose
from ledger.client.described import Described
from ledger.client.flow import Flow
from ledger.client.opening import open_aside
from ledger.client.sealed_files import PullState
from ledger.client.signed import signed
from ledger.client.transfers import Consumer, Pulled
from ledger.content import Manifest
from ledger.content.sealing import SealingKey
from ledger.errors import (
    ConflictError,
    LedgerError,
    NotFoundError,
    UnavailableError,
)
from ledger.exchange.deliveries.allotment import Allotment
from ledger.exchange.deliveries.failures import judge_failure
from ledger.exchange.deliveries.peers import Peers
from ledger.exchange.deliveries.places import Place
from ledger.exchange.deliveries.run import InterruptedTryError, Try
from ledger.exchange.parts import Parts
from ledger.exchange.presenting import present_key, present_version
from ledger.exchange.settings import Home
from ledger.statements import Domains
from ledger.store.rows import DeliveryRow
from ledger.surface.codec import dump_value
from ledger.surface.deliveries import DeliveryState
from ledger.surface.transfers import StatedView, TransferView
from ledger.types import Address, Bytes32

__all__ = ["CustodialKey", "Fetching", "find_custodial_key"]

_IDLE_S: Final = 5.0
_MOST_TOLD: Final = 2000
_FILES_LOST: Final = (
    "the files are not in the gateway's folder any more, as after a restore: started again, it fetches them"
)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CustodialKey:
    """A participant's custodial key, as the client signs with it."""

    held: Signer
    domains: Domains

    @property
    def address(self) -> Address:
        """The key's address."""
        return self.held.address

    @property
    def signer(self) -> CustodialKey:
        """Itself: it signs requests as well as statements."""
        return self

    def sign_payload(self, payload: bytes) -> bytes:
        """Sign Keccak-256 of ``payload``. Raises: UnavailableError: a remote signer does not answer."""
        return self.held.sign(payload)


def find_custodial_key(parts: Parts, participant: Bytes32) -> CustodialKey:
    """The participant's active key that this gateway holds. Raises: ConflictError: none (``no-custodial-key``)."""
    for key in parts.directory.signing_keys_of(participant):
        held = parts.keystore.find(participant, key)
        if held is not None:
            return CustodialKey(held, parts.domains)
    raise ConflictError(
        "the gateway holds no active key of yours, so it can not ask and receipt in your name: pull with your own, "
        "`concord dataset pull --key FILE`",
        code="no-custodial-key",
    )


class Fetching:
    """Works on deliveries, one in each thread that calls `step`."""

    def __init__(self, parts: Parts, peers: Peers) -> None:
        self._parts = parts
        self._peers = peers
        self._rows = parts.store.deliveries
        self._allotment = Allotment(parts)
        self._home = Home(parts.settings.home).deliveries_folder
        self._lock = threading.Lock()
        self._under_way: dict[Bytes32, Try] = {}
        self._is_stopped = False

    def place_of(self, delivery: Bytes32) -> Place:
        """Where a delivery lies."""
        return Place.of(self._home, delivery)

    def resume(self) -> None:
        """Take up what a stop or a crash left. Raises: UnavailableError: database or disk failed."""
        for row in self._rows.list_in(DeliveryState.RUNNING):
            self._rows.change(row.id, state=DeliveryState.QUEUED, next_try_at=self._parts.now())
        for row in self._rows.list_in(DeliveryState.CANCELLED):
            self._remove(row.id)
        for row in self._rows.list_in(DeliveryState.DELIVERED):
            if not self.place_of(row.id).is_opened:
                self._rows.change(
                    row.id,
                    state=DeliveryState.FAILED,
                    reserved_bytes=0,
                    delivered_at=None,
                    error_code="files-lost",
                    error=_FILES_LOST,
                )

    def stop(self) -> None:
        """Interrupt what is under way, for good: the next start goes on with it."""
        with self._lock:
            self._is_stopped = True
            for each in self._under_way.values():
                each.interrupt()

    def cancel(self, delivery: Bytes32) -> None:
        """Remove a delivery with all that was received of it. Raises: UnavailableError: database or disk failed."""
        self._rows.change(delivery, state=DeliveryState.CANCELLED, reserved_bytes=0)
        with self._lock:
            running = self._under_way.get(delivery)
            if running is not None:
                running.interrupt()  # and whoever works on it removes it
                return
        self._remove(delivery)

    def step(self) -> bool | float:
        """Work on the delivery whose turn it is; else say in how many seconds to come back.

        Raises:
            UnavailableError: the database failed.
        """
        with self._claiming() as (row, turn):
            if row is None:
                return self._pause_s()
            before = self.place_of(row.id).received_bytes
            try:
                self._rows.change(row.id, unless=DeliveryState.CANCELLED, state=DeliveryState.RUNNING)
                self._deliver(row, turn)
            except InterruptedTryError:
                self._rows.change(row.id, unless=DeliveryState.CANCELLED, state=DeliveryState.QUEUED)
            except (LedgerError, OSError) as error:
                self._note_failure(row, error, before)
            except Exception:  # one delivery, whatever its provider sent, ends no worker
                _logger.exception("delivery %s broke", row.id)
                self._note_failure(row, UnavailableError("it broke: the gateway's log tells where"), before)
        found = self._rows.find(row.id)
        if found is not None and found.state == DeliveryState.CANCELLED:
            self._remove(row.id)
        return True

    @contextmanager
    def _claiming(self) -> Iterator[tuple[DeliveryRow | None, Try]]:
        turn = Try()
        with self._lock:
            row = None if self._is_stopped else self._rows.find_next(list(self._under_way))
            if row is not None and row.next_try_at > self._parts.now():
                row = None
            if row is not None:
                self._under_way[row.id] = turn
        try:
            yield row, turn
        finally:
            if row is not None:
                with self._lock:
                    del self._under_way[row.id]

    def _pause_s(self) -> float:
        with self._lock:
            row = self._rows.find_next(list(self._under_way))
        if row is None:
            return _IDLE_S
        return min(max((row.next_try_at - self._parts.now()).total_seconds(), 0.01), _IDLE_S)

    def _deliver(self, row: DeliveryRow, turn: Try) -> None:
        place = self.place_of(row.id)
        if not place.is_opened:
            peer = self._peers.choose(row.provider, row.endpoint)
            key = find_custodial_key(self._parts, row.consumer)
            flow = signed(self._fetch(row, key, turn), peer.endpoint, row.consumer, key, self._parts.clock)
            turn.drive(peer, flow)
        self._finish(row, place, place.load_manifest())

    def _fetch(self, row: DeliveryRow, key: CustodialKey, turn: Try) -> Flow[Pulled]:
        version = self._parts.store.datasets.find_registration(row.registration)
        if version is None:
            raise NotFoundError("the version is not known here any more")
        known = (present_key(each, here=False) for each in self._parts.store.participants.keys(row.provider))
        consumer = Consumer(row.consumer, row.provider, key, transfers.signing_keys(known))
        return (
            yield from transfers.deliver(
                self.place_of(row.id).load_state(),
                present_version(version, opened=False),
                consumer,
                _Kept(self._reserve, row, self.place_of(row.id), turn),
                grant=row.grant,
                progress=turn.check,
                clock=self._parts.clock,
            )
        )

    def _reserve(self, row: DeliveryRow, state: PullState, sealed: Described) -> None:
        """Note how large it is, and reserve that much of the disk. Raises: RefusedError: ``no-room``."""
        size, plain = sealed.descriptor.size_bytes, sealed.manifest.size_bytes
        self._rows.change(
            row.id,
            transfer=state.transfer,
            files=len(sealed.manifest.files),
            size_bytes=plain,
            sealed_bytes=size,
        )
        self._allotment.reserve(row.id, self.place_of(row.id), size + plain)

    def _finish(self, row: DeliveryRow, place: Place, manifest: Manifest) -> None:
        now, size = self._parts.now(), manifest.size_bytes
        self._rows.change(
            row.id,
            unless=DeliveryState.CANCELLED,
            state=DeliveryState.DELIVERED,
            delivered_at=now,
            files=len(manifest.files),
            size_bytes=size,
            reserved_bytes=size,
            error_code=None,
            error=None,
        )
        place.tidy()

    def _note_failure(self, row: DeliveryRow, error: LedgerError | OSError, before: int) -> None:
        now, place = self._parts.now(), self.place_of(row.id)
        has_progress = place.received_bytes > before
        since = now if has_progress else row.progress_at
        tries = 1 if has_progress else row.tries + 1
        failure = judge_failure(error, tries, now - since)
        _logger.info("delivery %s did not go on: %s", row.id, failure.code)
        self._rows.change(
            row.id,
            unless=DeliveryState.CANCELLED,
            state=DeliveryState.FAILED if failure.pause_s is None else DeliveryState.WAITING,
            tries=tries,
            progress_at=since,
            next_try_at=now + timedelta(seconds=failure.pause_s or 0.0),
            transfer=place.find_transfer() or row.transfer,
            error_code=failure.code,
            error=failure.detail.replace(f"{place.folder}/", "")[:_MOST_TOLD],
        )

    def _remove(self, delivery: Bytes32) -> None:
        try:
            self.place_of(delivery).remove()
        except OSError as error:
            raise UnavailableError(f"what was received can not be removed now: {error.strerror}") from error
        self._rows.drop(delivery)


@dataclass(frozen=True)
class _Kept:
    """A delivery's place, to which all files of a version go."""

    reserve: Callable[[DeliveryRow, PullState, Described], None]
    row: DeliveryRow
    place: Place
    turn: Try

    def admit(self, state: PullState, sealed: Described) -> tuple[Part, ...]:
        self.reserve(self.row, state, sealed)
        return choose(sealed.manifest, state.choice)

    def take(
        self, state: PullState, sealed: Described, parts: tuple[Part, ...], released: TransferView, key: SealingKey
    ) -> None:
        plain = open_aside(state, key, parts, sealed.chunks, sealed.descriptor, self.turn.check)
        self.place.publish(plain, sealed.manifest, _list_statements(state, released))


def _list_statements(state: PullState, view: TransferView) -> bytes:
    """What was stated about a delivery: the sealing, the receipt as it was signed, the key's release."""
    receipt = cast("Mapping[str, JsonValue]", state.receipt)
    stated = {
        "sealing": dump_value(view.sealing),
        "receipt": {"digest": str(view.receipt), "type": "TransferReceipt", **receipt},
        "release": dump_value(cast("StatedView", view.release)),
    }
    return encode_canonical(cast("JsonValue", stated))
