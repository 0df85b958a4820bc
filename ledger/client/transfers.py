"""Deliveries, the consumer's side: sealed data fetched and checked, receipted, opened with the key that follows."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from ledger.canonical import JsonValue
from ledger.client.choosing import Choice, Part, choose, runs_of
from ledger.client.datasets import check_free, is_present
from ledger.client.flow import Answer, ByteProgress, Download, Flow, Request
from ledger.client.identity import Identity
from ledger.client.offered_sealing import (
    KEPT_SEALING,
    SigningKeys,
    check_sealing_evidence,
    check_sealing_key,
    is_kept,
    signing_keys,
)
from ledger.client.reads import BlockRange, pin_filters
from ledger.client.sealed_files import PullState, SealedIntake, check_paths, open_files
from ledger.content import ChunkIndex, Manifest, compute_content_hash, parse_chunks, parse_manifest
from ledger.content.release import ReleaseTerms, open_key
from ledger.content.sealing import SealingDescriptor, SealingKey, parse_sealed_leaves, parse_sealing
from ledger.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.merkle import HASH_SIZE_BYTES
from ledger.statements import Statement, compute_transfer_id, recover_signer
from ledger.surface.codec import parse_object
from ledger.surface.transfers import StatedView, TransferAccessesView, TransferView
from ledger.surface.views import VersionView
from ledger.types import Bytes32, parse_hex

__all__ = [
    "KEPT_SEALING",
    "Choice",
    "Consumer",
    "Part",
    "Pulled",
    "accesses",
    "evidence",
    "pull",
    "show",
    "signing_keys",
]

T = TypeVar("T")
_TRIES: Final = 8
_BEGINNINGS: Final = 8
_DEADLINE_S: Final = 3600
_WAIT_S: Final = 30
_WAITS: Final = 4
_TOO_OLD: Final = frozenset({"deadline-passed", "deadline-too-near"})
_REPEATING: Final = "Pull again: it goes on with the same transfer"


@dataclass(frozen=True)
class Consumer:
    """Who pulls, from whom; ``identity`` signs the receipt, without one the gateway does with the custodial key.

    ``provider_keys`` are the provider's signing keys, as the consumer's own gateway tells (`signing_keys`): one of them
    must have signed the sealing, and it must be in a log, before it is receipted. None: that is not looked at.
    """

    participant: Bytes32
    provider: Bytes32
    identity: Identity | None = None
    provider_keys: SigningKeys | None = None


@dataclass(frozen=True)
class Pulled:
    """What was delivered: of ``manifest`` these ``parts``; ``transfer`` None: they were all there already."""

    manifest: Manifest
    transfer: TransferView | None
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class _Sealed:
    """What is about to be received: checked against each other and against what is registered."""

    manifest: Manifest
    chunks: ChunkIndex | None
    descriptor: SealingDescriptor
    leaves: tuple[bytes, ...]


def show(transfer: Bytes32) -> Flow[TransferView]:
    """A transfer, and how far it has come."""
    return parse_object(TransferView, (yield Request("GET", f"/v1/transfers/{transfer}")).json)


def accesses(transfer: Bytes32) -> Flow[TransferAccessesView]:
    """What was fetched of it, and under which block: to its consumer and its provider."""
    return parse_object(TransferAccessesView, (yield Request("GET", f"/v1/transfers/{transfer}/accesses")).json)


def evidence(transfer: Bytes32, part: str, pins: tuple[BlockRange, ...] = (), *, wait_s: int = 0) -> Flow[bytes]:
    """Evidence of its ``sealing``, ``receipt`` or ``release``; the service waits up to ``wait_s`` until it is final.

    Raises:
        ConflictError: ``not-final``.
    """
    path, headers = f"/v1/transfers/{transfer}/evidence/{part}", {"Prefer": f"wait={wait_s}"} if wait_s else {}
    return (yield Request("GET", path, query=pin_filters(list(pins) or [(0, None)]), headers=headers)).content


def pull(
    version: VersionView,
    folder: Path,
    consumer: Consumer,
    *,
    choice: Choice | None = None,
    grant: Bytes32 | None = None,
    replace: bool = False,
    progress: ByteProgress | None = None,
    clock: Callable[[], float] = time.time,
) -> Flow[Pulled]:
    """Have a version delivered into ``folder``, or what is chosen of it; an interrupted pull is gone on with.

    Where the version is sealed anew meanwhile, another transfer begins, and nothing of the old sealing is kept.
    ``version`` is what the chain says of it, as the consumer's own gateway tells. Every sealed chunk is checked as it
    arrives; the receipt is given once all that are wanted are there, and no plaintext is written before the key was
    found to be the right one. The receipt is of the sealing, whatever was chosen: the key opens all of it.

    Raises:
        RefusedError: not permitted: ``no-grant``, ``grant-revoked``, ...
        VerificationError: what was offered is not what is registered, a chunk was changed, or the key is a wrong one;
            ``state.json`` in ``folder/.concord-pull`` then holds what evidence of that is made from.
        ConflictError: a file of another content lies in its place (``file-exists``); an unfinished pull into the
            folder chose something else (``other-choice``).
        NotFoundError, MalformedError: nothing is there as it was chosen; nothing was fetched. MalformedError, too:
            what an earlier pull left is damaged.
        UnavailableError: the provider does not answer: run it again, it goes on where it was.
        OSError: the disk does not take it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = PullState.of(folder, version.registration, choice)
    view = yield from _begin(state, version, consumer, grant)
    for is_last in [*[False] * _BEGINNINGS, True]:
        counted = _Counted(progress)
        try:
            return (yield from _deliver(state, view, folder, consumer, replace=replace, progress=counted, clock=clock))
        except _EndedError:
            again = None if is_last else (yield from _begin_anew(state, view, version, consumer, grant))
            if again is None:
                raise
            view = again
        counted.take_back()
    raise RuntimeError("the last transfer is delivered or raises")


