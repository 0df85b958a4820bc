"""Versions encrypted for delivery: sealed, stated in the log, replaced, destroyed.

A sealing is made under a key that is drawn for it, and that key is stored, wrapped, before the first chunk is written.
It is current once its ``Sealing`` is in the log; what stood before it loses its key in the same transaction, and then
its objects. One that was cut short is given up at the next start, never gone on with.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from ledger.content import ChunkIndex, ChunkMismatchError, Manifest, parse_chunks, parse_manifest
from ledger.content.sealing import SealingDescriptor, SealingKey, parse_sealing
from ledger.content.sealing_store import SealedObjects
from ledger.content.sealing_version import VersionSealer
from ledger.content.store import StoredContentError
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.intake import Announce
from ledger.exchange.intents import Intent, RawIntent
from ledger.exchange.parts import Parts
from ledger.exchange.sealed_version import SealedVersion
from ledger.exchange.sealing_keys import SealingKeys
from ledger.exchange.transit_key import parse_kms_urls
from ledger.store.rows import SealingRow, SealingState, VersionRow
from ledger.surface.outcomes import Outcome
from ledger.types import Bytes32

__all__ = ["Sealings", "begin_sealing"]

_RETRY_AFTER_S: Final = 1.0

State = Callable[[Asker, Intent, Announce], Outcome]
"""Signs in a participant's name and submits; told what to do just before the statement enters the log."""


