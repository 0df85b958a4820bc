"""The provider's side of a delivery: offer, sealed chunks, receipt, then the key; each step under the live grant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from ledger.content.sealing import SealingKey
from ledger.content.sealing_store import StoredSealingError
from ledger.errors import ConflictError, NotFoundError
from ledger.exchange.asker import Asker, Scope
from ledger.exchange.erasing import check_kept
from ledger.exchange.errors import ForbiddenError, NoSuchRangeError
from ledger.exchange.evidence import Pin
from ledger.exchange.paging import Paging, present_page
from ledger.exchange.parts import Parts
from ledger.exchange.permission import Permission
from ledger.exchange.rooms import Statements
from ledger.exchange.sealed_version import SealedVersion
from ledger.exchange.sealing_work import SealingWork
from ledger.exchange.sealings import Sealings
from ledger.exchange.transfers.callers import Caller, Callers
from ledger.exchange.transfers.keys import Receiving
from ledger.exchange.transfers.releases import Releases
from ledger.exchange.transfers.watching import Watch, cut_at_chunks, with_first
from ledger.statements import compute_transfer_id
from ledger.store.rows import AccessRow, TransferRow, VersionRow
from ledger.surface.outcomes import Page, SignedStatement
from ledger.surface.transfers import (
    AccessView,
    CustodialReceipt,
    StatedView,
    TransferRequest,
    TransferState,
    TransferView,
)
from ledger.types import Bytes32

__all__ = ["SealedDownload", "Transfers"]


@dataclass(frozen=True)
class SealedDownload:
    """Bytes of a sealing: ``first`` to ``last`` (included) of ``size_bytes``, and the block that permitted it."""

    first: int
    last: int
    size_bytes: int
    pieces: AsyncIterator[bytes]
    block: int


class Transfers:
    """`gateway.transfers`."""

    def __init__(
        self,
        parts: Parts,
        permission: Permission,
        sealings: Sealings,
        statements: Statements,
        receiving: Receiving,
        work: SealingWork,
    ) -> None:
        self._parts = parts
        self._statements = statements
        self._rows = parts.store.transfers
        self._permission = permission
        self._sealings = sealings
        self._work = work
        self._receiving = receiving
        self.callers: Final = Callers(parts)
        self.releases: Final = Releases(parts, sealings, receiving, self._present)

    async def open(self, caller: Caller, request: TransferRequest) -> TransferView:
        """Begin a transfer, or find it again by its salt; the version is sealed first, if it is not.

        Raises:
            ForbiddenError: not permitted (as `Permission.check`), or signed for another gateway.
            NotFoundError: no such dataset or version, or its bytes are not here.
            SealingUnderWayError: the version is being sealed: ask again, the work goes on.
            ConflictError: as `Sealings.make`; the salt was used for another version or grant (``transfer-salt-used``).
            UnavailableError: chain, store or database failed.
        """
        version, grant, block = await asyncio.to_thread(self._permit, caller, request)
        sealed = await self._sealings.find_complete(version.registration)
        sealed = sealed or await self._work.sealed(version.registration)
        return await asyncio.to_thread(self._begin, caller, request.transfer_salt, version, grant, sealed, block)

    def show(self, caller: Caller, transfer: Bytes32) -> TransferView:
        """A transfer, to its consumer and its provider, whatever became of the grant since. Raises: NotFoundError."""
        return self._present(self._find(caller, transfer), self._head())

    def accesses(self, caller: Caller, transfer: Bytes32, paging: Paging) -> Page[AccessView]:
        """What was given of it, to its consumer and its provider. Raises: NotFoundError; MalformedError: the page."""
        self._find(caller, transfer)
        rows = self._rows.list_accesses(transfer, limit=paging.limit, cursor=paging.cursor)
        return present_page(
            rows, lambda each: AccessView(each.at, each.block, each.what, each.first_byte, each.last_byte)
        )

    def manifest(self, caller: Caller, transfer: Bytes32) -> bytes:
        """The version's manifest. Raises: as `data`."""
        return self._load(caller, transfer, "manifest")[0]

    def chunks(self, caller: Caller, transfer: Bytes32) -> bytes:
        """The chunk hashes beside it. Raises: as `data`; NotFoundError: every file has at most one chunk."""
        chunks = self._load(caller, transfer, "chunks")[1]
        if chunks is None:
            raise NotFoundError("every file of this version has at most one chunk: there is no list of chunk hashes")
        return chunks

    def descriptor(self, caller: Caller, transfer: Bytes32) -> bytes:
        """What the sealing consists of. Raises: as `data`."""
        row = self._find_own(caller, transfer)
        self._log(row, self._check(row), "descriptor")
        return self._sealed(row).descriptor.to_bytes()

    async def leaves(self, caller: Caller, transfer: Bytes32) -> bytes:
        """The hashes of its sealed chunks, 32 bytes each. Raises: as `data`."""
        row, block = await asyncio.to_thread(self._admit, caller, transfer)
        await asyncio.to_thread(self._log, row, block, "leaves")
        return await (await asyncio.to_thread(self._sealed, row)).leaves()

    async def data(self, caller: Caller, transfer: Bytes32, first: int = 0, last: int | None = None) -> SealedDownload:
        """The sealed bytes ``first`` to ``last`` (included; by default the end), under the live grant at every chunk.

        Raises:
            ForbiddenError: not permitted any more; also while bytes travel, at the next chunk.
            NoSuchRangeError: the sealing has no such bytes.
            NotFoundError: no such transfer of the caller's, or its sealing was replaced: begin another one.
            StoredSealingError: what is stored of the sealing is gone, or has another size.
            UnavailableError: chain, store or database failed.
        """
        row, block = await asyncio.to_thread(self._admit, caller, transfer)
        sealed = await asyncio.to_thread(self._sealed, row)
        size = sealed.descriptor.size_bytes
        end = size - 1 if last is None else min(last, size - 1)
        if not 0 <= first <= end:
            raise NoSuchRangeError(f"the sealing has {size} bytes: there is none from {first} on", size_bytes=size)
        pieces = self._while_permitted(row, block, sealed, first, end)
        piece = await anext(pieces)  # what can not be read is told before anything is answered
        await asyncio.to_thread(self._log, row, block, "data", first, end)
        return SealedDownload(first, end, size, with_first(piece, pieces), block)

    def receive(self, caller: Caller, transfer: Bytes32, receipt: SignedStatement | CustodialReceipt) -> TransferView:
        """Take the consumer's receipt, then release the key, if it is here; a repeat gets the same release.

        Raises:
            ForbiddenError: not permitted any more: no key is released; the receipt is not logged then either.
            VerificationError, MalformedError, RefusedError, ConflictError: as `Receiving.take`; or the key can not be
                released (`Receiving.check_releasable`), and the receipt is not logged then.
            NotFoundError: no such transfer of the caller's, or its sealing was replaced.
            UnavailableError: chain, log or database failed; what was logged stays, ask again.
        """
        row = self._find_own(caller, transfer)
        with self._receiving.turn(transfer):
            row = self._rows.get(transfer)
            if row.release is None or self._receiving.find(row.release) is None:
                self._check(row)
                sealed = self._sealed(row)
                key = self._find_key(row, sealed)  # first: what is receipted is owed
                row = self._receiving.take(row, sealed, receipt)
                if key is None:  # the provider's own client releases it
                    block = self._check(row)
                else:
                    row, block = self._release(row, key)
            else:
                block = self._head()
        return self._present(row, block)

    def release_owed(self, registration: Bytes32) -> None:
        """Release the keys of a version's current sealing that are receipted and were not released, after a crash.

        Raises:
            ConflictError: a receipt is just being taken (``transfer-under-way``).
            Others as `Receiving.release`.
        """
        sealed = self._sealings.current(registration)
        if sealed is None or not self._sealings.holds_key(sealed.id):
            return
        for owed in self._rows.list_owed(sealed.statement):
            with self._receiving.turn(owed.id), suppress(ForbiddenError):  # to whom may not have it, nothing is owed
                self._release(owed, self._sealings.unwrap(sealed.id))

    def _find_key(self, row: TransferRow, sealed: SealedVersion) -> SealingKey | None:
        """Its key; None: its provider's client has it.

        Raises:
            NotFoundError: the version was sealed anew just now.
            ConflictError: the gateway holds no key of the provider to release it with (``no-custodial-key``).
        """
        if self._sealings.holds_key(sealed.id):
            self._receiving.check_releasable(row)
            return self._sealings.unwrap(sealed.id)
        self._sealed(row)
        return None

    def _release(self, row: TransferRow, key: SealingKey) -> tuple[TransferRow, int]:
        block = self._check(row)
        self._log(row, block, "key")
        return self._receiving.release(row, key), block

    def evidence(
        self, caller: Caller, transfer: Bytes32, part: str, pins: Sequence[Pin] = (), *, wait_s: float = 0.0
    ) -> bytes:
        """Evidence of the transfer's sealing, receipt or release, to its consumer and its provider.

        Where that is not final yet it is waited for up to ``wait_s``.

        Raises:
            NotFoundError: no such transfer, or it has no such statement yet.
            ConflictError: not final yet, or outside the pins.
            UnavailableError: the chain does not answer.
        """
        row = self._find(caller, transfer)
        digest = {"sealing": row.sealing, "receipt": row.receipt, "release": row.release}.get(part)
        if digest is None:
            raise NotFoundError("a transfer has evidence of its sealing, receipt and release, once they are stated")
        if wait_s:
            self._statements.wait(digest, timeout_s=wait_s)
        provider = Asker(row.provider, frozenset({Scope.READ}))  # every one of them names it
        return self._statements.evidence(provider, digest, pins=pins)

    # How it is permitted

    def _permit(self, caller: Caller, request: TransferRequest) -> tuple[VersionRow, Bytes32, int]:
        participant = caller.participant
        dataset = self._parts.directory.dataset(request.dataset)
        self.callers.check_audience(caller, dataset.provider)
        number = dataset.latest_version if request.version is None else request.version
        version = self._parts.store.datasets.find_version(dataset.id, number)
        if version is not None:
            check_kept(version)
        if version is None or version.version_salt is None:
            raise NotFoundError(f"version {number} of {request.dataset[:140]} is not kept here: ask its provider")
        if version.provider == participant:
            raise ForbiddenError("your own data need no delivery: download them", code="own-dataset")
        block = self._head()
        grant = self._find_grant(caller, request, version, block)
        return version, grant, block

    def _find_grant(self, caller: Caller, request: TransferRequest, version: VersionRow, block: int) -> Bytes32:
        """That which is named; else that of the transfer with this salt, while it permits it; else any that does."""
        begun = self._rows.find(compute_transfer_id(caller.participant, request.transfer_salt))
        if request.grant is None and begun is not None and begun.registration == version.registration:
            with suppress(ForbiddenError):
                return self._permission.find_permitting(caller.asker, version, begun.grant, block).digest
        return self._permission.find_permitting(caller.asker, version, request.grant, block).digest

    def _check(self, row: TransferRow) -> int:
        """Check that the grant still permits it after the newest block; return that. Raises: ForbiddenError.

        Of a version that was erased, nothing is permitted to anybody. Raises: ErasedError.
        """
        version = self._version(row)
        check_kept(version)
        block = self._head()
        self._permission.find_permitting(_asker_of(row), version, row.grant, block)
        return block

    async def _while_permitted(
        self, row: TransferRow, block: int, sealed: SealedVersion, first: int, last: int
    ) -> AsyncGenerator[bytes, None]:
        """One sealed chunk after the other; before them, whether a new block changed what is permitted."""
        valid_until = (await asyncio.to_thread(self._parts.directory.grant, row.grant)).terms.valid_until
        check = partial(self._check_again, row, sealed, valid_until)
        watch = Watch(check, block, valid_until, self._parts.clock)
        try:
            async for piece in cut_at_chunks(sealed.read_bytes(first, last), first):
                await watch.look()
                yield piece
        except NotFoundError as error:
            await asyncio.to_thread(check, block)
            raise StoredSealingError(f"the objects of the sealing {sealed.id} are gone: seal it again") from error

    def _check_again(self, row: TransferRow, sealed: SealedVersion, valid_until: int, block: int) -> int:
        if not self._sealings.is_current(sealed.id):
            self._check(row)  # whose grant is over hears of that
            raise NotFoundError("the version was sealed anew: begin another transfer")
        is_over = valid_until <= int(self._parts.clock())
        return self._check(row) if is_over or self._head() != block else block

    def _head(self) -> int:
        return self._parts.edge.head().number

    # What is there

    def _begin(
        self, caller: Caller, salt: Bytes32, version: VersionRow, grant: Bytes32, sealed: SealedVersion, block: int
    ) -> TransferView:
        new = TransferRow(
            id=compute_transfer_id(caller.participant, salt),
            consumer=caller.participant,
            provider=version.provider,
            registration=version.registration,
            grant=grant,
            sealing=sealed.statement,
            opened_at=self._parts.now(),
        )
        row = self._rows.add_or_get(new)
        if (row.registration, row.grant, row.sealing) != (new.registration, new.grant, new.sealing):
            raise ConflictError("this transfer salt was used before: draw another", code="transfer-salt-used")
        self._log(row, block, "offer")
        return self._present(row, block)

    def _admit(self, caller: Caller, transfer: Bytes32) -> tuple[TransferRow, int]:
        row = self._find_own(caller, transfer)
        return row, self._check(row)

    def _find(self, caller: Caller, transfer: Bytes32) -> TransferRow:
        row = self._rows.find(transfer)
        if row is None or caller.participant not in {row.consumer, row.provider}:
            raise NotFoundError("there is no transfer that you may know of")
        self.callers.check_audience(caller, row.provider)
        return row

    def _find_own(self, caller: Caller, transfer: Bytes32) -> TransferRow:
        row = self._find(caller, transfer)
        if row.consumer != caller.participant:
            raise NotFoundError("there is no transfer to you with this id")
        return row

    def _version(self, row: TransferRow) -> VersionRow:
        version = self._parts.store.datasets.find_registration(row.registration)
        if version is None:
            raise NotFoundError("the version is not known here any more")
        return version

    def _sealed(self, row: TransferRow) -> SealedVersion:
        sealed = self._sealings.find(row.sealing)
        if sealed is None or not self._sealings.is_current(sealed.id):
            raise NotFoundError("the version was sealed anew, or erased: begin another transfer")
        return sealed

    def _load(self, caller: Caller, transfer: Bytes32, what: str) -> tuple[bytes, bytes | None]:
        row, block = self._admit(caller, transfer)
        version = self._version(row)
        content = None if version.content_root is None else self._parts.store.contents.find(version.content_root)
        if content is None:
            raise NotFoundError("the manifest of this version is not kept here")
        self._log(row, block, what)
        return content.manifest, content.chunks

    def _log(self, row: TransferRow, block: int, what: str, first: int | None = None, last: int | None = None) -> None:
        self._rows.log_access(row.id, AccessRow(self._parts.now(), block, what, first, last))

    # How it is shown

    def _present(self, row: TransferRow, block: int) -> TransferView:
        version = self._version(row)
        sealing = self._stated(row.sealing)
        release = None if row.release is None or self._receiving.find(row.release) is None else row.release
        receipt = None if row.receipt is None or self._receiving.find(row.receipt) is None else row.receipt
        state = TransferState.OPEN if receipt is None else TransferState.RECEIPTED
        return TransferView(
            id=row.id,
            state=state if release is None else TransferState.RELEASED,
            consumer=row.consumer,
            provider=row.provider,
            dataset=version.dataset,
            version=version.version,
            registration=row.registration,
            content_hash=version.content_hash,
            version_salt=version.version_salt or Bytes32(bytes(32)),
            grant=row.grant,
            sealing=sealing,
            size_bytes=int(str(sealing.message["ciphertextSize"])),
            receipt=receipt,
            release=None if release is None else self._stated(release),
            block=block,
        )

    def _stated(self, digest: Bytes32) -> StatedView:
        kept = self._parts.store.statements.find(digest)
        if kept is None:
            raise NotFoundError(f"the statement {digest} is not here")
        return StatedView(digest, kept.type, dict(kept.message), "0x" + kept.signature.hex(), kept.signer)


def _asker_of(row: TransferRow) -> Asker:
    return Asker(row.consumer, frozenset({Scope.READ}))