def _deliver(
    state: PullState,
    view: TransferView,
    folder: Path,
    consumer: Consumer,
    *,
    replace: bool,
    progress: ByteProgress,
    clock: Callable[[], float],
) -> Flow[Pulled]:
    """Fetch, receipt, open. Raises: as `pull`; _EndedError: the provider knows this transfer or sealing no more."""
    sealed = yield from _asking(_describe(view))
    check_paths(sealed.manifest)
    parts = _choose(state, sealed.manifest)
    if not _find_missing(folder, parts, replace=replace):
        state.drop()
        return Pulled(sealed.manifest, None, parts)
    runs = runs_of(parts, sealed.descriptor)
    intake = SealedIntake(state.folder / "sealed", sealed.descriptor, sealed.leaves, progress, runs)
    yield from _asking(_fetch(view, intake))
    yield from _asking(_keep_sealing(state, view, consumer.provider_keys))
    released, wrapped = yield from _asking(_receipt(state, view, sealed, consumer, clock))
    open_files(state, folder, _open_key(state, released, wrapped), parts, sealed.chunks, sealed.descriptor)
    state.drop()
    return Pulled(sealed.manifest, released, parts)


class _EndedError(NotFoundError):
    """What was asked for of a transfer is not there: the version was sealed anew, or worse."""


def _asking(flow: Flow[T]) -> Flow[T]:
    """Ask the provider. Raises: as the flow; _EndedError."""
    try:
        return (yield from flow)
    except NotFoundError as error:
        raise _EndedError(str(error)) from error


def _choose(state: PullState, manifest: Manifest) -> tuple[Part, ...]:
    try:
        return choose(manifest, state.choice)
    except (NotFoundError, MalformedError):
        if state.receipt is None:
            state.drop()  # a mistake in what was chosen leaves nothing
        raise


def _find_missing(folder: Path, parts: tuple[Part, ...], *, replace: bool) -> list[str]:
    """What is not there as registered; of a range nobody can tell yet. Raises: ConflictError: ``file-exists``."""
    missing = [part.path for part in parts if part.span is not None or not is_present(folder, part.entry)]
    if not replace:
        check_free(folder, missing)
    return missing


def _begin_anew(
    state: PullState, before: TransferView, version: VersionView, consumer: Consumer, grant: Bytes32 | None
) -> Flow[TransferView | None]:
    """Another transfer, where the version was sealed anew; None: the one before goes on, or its receipt is logged."""
    if state.receipt is not None and (yield from show(before.id)).receipt is not None:
        return None  # what is receipted is owed: its state is what evidence of that is made from
    view = yield from _begin(state, version, consumer, grant)
    return None if view.id == before.id else view