class Sealings:
    """`gateway.sealings`. Versions are named by the digest of their registration."""

    def __init__(self, parts: Parts, state: State) -> None:
        """Raises: MalformedError: the key services in settings are no URLs."""
        self._parts = parts
        self._state = state
        self._rows = parts.store.sealings
        self.objects = SealedObjects.beside(parts.content)
        self._turn, self._under_way = threading.Lock(), set[Bytes32]()
        self.keys = SealingKeys(parts.store, parts.keystore, parse_kms_urls(parts.settings.kms_urls))

    def current(self, registration: Bytes32) -> SealedVersion | None:
        """The sealing under which a version is delivered; None: it is not sealed, or was erased."""
        row = self._rows.find_current(registration)
        return None if row is None else self._present(row)

    def is_current(self, sealing: Bytes32) -> bool:
        """Whether a version is delivered under this sealing now: one quick read, to be asked between chunks."""
        return self._rows.is_current(sealing)

    def find(self, statement: Bytes32) -> SealedVersion | None:
        """The sealing that a ``Sealing`` states, one that was replaced too; None: it was not made here."""
        row = self._rows.find_stated(statement)
        return None if row is None or row.descriptor is None else self._present(row)

    def holds_key(self, sealing: Bytes32) -> bool:
        """Whether its key is here; that of a sealing which its provider's own client made is not."""
        row = self._rows.find(sealing)
        return row is not None and row.wrapped_key is not None

    def unwrap(self, sealing: Bytes32) -> SealingKey:
        """A sealing's key. Raises: NotFoundError: it is destroyed; others as `SealingKeys.unwrap`."""
        return self.keys.unwrap(sealing)

    async def make(self, registration: Bytes32) -> SealedVersion:
        """The current sealing of a version; it is made, and stated in its provider's name, if there is none.

        Raises:
            NotFoundError: no such version is known, or its manifest is not here.
            ConflictError: not all its files were uploaded (``not-uploaded``), it was erased (``version-erased``), it is
                just being sealed (``sealing-under-way``), or the gateway holds no key of its provider
                (``no-custodial-key``): the sealing then waits, and `adopt` takes the statement that its provider signs.
            StoredContentError: a stored file was changed.
            UnavailableError: store, disk or database failed; nothing of this sealing stays.
        """
        found = await self.find_complete(registration)
        if found is not None:
            return found
        with self.turn(registration):
            return await self.find_complete(registration) or await self._make(registration)

    async def find_complete(self, registration: Bytes32) -> SealedVersion | None:
        """The current sealing of a version; None: there is none, or it is not all stored. Raises: UnavailableError."""
        row = await asyncio.to_thread(self._rows.find_current, registration)
        return self._present(row) if row is not None and await self.objects.is_complete(row.id) else None

    async def replace(self, registration: Bytes32) -> SealedVersion:
        """Seal a version under a new key; key and objects of the sealing before go. Raises: as `make`."""
        with self.turn(registration):
            return await self._make(registration)

    async def end(self, registration: Bytes32) -> None:
        """Let no sealing of a version be current: key and objects go. The next transfer seals it again.

        Raises:
            ConflictError: it is just being sealed (``sealing-under-way``).
            UnavailableError: the store failed: the key is gone, the objects go with `remove_ended`.
        """
        with self.turn(registration):
            await asyncio.to_thread(self._rows.end, registration, self._parts.now())
        await self.remove_ended()

    async def destroy(self, registration: Bytes32) -> None:
        """Destroy keys and objects of all sealings of a version, for good; a second call does nothing.

        The keys are gone when this returns or raises; the objects at the latest after the next start.

        Raises:
            UnavailableError: the store failed; call it again.
        """
        await asyncio.to_thread(self._rows.erase, registration, self._parts.now())
        await self.remove_ended()

    def adopt(self, statement: Bytes32) -> SealedVersion:
        """Let the sealing that a logged ``Sealing`` states be the current one.

        Raises:
            NotFoundError: no such statement, or its sealing is not here or was given up.
            VerificationError: it states another ciphertext than was made here.
        """
        message = self._parts.directory.statement(statement, "Sealing").message
        sealing = cast("Bytes32", message["keyCommitment"])
        row = self._rows.find(sealing)
        if row is None or row.descriptor is None or row.registration != message["registration"]:
            raise NotFoundError(f"the sealing {sealing} was not made here")
        root, size = cast("Bytes32", message["ciphertextRoot"]), cast("int", message["ciphertextSize"])
        parse_sealing(row.descriptor).check_statement(sealing, root, size)
        if row.state is not SealingState.CURRENT:
            with self._parts.store.transaction():
                self._rows.announce(sealing, statement)
                self._rows.make_current(sealing, self._parts.now())
        return self._present(self._rows.find(sealing) or row)

    def intent(self, registration: Bytes32) -> RawIntent | None:
        """What the provider is to state of a sealing that waits for its statement; None: none waits."""
        row = self._find_waiting(registration)
        return None if row is None or row.descriptor is None else _intent_of(row, parse_sealing(row.descriptor))

    def resume(self) -> None:
        """Settle what a crash left: state what was being stated, give up what was being written, remove what ended.

        Raises:
            UnavailableError: database or store failed.
        """
        for row in self._rows.list_unfinished():
            if row.state is SealingState.MAKING:
                self._rows.give_up(row.id, self._parts.now())
            elif row.statement is not None and self._parts.store.statements.find(row.statement) is not None:
                self.adopt(row.statement)
        asyncio.run(self.remove_ended())
        self.keys.resume()

    # Making one

    async def _make(self, registration: Bytes32) -> SealedVersion:
        row = await asyncio.to_thread(self._find_waiting, registration)
        if row is None or not await self.objects.is_complete(row.id):
            row = await self._write(registration)
        made = await asyncio.to_thread(self.state_waiting, row)
        await self.remove_ended()
        return made

    async def _write(self, registration: Bytes32) -> SealingRow:
        source = await asyncio.to_thread(self._find_source, registration)
        key = SealingKey.draw()
        row = begin_sealing(key.commitment, source.version, self._parts.now())
        await asyncio.to_thread(self.keys.keep, row, key)
        try:
            descriptor = await self._write_objects(key, source)
            await asyncio.to_thread(self._rows.complete, row.id, descriptor.to_bytes())
        except BaseException:
            await asyncio.to_thread(self._rows.give_up, row.id, self._parts.now())
            with suppress(UnavailableError):  # what can not be removed now, the next start removes
                await self.remove_ended()
                await self.objects.remove(row.id)  # an erasure may have removed what was there before the end
            raise
        return await asyncio.to_thread(self._reload, row.id)

    async def _write_objects(self, key: SealingKey, source: _Source) -> SealingDescriptor:
        sealer = VersionSealer(key, source.manifest, source.chunks)
        try:
            await self.objects.place_data(key.commitment, sealer.seal(self._parts.content.read_file), sealer.size_bytes)
        except ChunkMismatchError as error:  # each chunk is checked there, before it is encrypted
            entry = next(each for each in source.manifest.files if each.path == error.path)
            raise StoredContentError(entry, error) from error
        descriptor = sealer.finish()
        await self.objects.place_descriptor(descriptor, sealer.leaves)
        return descriptor

    def _find_source(self, registration: Bytes32) -> _Source:
        store = self._parts.store
        version = store.datasets.find_registration(registration)
        if version is None:
            raise NotFoundError(f"no version with the registration {registration} is known here")
        if version.erased is not None:
            raise ConflictError("the version was erased: register the data again", code="version-erased")
        content = None if version.content_root is None else store.contents.find(version.content_root)
        if content is None:
            raise NotFoundError("the manifest of this version is not kept here")
        missing = next((each.path for each in store.contents.files(registration) if each.uploaded_at is None), None)
        if missing is not None:
            raise ConflictError(f"the bytes of {missing} were not uploaded yet: send them first", code="not-uploaded")
        manifest = parse_manifest(content.manifest)
        return _Source(version, manifest, None if content.chunks is None else parse_chunks(content.chunks, manifest))

    def _find_waiting(self, registration: Bytes32) -> SealingRow | None:
        """The sealing of a version that was written here and is not stated, if there is one.

        One that the provider's client made waits for that client alone, whose key it is.
        """
        unfinished = self._rows.list_unfinished(registration)
        mine = (row for row in unfinished if row.state is SealingState.SEALED and row.wrapped_key is not None)
        return next(mine, None)

    def state_waiting(self, row: SealingRow) -> SealedVersion:
        """State a sealing that is written, unless it was; it is current then. Raises: as `make`."""
        if row.statement is None or self._parts.store.statements.find(row.statement) is None:
            intent = _intent_of(row, self._describe(row))
            asker = Asker(self._provider_of(row), frozenset({Scope.WRITE}))
            digest = self._state(asker, intent, lambda announced: self._rows.announce(row.id, announced)).digest
        else:
            digest = row.statement
        return self.adopt(digest)

    def _provider_of(self, row: SealingRow) -> Bytes32:
        version = self._parts.store.datasets.find_registration(row.registration)
        if version is None:
            raise NotFoundError(f"no version with the registration {row.registration} is known here")
        return version.provider

    async def remove_ended(self) -> None:
        """Remove the objects of sealings that have ended. Raises: UnavailableError: the store failed; call it again."""
        for row in await asyncio.to_thread(self._rows.list_unremoved):
            await self.objects.remove(row.id)
            await asyncio.to_thread(self._rows.mark_removed, row.id, self._parts.now())

    def _reload(self, sealing: Bytes32) -> SealingRow:
        row = self._rows.find(sealing)
        if row is None:
            raise NotFoundError(f"the sealing {sealing} is not here")
        return row

    def _describe(self, row: SealingRow) -> SealingDescriptor:
        if row.descriptor is None:
            raise NotFoundError(f"the sealing {row.id} is not written yet")
        return parse_sealing(row.descriptor)

    def _present(self, row: SealingRow) -> SealedVersion:
        if row.statement is None:
            raise NotFoundError(f"the sealing {row.id} is not stated yet")
        return SealedVersion(
            id=row.id,
            registration=row.registration,
            dataset=row.dataset,
            version=row.version,
            statement=row.statement,
            descriptor=self._describe(row),
            _objects=self.objects,
        )

    @contextmanager
    def turn(self, registration: Bytes32) -> Iterator[None]:
        """One sealing of a version at a time. Raises: ConflictError: ``sealing-under-way``."""
        with self._turn:
            if registration in self._under_way:
                raise ConflictError(
                    "this version is just being sealed: ask again soon",
                    code="sealing-under-way",
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._under_way.add(registration)
        try:
            yield
        finally:
            with self._turn:
                self._under_way.discard(registration)


@dataclass(frozen=True)
class _Source:
    version: VersionRow
    manifest: Manifest
    chunks: ChunkIndex | None


def begin_sealing(sealing: Bytes32, version: VersionRow, now: datetime) -> SealingRow:
    """The row of a sealing whose chunks are about to be written."""
    return SealingRow(
        id=sealing,
        registration=version.registration,
        dataset=version.dataset,
        version=version.version,
        state=SealingState.MAKING,
        statement=None,
        wrapped_key=None,
        kek=None,
        descriptor=None,
        created_at=now,
    )


def _intent_of(row: SealingRow, descriptor: SealingDescriptor) -> RawIntent:
    return RawIntent(
        type_name="Sealing",
        members={
            "dataset": str(row.dataset),
            "version": str(row.version),
            "registration": str(row.registration),
            "keyCommitment": str(row.id),
            "ciphertextRoot": str(descriptor.ciphertext_root),
            "ciphertextSize": str(descriptor.size_bytes),
        },
    )
