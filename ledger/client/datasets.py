"""Datasets: registered from a folder, uploaded, downloaded and re-hashed."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from ledger.canonical import JsonValue, parse_canonical
from ledger.client.batching import BatchUpload, cut_into_batches
from ledger.client.flow import LARGE_BYTES, ByteProgress, Download, Flow, Request, Upload, quote_name
from ledger.client.identity import Identity
from ledger.client.operations import whoami
from ledger.client.reads import filters, read_all, read_items, read_one
from ledger.client.statements import state, state_at
from ledger.content import FileEntry, Manifest, ScannedContent, compute_content_hash, parse_manifest
from ledger.content.walking import list_files
from ledger.errors import ConflictError, MalformedError, NotFoundError, RefusedError, VerificationError
from ledger.surface.codec import parse_object
from ledger.surface.outcomes import Outcome
from ledger.surface.views import (
    DatasetView,
    DescendantView,
    FileView,
    LineageView,
    ParticipantView,
    VerdictView,
    VersionView,
)
from ledger.types import Bytes32

__all__ = [
    "Registration",
    "check_free",
    "descendants",
    "download",
    "erase",
    "files",
    "is_present",
    "lineage",
    "list_all",
    "put_file",
    "register",
    "retire",
    "show",
    "state_version",
    "upload",
    "verify",
    "version",
    "versions",
]


_REPEATING: Final = "Repeat it: a file that is there already is not sent again"


@dataclass(frozen=True)
class Registration:
    """What ``register`` did. ``outcome`` None: unchanged since ``version``, nothing was stated."""

    dataset: Bytes32
    version: int
    digest: Bytes32
    outcome: Outcome | None


def _path(dataset: str, version_number: int | None = None) -> str:
    path = f"/v1/datasets/{quote_name(dataset)}"
    return path if version_number is None else f"{path}/versions/{version_number}"


def list_all(
    *,
    role: str | None = None,
    provider: str | None = None,
    status: str | None = None,
    text: str | None = None,
) -> Flow[tuple[DatasetView, ...]]:
    """Search the datasets."""
    query = filters(role=role, provider=provider, state=status, text=text)
    return (yield from read_all(DatasetView, "/v1/datasets", query))


def show(dataset: str) -> Flow[DatasetView]:
    """One, by id or ``provider/slug``."""
    return (yield from read_one(DatasetView, _path(dataset)))


def versions(dataset: str) -> Flow[tuple[VersionView, ...]]:
    """Its versions."""
    return (yield from read_all(VersionView, _path(dataset) + "/versions"))


def version(dataset: str, number: int) -> Flow[VersionView]:
    """One version."""
    return (yield from read_one(VersionView, _path(dataset, number)))


def lineage(dataset: str, number: int) -> Flow[LineageView]:
    """What it is derived from, as a tree."""
    return (yield from read_one(LineageView, _path(dataset, number) + "/lineage"))


def files(dataset: str, number: int) -> Flow[tuple[FileView, ...]]:
    """Its files, and whether their bytes are there."""
    return (yield from read_items(FileView, _path(dataset, number) + "/files", "files"))


def verify(sha256: Bytes32) -> Flow[VerdictView]:
    """Whether bytes with this SHA-256 are registered, as far as the asker may know."""
    answer = yield Request("POST", "/v1/verify", json={"sha256": str(sha256)})
    return parse_object(VerdictView, answer.json)


def retire(dataset: str, identity: Identity | None = None, *, wait_s: int = 0) -> Flow[Outcome]:
    """No further versions; its grants end."""
    return (yield from state("DatasetRetirement", {"dataset": dataset}, identity, wait_s=wait_s))


def descendants(dataset: str, number: int) -> Flow[tuple[DescendantView, ...]]:
    """What is derived from it, of all generations, each once."""
    return (yield from read_all(DescendantView, _path(dataset, number) + "/descendants"))


def erase(
    dataset: str, number: int, reason: str, identity: Identity | None = None, *, wait_s: int = 0
) -> Flow[Outcome]:
    """Erase a version for good: its data, keys, salt and manifest go; a tombstone in the log stays.

    Raises:
        RefusedError: ``not-provider``: it is another's; ``version-erased``: it was done before.
    """
    found = yield from version(dataset, number)
    given: dict[str, JsonValue] = {"reason": reason, "registration": str(found.registration)}
    if identity is None:
        return (yield from state_at(_path(dataset, number) + "/erasure", given, wait_s=wait_s))
    named: dict[str, JsonValue] = {"dataset": str(found.dataset), "version": number}
    return (yield from state("Erasure", {**named, **given}, identity, wait_s=wait_s))


def register(
    folder: Path,
    scanned: ScannedContent,
    provider: str,
    slug: str,
    metadata: Mapping[str, JsonValue],
    identity: Identity | None = None,
    *,
    parents: Sequence[str] = (),
    if_changed: bool = False,
    expected_version: int | None = None,
    progress: ByteProgress | None = None,
) -> Flow[Registration]:
    """Register ``scanned`` (``ledger.content.scan_folder(folder)``) as the next version and upload its bytes.

    With ``if_changed`` nothing is stated where the latest version has the same content and metadata; bytes that an
    earlier call did not get to upload are uploaded either way.

    Raises:
        RefusedError: ``not-provider``: the API key is another participant's.
        LedgerError: as ``state`` and ``upload``.
    """
    found = yield from state_version(
        scanned,
        provider,
        slug,
        metadata,
        identity,
        parents=parents,
        if_changed=if_changed,
        expected_version=expected_version,
    )
    yield from upload(folder, scanned.manifest, str(found.dataset), found.version, progress=progress)
    return found


def state_version(
    scanned: ScannedContent,
    provider: str,
    slug: str,
    metadata: Mapping[str, JsonValue],
    identity: Identity | None = None,
    *,
    parents: Sequence[str] = (),
    if_changed: bool = False,
    expected_version: int | None = None,
) -> Flow[Registration]:
    """State the next version, as ``register`` does, and send no bytes. Raises: as ``register``."""
    yield from _check_provider(provider)
    found = (yield from _find_same(f"{provider}/{slug}", scanned, metadata)) if if_changed else None
    if found is not None:
        return found
    intent = _intent(slug, scanned, metadata, parents, expected_version)
    outcome = yield from state("DatasetRegistration", intent, identity)
    return Registration(Bytes32.parse(outcome.ids["dataset"]), int(outcome.ids["version"]), outcome.digest, outcome)


def _check_provider(provider: str) -> Flow[None]:
    """A dataset belongs to whoever states it: naming another participant is a mistake."""
    me = (yield from whoami()).get("participant")
    owner = yield from read_one(ParticipantView, f"/v1/participants/{quote_name(provider)}")
    if me != str(owner.id):
        raise RefusedError(
            f"your API key is not {provider}'s: name the dataset under your own handle (`concord api-key whoami`)",
            code="not-provider",
            facts={"provider": str(owner.id), "participant": me},
        )


def _find_same(name: str, scanned: ScannedContent, metadata: Mapping[str, JsonValue]) -> Flow[Registration | None]:
    try:
        dataset = yield from show(name)
    except NotFoundError:
        return None
    latest = yield from version(name, dataset.latest_version)
    if latest.content_root != scanned.manifest.content_root or not _describes(latest.metadata, metadata):
        return None
    return Registration(dataset.id, latest.version, latest.registration, None)


def _describes(stated: JsonValue, metadata: Mapping[str, JsonValue]) -> bool:
    """Whether a version's metadata say what is to be said; what the gateway adds does not count."""
    kept = stated if isinstance(stated, dict) else {}
    return all(kept.get(name) == value for name, value in metadata.items())