class _Counted:
    """Tells how many bytes travelled, and takes back what did in vain."""

    def __init__(self, progress: ByteProgress | None) -> None:
        self._progress = progress
        self._count = 0

    def __call__(self, size_bytes: int) -> None:
        self._count += size_bytes
        if self._progress is not None:
            self._progress(size_bytes)

    def take_back(self) -> None:
        if self._progress is not None and self._count:
            self._progress(-self._count)
        self._count = 0


def _begin(state: PullState, version: VersionView, consumer: Consumer, grant: Bytes32 | None) -> Flow[TransferView]:
    for is_last in (False, True):
        body: dict[str, JsonValue] = {
            "dataset": str(version.dataset),
            "version": version.version,
            "transfer_salt": str(state.salt),
        }
        if grant is not None:
            body["grant"] = str(grant)
        try:
            answer = yield Request("POST", "/v1/transfers", json=body, repeating=_REPEATING)
        except ConflictError as error:
            if error.code != "transfer-salt-used" or is_last:
                raise
            state.renew()  # the version was sealed anew since
        else:
            break
    view = parse_object(TransferView, answer.json)
    _check_offer(view, version, consumer, state.salt)
    state.transfer, state.provider = view.id, view.provider
    state.save()
    return view


def _check_offer(view: TransferView, version: VersionView, consumer: Consumer, salt: Bytes32) -> None:
    expected = (
        compute_transfer_id(consumer.participant, salt), consumer.provider, version.dataset, version.version,
        version.registration, version.content_hash,
    )  # fmt: skip
    found = (view.id, view.provider, view.dataset, view.version, view.registration, view.content_hash)
    names = ("transfer", "provider", "dataset", "version", "registration", "content hash")
    for name, wanted, given in zip(names, expected, found, strict=True):
        _expect(f"the provider offers another {name}", wanted, given)
    sealing = _check_stated(view.sealing, "Sealing", consumer.identity)
    if consumer.provider_keys is not None:
        check_sealing_key(view.sealing, consumer.provider_keys)
    message: Any = sealing.message
    stated = (sealing.participant, message["dataset"], message["version"], message["registration"])
    _expect("the sealing is of something else", (view.provider, *expected[2:5]), stated)


def _check_stated(stated: StatedView, type_name: str, identity: Identity | None) -> Statement:
    """The statement, and, where the consortium's domains are known, that digest and signature are its."""
    statement = Statement.parse(type_name, dict(stated.message))
    if identity is not None:
        digest = statement.digest(identity.domains)
        _expect(f"the digest of the {type_name} is another's", digest, stated.digest)
        _expect(
            f"the {type_name} is signed by another key",
            stated.signer,
            recover_signer(digest, parse_hex(stated.signature)),
        )
    return statement


def _describe(view: TransferView) -> Flow[_Sealed]:
    path = f"/v1/transfers/{view.id}"
    manifest = parse_manifest((yield Request("GET", f"{path}/manifest")).content)
    found = compute_content_hash(view.version_salt, manifest.content_root)
    _expect("the manifest is not the one registered: nothing was fetched", view.content_hash, found)
    chunks = None
    if any(entry.chunk_count > 1 for entry in manifest.files):
        chunks = parse_chunks((yield Request("GET", f"{path}/chunks")).content, manifest)
    descriptor = parse_sealing((yield Request("GET", f"{path}/sealing")).content)
    message: Any = Statement.parse("Sealing", dict(view.sealing.message)).message
    descriptor.check_statement(message["keyCommitment"], message["ciphertextRoot"], message["ciphertextSize"])
    descriptor.check_manifest(manifest)
    raw = (yield Request("GET", f"{path}/leaves")).content
    leaves: list[bytes] = []
    for first, file in zip(descriptor.first_chunks, descriptor.files, strict=True):
        place = first * HASH_SIZE_BYTES
        leaves.extend(parse_sealed_leaves(file, raw[place : place + file.chunk_count * HASH_SIZE_BYTES]))
    return _Sealed(manifest, chunks, descriptor, tuple(leaves))


def _fetch(view: TransferView, intake: SealedIntake) -> Flow[None]:
    """Fetch what is missing, durably. Raises: as `pull`."""
    try:
        yield from _fetch_all(view, intake)
        intake.finish()
    finally:
        intake.close()


