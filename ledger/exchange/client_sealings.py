"""Sealings that a provider makes on its own machine: the ciphertext comes here, the key never does.

Such a row has no wrapped key from its beginning. Everything else is as of any other sealing: written whole, current
once its ``Sealing`` is in the log, audited without a key. A receipt under it waits until the provider's client answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ledger.content import Manifest, parse_manifest
from ledger.content.sealed_intake import CiphertextIntake
from ledger.content.sealing import SealingDescriptor, parse_sealing
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.exchange.asker import Asker
from ledger.exchange.erasing import check_kept
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.parts import Parts
from ledger.exchange.sealings import Sealings, begin_sealing
from ledger.store.rows import SealingRow, SealingState, VersionRow
from ledger.surface.sealings import SealingView
from ledger.types import Bytes32

__all__ = ["ClientSealings"]

_KEPT: Final = frozenset({SealingState.SEALED, SealingState.CURRENT})


class ClientSealings:
    """`gateway.client_sealings`, for the provider of a version alone."""

    def __init__(self, parts: Parts, sealings: Sealings) -> None:
        self._parts = parts
        self._rows = parts.store.sealings
        self._sealings = sealings

    def current(self, asker: Asker, name: str, number: int) -> SealingView:
        """The sealing under which the version is delivered. Raises: NotFoundError: none; ForbiddenError."""
        row = self._rows.find_current(self._find_own(asker, name, number).registration)
        if row is None:
            raise NotFoundError(f"version {number} is not sealed")
        ended = self._parts.store.transfers.list_ended(self._parts.now())
        return replace(_present(row), is_due=any(registration == row.registration for registration, _ in ended))

    async def take(
        self, asker: Asker, name: str, number: int, sealing: Bytes32, stream: AsyncIterable[bytes]
    ) -> SealingView:
        """Take the ciphertext; it waits for its statement then. One that is here already is not read again.

        Raises:
            ForbiddenError: the dataset is another participant's, or the key may not write.
            NotFoundError: no such version, or its manifest is not here.
            MalformedError: the ciphertext has another size than the version's files when they are sealed.
            ConflictError: the version is just being sealed (``sealing-under-way``), was erased (``version-erased``), or
                a sealing with this key has ended (``sealing-ended``).
            UnavailableError: store, disk or database failed; nothing of this sealing stays.
        """
        version = await asyncio.to_thread(self._find_own, asker, name, number)
        with self._sealings.turn(version.registration):
            row = await asyncio.to_thread(self._rows.find, sealing)
            if row is None:
                row = await self._write(version, sealing, stream)
            elif row.registration != version.registration or row.state not in _KEPT:
                raise ConflictError(
                    "a sealing with this key has ended: push again, which draws another key", code="sealing-ended"
                )
        return _present(row)

    async def state(
        self, asker: Asker, name: str, number: int, sealing: Bytes32, statement: Bytes32 | None
    ) -> SealingView:
        """Deliver the version under this sealing from now on; what stood before it goes.

        ``statement`` is its ``Sealing`` in the log; None: the gateway signs it with the provider's custodial key.

        Raises:
            ForbiddenError, NotFoundError: as `take`; no such sealing or statement.
            ConflictError: the statement is of another sealing (``other-sealing``); as `Sealings.make`.
            VerificationError: it states another ciphertext than the one that is here.
        """
        version = await asyncio.to_thread(self._find_own, asker, name, number)
        with self._sealings.turn(version.registration):
            row = await asyncio.to_thread(self._rows.find, sealing)
            if row is None or row.registration != version.registration:
                raise NotFoundError(f"version {number} has no sealing {sealing} here: push it again")
            await asyncio.to_thread(self._state, row, statement)
            with suppress(UnavailableError):  # what can not be removed now, the next start removes
                await self._sealings.remove_ended()
        return _present(await asyncio.to_thread(self._reload, sealing))

    def _state(self, row: SealingRow, statement: Bytes32 | None) -> None:
        if statement is None:
            self._sealings.state_waiting(row)
            return
        message = self._parts.directory.statement(statement, "Sealing").message
        if message["keyCommitment"] != row.id:
            raise ConflictError("that statement is of another sealing", code="other-sealing")
        self._sealings.adopt(statement)

    async def _write(self, version: VersionRow, sealing: Bytes32, stream: AsyncIterable[bytes]) -> SealingRow:
        intake = CiphertextIntake(await asyncio.to_thread(self._load_manifest, version))
        await asyncio.to_thread(self._rows.add, begin_sealing(sealing, version, self._parts.now()))
        try:
            await self._sealings.objects.place_data(sealing, intake.take(stream), intake.size_bytes)
            descriptor = intake.finish(sealing)
            await self._sealings.objects.place_descriptor(descriptor, intake.leaves)
            await asyncio.to_thread(self._complete, version, descriptor)
        except BaseException:
            await asyncio.to_thread(self._rows.give_up, sealing, self._parts.now())
            with suppress(UnavailableError):  # what can not be removed now, the next start removes
                await self._sealings.remove_ended()
                await self._sealings.objects.remove(sealing)  # an erasure may have removed what was there by then
            raise
        return await asyncio.to_thread(self._reload, sealing)

    def _complete(self, version: VersionRow, descriptor: SealingDescriptor) -> None:
        """The one that waits is the newest: those that were pushed before and never stated are given up."""
        self._rows.complete(descriptor.key_commitment, descriptor.to_bytes())
        for row in self._rows.list_unfinished(version.registration):
            if row.id != descriptor.key_commitment and row.statement is None:
                self._rows.give_up(row.id, self._parts.now())

    def _find_own(self, asker: Asker, name: str, number: int) -> VersionRow:
        dataset = self._parts.directory.dataset(name)
        row = self._parts.store.datasets.find_version(dataset.id, number)
        if row is None:
            raise NotFoundError(f"the dataset {name[:140]} has no version {number}")
        if asker.participant != row.provider:
            raise ForbiddenError("only the provider seals a dataset", code="not-yours")
        check_kept(row)
        return row

    def _load_manifest(self, version: VersionRow) -> Manifest:
        content = None if version.content_root is None else self._parts.store.contents.find(version.content_root)
        if content is None:
            raise NotFoundError("the manifest of this version is not kept here")
        return parse_manifest(content.manifest)

    def _reload(self, sealing: Bytes32) -> SealingRow:
        row = self._rows.find(sealing)
        if row is None:
            raise NotFoundError(f"the sealing {sealing} is not here")
        return row


def _present(row: SealingRow) -> SealingView:
    if row.descriptor is None:
        raise NotFoundError(f"the sealing {row.id} is not written yet")
    descriptor = parse_sealing(row.descriptor)
    return SealingView(
        id=row.id,
        registration=row.registration,
        dataset=row.dataset,
        version=row.version,
        ciphertext_root=descriptor.ciphertext_root,
        ciphertext_size=descriptor.size_bytes,
        statement=row.statement,
        is_current=row.state is SealingState.CURRENT,
        is_key_here=row.wrapped_key is not None,
    )