def _intent(
    slug: str,
    scanned: ScannedContent,
    metadata: Mapping[str, JsonValue],
    parents: Sequence[str],
    expected_version: int | None,
) -> dict[str, JsonValue]:
    return {
        "slug": slug,
        "metadata": dict(metadata),
        "manifest": parse_canonical(scanned.manifest.to_bytes()),
        "chunks": parse_canonical(scanned.chunks.to_bytes()),
        "parents": [_parent(name) for name in parents],
        "version": expected_version,
    }


def _parent(name: str) -> JsonValue:
    dataset, at, number = name.partition("@")
    if at and (not number.isdecimal() or int(number) < 1):
        raise MalformedError(f"the parent {name!r} names no version: they are numbers from 1, as in utility/power@2")
    return {"dataset": dataset, "version": int(number) if at else None}


def upload(
    folder: Path, manifest: Manifest, dataset: str, number: int, *, progress: ByteProgress | None = None
) -> Flow[int]:
    """Upload the manifest's files whose bytes are not there yet; returns how many. Raises: as ``put_file``."""
    there = {view.path for view in (yield from files(dataset, number)) if view.uploaded}
    missing = {entry.path: entry for entry in manifest.files if entry.path not in there}
    places = {found.path: found.location for found in list_files(folder)} if missing else {}
    gone = next((path for path in missing if path not in places), None)
    if gone is not None:
        raise NotFoundError(f"{gone} is gone from {folder}: put it back and register again with --if-changed")
    batches = cut_into_batches(missing.values())
    for batch in batches:
        body = BatchUpload.of(folder, progress, batch, places)
        yield Request("POST", f"{_path(dataset, number)}/files:batch", body=body, repeating=_REPEATING)
    sent = {entry.path for batch in batches for entry in batch}
    for path in [each for each in missing if each not in sent]:
        yield from put_file(dataset, number, path, places[path], progress=progress)
    return len(missing)


