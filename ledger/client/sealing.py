"""Sealing on the provider's own machine: the gateway gets ciphertext, descriptor and statement, and never the key.

Manifest and chunk hashes are registered as ever, so names, sizes and hashes of files are known to the gateway. Each
push that seals draws a new key and keeps it before the first byte leaves; nothing is gone on with under an old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypedDict

from ledger.canonical import JsonValue
from ledger.client.datasets import Registration, state_version
from ledger.client.flow import ByteProgress, Flow, Request, Upload
from ledger.client.identity import Identity
from ledger.client.sealing_keys import SealingKeyKeeper
from ledger.client.statements import state
from ledger.content import ScannedContent
from ledger.content.sealing import SealedFile, SealingDescriptor, SealingKey
from ledger.content.sealing_files import FileSealer, read_pieces, seal_chunks, sealed_size
from ledger.content.walking import list_files
from ledger.errors import ConflictError, LedgerError, NotFoundError, VerificationError
from ledger.surface.codec import parse_object
from ledger.surface.sealings import SealingView

__all__ = ["Pushed", "current", "push"]


class _Wishes(TypedDict):
    parents: Sequence[str]
    if_changed: bool
    expected_version: int | None


_REPEATING: Final = "Push again: that seals under a new key"


@dataclass(frozen=True)
class Pushed:
    """What ``push`` did; ``was_sealed`` False: the version is delivered under a sealing whose key is kept here."""

    registration: Registration
    sealing: SealingView
    was_sealed: bool


def current(registration: Registration) -> Flow[SealingView]:
    """The sealing under which a version of one's own is delivered. Raises: NotFoundError: none."""
    return parse_object(SealingView, (yield Request("GET", f"{_path(registration)}/current")).json)


def push(
    folder: Path,
    scanned: ScannedContent,
    provider: str,
    slug: str,
    metadata: Mapping[str, JsonValue],
    keys: SealingKeyKeeper,
    identity: Identity | None = None,
    *,
    parents: Sequence[str] = (),
    if_changed: bool = False,
    expected_version: int | None = None,
    progress: ByteProgress | None = None,
) -> Flow[Pushed]:
    """Register ``scanned`` as the next version, and bring its bytes sealed under a key that is kept in ``keys``.

    The key of this version's sealing before, if there was one, is destroyed. With ``if_changed`` nothing is stated
    where the latest version has the same content and metadata, and nothing is sealed where it is delivered under a
    sealing whose key is in ``keys``, unless that was given to somebody whose grant is over.

    Raises:
        ConflictError: a file changed since it was hashed (``file-changed``): nothing is delivered under that sealing.
        VerificationError: the gateway has another ciphertext than was sent; the sealing was not stated.
        LedgerError, OSError: as ``datasets.register``; and what the keeper of keys raises.
    """
    more: _Wishes = {"parents": parents, "if_changed": if_changed, "expected_version": expected_version}
    registration = yield from state_version(scanned, provider, slug, metadata, identity, **more)
    before = yield from _find_current(registration)
    if if_changed and before is not None and not before.is_due and not before.is_key_here and keys.has(before.id):
        return Pushed(registration, before, was_sealed=False)
    key = SealingKey.draw()
    keys.keep(key)
    brought = yield from _bring(_SealedUpload.of(folder, progress, scanned, key), registration, keys)
    stated = yield from _state(registration, brought, identity)
    if before is not None:
        keys.forget(before.id)  # nothing is delivered under it any more
    return Pushed(registration, stated, was_sealed=True)


def _find_current(registration: Registration) -> Flow[SealingView | None]:
    try:
        return (yield from current(registration))
    except NotFoundError:
        return None


def _bring(body: _SealedUpload, registration: Registration, keys: SealingKeyKeeper) -> Flow[SealingView]:
    """What the gateway says that it has of the ciphertext. Where that is not what was sent, the key is forgotten."""
    sealing = body.key.commitment
    try:
        answer = yield Request("PUT", f"{_path(registration)}/{sealing}", body=body, repeating=_REPEATING)
        view = parse_object(SealingView, answer.json)
        _check_brought(body, view)
    except BaseException:
        keys.forget(sealing)  # nothing was stated under it
        raise
    return view


def _check_brought(body: _SealedUpload, view: SealingView) -> None:
    expected = (body.key.commitment, body.descriptor.ciphertext_root, body.descriptor.size_bytes)
    found = (view.id, view.ciphertext_root, view.ciphertext_size)
    if expected != found or view.is_key_here:
        raise VerificationError(
            "the gateway has another ciphertext than was sent: the sealing was not stated; push again",
            expected=str(expected[1]),
            found=str(found[1]),
        )


def _state(registration: Registration, brought: SealingView, identity: Identity | None) -> Flow[SealingView]:
    given: dict[str, JsonValue] = {}
    if identity is not None:
        intent: dict[str, JsonValue] = {
            "dataset": str(registration.dataset),
            "version": str(registration.version),
            "registration": str(registration.digest),
            "keyCommitment": str(brought.id),
            "ciphertextRoot": str(brought.ciphertext_root),
            "ciphertextSize": str(brought.ciphertext_size),
        }
        given["statement"] = str((yield from state("Sealing", intent, identity)).digest)
    path = f"{_path(registration)}/{brought.id}/statement"
    return parse_object(SealingView, (yield Request("POST", path, json=given, repeating=_REPEATING)).json)


def _path(registration: Registration) -> str:
    return f"/v1/datasets/{registration.dataset}/versions/{registration.version}/sealings"


@dataclass(frozen=True)
class _SealedUpload(Upload):
    """The files of ``path``, sealed as they are read; read anew, they give the same bytes or an error."""

    scanned: ScannedContent = field(kw_only=True)
    key: SealingKey = field(kw_only=True)
    sealed: list[SealedFile] = field(default_factory=list, init=False)

    @classmethod
    def of(cls, folder: Path, progress: ByteProgress | None, scanned: ScannedContent, key: SealingKey) -> Self:
        """The upload of what was scanned of ``folder``."""
        size = sum(sealed_size(entry) for entry in scanned.manifest.files)
        return cls(folder, size, progress, scanned=scanned, key=key)

    @property
    def descriptor(self) -> SealingDescriptor:
        """What was sealed. Raises: LedgerError: not all of it was read."""
        return SealingDescriptor(self.key.commitment, tuple(self.sealed))

    def chunks(self) -> Iterator[bytes]:
        """The sealed chunks of all files. Raises: ConflictError: ``file-changed``; NotFoundError; OSError."""
        self.sealed.clear()
        places = {found.path: found.location for found in list_files(self.path)}
        for entry in self.scanned.manifest.files:
            if entry.path not in places:
                raise NotFoundError(f"{entry.path} is gone from {self.path}: put it back and push again")
            sealer = FileSealer(self.key, entry, self.scanned.chunks[entry.path])
            try:
                with places[entry.path].open("rb") as source:
                    for chunk in seal_chunks(sealer, read_pieces(source)):
                        if self.progress is not None:
                            self.progress(len(chunk))
                        yield chunk
            except VerificationError as error:
                raise _changed(places[entry.path]) from error
            self.sealed.append(sealer.finish())


def _changed(place: Path) -> LedgerError:
    return ConflictError(
        f"{place} changed since it was hashed, and what changed was not sealed: push again, which hashes it and seals "
        "under a new key",
        code="file-changed",
    )
