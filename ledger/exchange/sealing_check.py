"""Sealings checked from outside, without a key: what is stored of each is what its statement in the log commits to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.content.sealing import SealingDescriptor, parse_sealing
from ledger.content.sealing_store import SealedObjects
from ledger.content.store import ContentStore
from ledger.errors import MalformedError, NotFoundError, VerificationError
from ledger.log.fsck import Finding
from ledger.store import Store
from ledger.store.rows import SealingRow
from ledger.types import Bytes32

__all__ = ["check_sealings", "sealed_size_of"]


async def check_sealings(
    content: ContentStore,
    store: Store,
    sealings: Sequence[SealingRow],
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[Finding]:
    """Compare each current sealing with its ``Sealing`` and hash all its ciphertext again.

    One that ends while it is looked at is no finding. ``on_progress`` is told how many bytes are done.

    Raises:
        UnavailableError: store or database failed.
    """
    objects, found, done = SealedObjects.beside(content), list[Finding](), 0
    for row in sealings:
        try:
            done += sealed_size_of(row)
            descriptor = _load_descriptor(store, row)
            await objects.audit(descriptor)
        except (NotFoundError, MalformedError, VerificationError) as error:
            if store.sealings.is_current(row.id):
                found.append(Finding("sealing", f"version {row.version} of the dataset {row.dataset}: {error}"))
        on_progress(done)
    return found


def sealed_size_of(row: SealingRow) -> int:
    """How many bytes of ciphertext a sealing has; 0: its descriptor does not tell."""
    try:
        return 0 if row.descriptor is None else parse_sealing(row.descriptor).size_bytes
    except MalformedError:
        return 0


def _load_descriptor(store: Store, row: SealingRow) -> SealingDescriptor:
    stated = None if row.statement is None else store.statements.find(row.statement)
    if stated is None or row.descriptor is None:
        raise NotFoundError(f"the sealing {row.id} has no statement here")
    descriptor, message = parse_sealing(row.descriptor), stated.message
    root, size = Bytes32.parse(str(message["ciphertextRoot"])), int(str(message["ciphertextSize"]))
    descriptor.check_statement(Bytes32.parse(str(message["keyCommitment"])), root, size)
    return descriptor