def _fetch_all(view: TransferView, intake: SealedIntake) -> Flow[None]:
    """Fetch what is missing; after a broken connection go on from the last good chunk, as long as that helps."""
    path, tries = f"/v1/transfers/{view.id}/data", _TRIES
    while not intake.is_complete:
        before = intake.size_bytes
        first, last = intake.restart()
        headers = {"Range": f"bytes={first}-{'' if last == view.size_bytes - 1 else last}"}
        try:
            yield Request("GET", path, headers=headers, download=Download(intake.accept))
            failure = UnavailableError(f"the provider sent less than bytes {first} to {last}: run this again")
        except UnavailableError as error:
            failure = error
        tries = _TRIES if intake.size_bytes > before else tries - 1
        if not tries:
            raise failure


def _keep_sealing(state: PullState, view: TransferView, keys: SigningKeys | None) -> Flow[None]:
    """Have evidence that the sealing stands in the provider's log; it is kept until all is delivered."""
    kept = state.folder / KEPT_SEALING
    if keys is None or is_kept(kept, view.sealing, view.provider, keys):
        return
    for is_last in [*[False] * (_WAITS - 1), True]:
        try:
            raw = yield from evidence(view.id, "sealing", wait_s=_WAIT_S)
        except ConflictError as error:
            if error.code != "not-final" or is_last:
                raise
        else:
            check_sealing_evidence(raw, view.sealing, view.provider, keys)
            kept.write_bytes(raw)
            return


def _receipt(
    state: PullState, view: TransferView, sealed: _Sealed, consumer: Consumer, clock: Callable[[], float]
) -> Flow[tuple[TransferView, bytes]]:
    """Give the receipt; the transfer then, and the wrapped key. Raises: UnavailableError: none was released yet."""
    answer = yield from _give(state, view, lambda: _build_receipt(state, view, sealed, consumer, int(clock())))
    released = parse_object(TransferView, answer.json)
    if released.release is None:
        raise UnavailableError(
            f"the provider took the receipt of transfer {view.id} and has released no key yet: run this again; once "
            f"the receipt's time is over, {state.folder / 'state.json'} is what evidence of that is made from"
        )
    message: Any = _check_stated(released.release, "KeyRelease", consumer.identity).message
    return released, message["wrappedKey"]


def _give(state: PullState, view: TransferView, build: Callable[[], JsonValue]) -> Flow[Answer]:
    """The answer to the receipt that was given before; one that got nowhere and is too old by now is made anew."""
    while True:
        is_new = state.receipt is None
        if is_new:
            state.receipt = build()
            state.save()
        path = f"/v1/transfers/{view.id}/receipt"
        try:
            return (yield Request("POST", path, json=state.receipt, repeating=_REPEATING))
        except RefusedError as error:
            if is_new or error.code not in _TOO_OLD:
                raise
            state.receipt = None


def _build_receipt(state: PullState, view: TransferView, sealed: _Sealed, consumer: Consumer, now_s: int) -> JsonValue:
    recipient = "0x" + state.recipient.public.hex()
    if consumer.identity is None:
        custodial: dict[str, JsonValue] = {
            "transfer_salt": str(state.salt),
            "recipient_key": recipient,
            "ciphertext_root": str(sealed.descriptor.ciphertext_root),
        }
        return {"custodial": custodial}
    statement = Statement.build(
        "TransferReceipt",
        participant=consumer.participant,
        provider=view.provider,
        transferSalt=state.salt,
        grant=view.grant,
        sealing=view.sealing.digest,
        ciphertextRoot=sealed.descriptor.ciphertext_root,
        recipientKey=state.recipient.public,
        deadline=now_s + _DEADLINE_S,
        salt=Bytes32(secrets.token_bytes(32)),
    )
    signature = consumer.identity.signer.sign(statement.digest(consumer.identity.domains))
    return {
        "message": statement.to_json(),
        "signature": "0x" + signature.hex(),
        "signer": str(consumer.identity.signer.address),
    }


def _open_key(state: PullState, view: TransferView, wrapped: bytes) -> SealingKey:
    """The sealing's key. Raises: VerificationError: what was released is none."""
    sealing: Any = Statement.parse("Sealing", dict(view.sealing.message)).message
    terms = ReleaseTerms(view.id, view.grant, view.sealing.digest, view.consumer)
    try:
        return SealingKey.opened(open_key(wrapped, state.recipient, terms), sealing["keyCommitment"])
    except VerificationError as error:
        raise VerificationError(
            f"the provider released a wrong key: {error}. {state.folder / 'state.json'} is what evidence of that is "
            "made from: concord transfer breach",
            expected=error.expected,
            found=error.found,
        ) from error


def _expect(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise VerificationError(what, expected=str(expected), found=str(found))