def put_file(dataset: str, number: int, path: str, source: Path, *, progress: ByteProgress | None = None) -> Flow[None]:
    """Upload one file of a version; the service checks it against the manifest as it arrives.

    Raises:
        VerificationError: the bytes are not those registered.
        ConflictError: the file changed while it was read.
        OSError: it can not be read.
    """
    body = Upload(source, source.stat().st_size, progress)
    yield Request("PUT", f"{_path(dataset, number)}/files/{quote(path)}", body=body, repeating=_REPEATING)


def download(
    dataset: str,
    number: int,
    folder: Path,
    *,
    grant: Bytes32 | None = None,
    replace: bool = False,
    progress: ByteProgress | None = None,
) -> Flow[Manifest]:
    """Download a version into ``folder`` and check every byte against what was registered.

    Files that are there already and as registered stay; with ``replace`` others of the same name are overwritten.

    Raises:
        RefusedError: not permitted: ``no-grant``, ``grant-revoked``, ...
        VerificationError: what was served is not what was registered; the file is not kept.
        ConflictError: a file of another content lies in its place (``file-exists``); nothing was downloaded.
        OSError: the disk does not take it.
    """
    raw = (yield Request("GET", _path(dataset, number) + "/manifest", most_bytes=LARGE_BYTES)).content
    manifest = parse_manifest(raw)
    _check_manifest((yield from version(dataset, number)), manifest)
    present = {entry.path for entry in manifest.files if is_present(folder, entry)}
    if not replace:
        check_free(folder, (entry.path for entry in manifest.files if entry.path not in present))
    for entry in manifest.files:
        if entry.path in present:
            _advance(progress, entry.size_bytes)
            continue
        path = f"{_path(dataset, number)}/files/{quote(entry.path)}"
        with receiving(folder, entry, progress) as accept:
            yield Request("GET", path, query=filters(grant=grant), download=Download(accept))
    return manifest


def _check_manifest(view: VersionView, manifest: Manifest) -> None:
    found = None if view.version_salt is None else compute_content_hash(view.version_salt, manifest.content_root)
    if found != view.content_hash:
        raise VerificationError(
            f"the manifest served is not the one registered as {view.registration}: nothing was downloaded",
            expected=str(view.content_hash),
            found=str(found),
        )


def is_present(folder: Path, entry: FileEntry) -> bool:
    """Whether the file lies in ``folder`` with the bytes that its entry names; they are read. Raises: OSError."""
    place = folder / entry.path
    if not place.is_file() or place.stat().st_size != entry.size_bytes:
        return False
    with place.open("rb") as source:
        return hashlib.file_digest(source, "sha256").digest() == entry.sha256


def check_free(folder: Path, paths: Iterable[str]) -> None:
    """Check that nothing lies in ``folder`` where these files are to go. Raises: ConflictError: ``file-exists``."""
    taken = next((path for path in paths if (folder / path).exists()), None)
    if taken is not None:
        raise ConflictError(
            f"{folder / taken} is there already, and not known to be the same: take another folder, or give --replace",
            code="file-exists",
        )


def _advance(progress: ByteProgress | None, size_bytes: int) -> None:
    if progress is not None:
        progress(size_bytes)


class _Receiver:
    """Takes a file's bytes as they arrive and hashes them."""

    def __init__(self, target: BinaryIO, progress: ByteProgress | None) -> None:
        self._target = target
        self._progress = progress
        self.digest = hashlib.sha256()

    def __call__(self, piece: bytes) -> None:
        self._target.write(piece)
        self.digest.update(piece)
        _advance(self._progress, len(piece))


@contextlib.contextmanager
def receiving(folder: Path, entry: FileEntry, progress: ByteProgress | None) -> Iterator[_Receiver]:
    """Write beside the file's place, and put it there only when its hash is right."""
    place = folder / entry.path
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".concord-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as target:
            receiver = _Receiver(target, progress)
            yield receiver
        if receiver.digest.digest() != entry.sha256:
            raise VerificationError(
                f"{entry.path}: the bytes served are not those registered, and were not kept",
                expected=str(entry.sha256),
                found="0x" + receiver.digest.hexdigest(),
            )
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
