"""Deliveries, the consumer's side: sealed data fetched and checked, receipted, opened with the key that follows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from ledger.canonical import JsonValue
from ledger.client.choosing import Choice, Part, choose, runs_of
from ledger.client.described import Described, describe, fetch_part, load_part
from ledger.client.flow import LARGE_BYTES, Answer, ByteProgress, Download, Flow, Request
from ledger.client.offered_sealing import (
    KEPT_SEALING,
    SigningKeys,
    check_sealing_evidence,
    is_kept,
    signing_keys,
)
from ledger.client.offers import Consumer, check_offer
from ledger.client.reads import BlockRange, pin_filters, read_all
from ledger.client.receipting import add_release, build_receipt, open_released_key
from ledger.client.sealed_files import PullState, SealedIntake
from ledger.client.targets import Folder, Target
from ledger.client.wrong_chunk import WRONG_CHUNK, keeping_wrong_chunk
from ledger.content import Manifest
from ledger.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.surface.codec import parse_object
from ledger.surface.transfers import AccessView, TransferView
from ledger.surface.views import VersionView
from ledger.types import Bytes32

__all__ = [
    "KEPT_SEALING",
    "WRONG_CHUNK",
    "Choice",
    "Consumer",
    "Part",
    "Pulled",
    "Target",
    "accesses",
    "deliver",
    "evidence",
    "pull",
    "show",
    "signing_keys",
]

T = TypeVar("T")
_TRIES: Final = 8
_BEGINNINGS: Final = 8
_MOST_OF_VIEW: Final = 1 << 20
_WAIT_S: Final = 30
_WAITS: Final = 4
_TOO_OLD: Final = frozenset({"deadline-passed", "deadline-too-near"})
_REPEATING: Final = "Pull again: it goes on with the same transfer"


@dataclass(frozen=True)
class Pulled:
    """What was delivered: of ``manifest`` these ``parts``; ``transfer`` None: they were all there already."""

    manifest: Manifest
    transfer: TransferView | None
    parts: tuple[Part, ...]


def show(transfer: Bytes32) -> Flow[TransferView]:
    """A transfer, and how far it has come."""
    return parse_object(
        TransferView, (yield Request("GET", f"/v1/transfers/{transfer}", most_bytes=_MOST_OF_VIEW)).json
    )


def accesses(transfer: Bytes32) -> Flow[tuple[AccessView, ...]]:
    """What was fetched of it, and under which block, the newest first: to its consumer and its provider."""
    return (yield from read_all(AccessView, f"/v1/transfers/{transfer}/accesses"))


def evidence(transfer: Bytes32, part: str, pins: tuple[BlockRange, ...] = (), *, wait_s: int = 0) -> Flow[bytes]:
    """Evidence of its ``sealing``, ``receipt`` or ``release``; the service waits up to ``wait_s`` until it is final.

    Raises:
        ConflictError: ``not-final``.
    """
    path, headers = f"/v1/transfers/{transfer}/evidence/{part}", {"Prefer": f"wait={wait_s}"} if wait_s else {}
    query = pin_filters(list(pins) or [(0, None)])
    return (yield Request("GET", path, query=query, headers=headers, most_bytes=LARGE_BYTES)).content


def pull(
    version: VersionView,
    folder: Path,
    consumer: Consumer,
    *,
    choice: Choice | None = None,
    grant: Bytes32 | None = None,
    replace: bool = False,
    progress: ByteProgress | None = None,
    told: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Flow[Pulled]:
    """Have a version delivered into ``folder``, or what is chosen of it; an interrupted pull is gone on with.

    Where the version is sealed anew meanwhile, another transfer begins, and nothing of the old sealing is kept.
    ``told`` hears why nothing travels yet: the provider seals a version when it is asked for it the first time.
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
    target = Folder(folder, replace=replace)
    flow = deliver(state, version, consumer, target, grant=grant, progress=progress, told=told, clock=clock)
    return (yield from flow)


def deliver(
    state: PullState,
    version: VersionView,
    consumer: Consumer,
    target: Target,
    *,
    grant: Bytes32 | None = None,
    progress: ByteProgress | None = None,
    told: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Flow[Pulled]:
    """Have a version delivered to ``target``, going on where ``state`` is. Raises: as `pull`, and as ``target``."""
    done = yield from _open_released(state, version, consumer, target, progress)
    if done is not None:
        return done
    view = yield from _begin(state, version, consumer, grant, told)
    for is_last in [*[False] * _BEGINNINGS, True]:
        counted = _Counted(progress)
        try:
            return (yield from _deliver(state, view, consumer, target, progress=counted, clock=clock))
        except _EndedError:
            again = None if is_last else (yield from _begin_anew(state, view, version, consumer, grant, told))
            if again is None:
                raise
            view = again
        counted.take_back()
    raise RuntimeError("the last transfer is delivered or raises")


def _deliver(
    state: PullState,
    view: TransferView,
    consumer: Consumer,
    target: Target,
    *,
    progress: ByteProgress,
    clock: Callable[[], float],
) -> Flow[Pulled]:
    """Fetch, receipt, open. Raises: as `pull`; _EndedError: the provider knows this transfer or sealing no more."""
    sealed = yield from _asking(describe(view, fetch_part(state, view)))
    parts = target.admit(state, sealed)
    if not parts:
        state.drop()
        return Pulled(sealed.manifest, None, choose(sealed.manifest, state.choice))
    yield from _asking(_fetch(view, _take_in(state, sealed, parts, progress)))
    yield from _asking(_keep_sealing(state, view, consumer.provider_keys))
    released = yield from _asking(_receipt(state, view, sealed, consumer, clock))
    return _open(state, consumer, target, released, sealed, parts)


def _open_released(
    state: PullState,
    version: VersionView,
    consumer: Consumer,
    target: Target,
    progress: ByteProgress | None,
) -> Flow[Pulled | None]:
    """Open what was receipted earlier and its key released since, whatever became of the grant; None: nothing was."""
    if state.receipt is None or state.transfer is None:
        return None
    try:
        told = yield from show(state.transfer)
        if told.release is None:
            return None
        view = state.offer or told
        check_offer(view, version, consumer, state.salt)
        sealed = yield from describe(view, load_part(state))
    except (NotFoundError, VerificationError, MalformedError, OSError):
        return None  # another transfer, or what was kept is damaged: as if nothing had been kept
    parts = target.admit(state, sealed) or choose(sealed.manifest, state.choice)
    intake = _take_in(state, sealed, parts, progress)
    intake.close()
    if not intake.is_complete:
        return None
    return _open(state, consumer, target, add_release(state, view, told, consumer), sealed, parts)


def _take_in(
    state: PullState, sealed: Described, parts: tuple[Part, ...], progress: ByteProgress | None
) -> SealedIntake:
    runs = runs_of(parts, sealed.descriptor)
    return SealedIntake(state.sealed_file, sealed.descriptor, sealed.leaves, progress, runs)


def _open(
    state: PullState,
    consumer: Consumer,
    target: Target,
    released: TransferView,
    sealed: Described,
    parts: tuple[Part, ...],
) -> Pulled:
    key = open_released_key(state, released, consumer)
    with keeping_wrong_chunk(state, sealed, parts, released.version_salt):
        target.take(state, sealed, parts, released, key)
    return Pulled(sealed.manifest, released, parts)


class _EndedError(NotFoundError):
    """What was asked for of a transfer is not there: the version was sealed anew, or worse."""


def _asking(flow: Flow[T]) -> Flow[T]:
    """Ask the provider. Raises: as the flow; _EndedError."""
    try:
        return (yield from flow)
    except NotFoundError as error:
        raise _EndedError(str(error)) from error


def _begin_anew(
    state: PullState,
    before: TransferView,
    version: VersionView,
    consumer: Consumer,
    grant: Bytes32 | None,
    told: Callable[[str], None] | None,
) -> Flow[TransferView | None]:
    """Another transfer, where the version was sealed anew; None: the one before goes on, or its receipt is logged."""
    if state.receipt is not None and (yield from show(before.id)).receipt is not None:
        return None  # what is receipted is owed: its state is what evidence of that is made from
    view = yield from _begin(state, version, consumer, grant, told)
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


def _begin(
    state: PullState,
    version: VersionView,
    consumer: Consumer,
    grant: Bytes32 | None,
    told: Callable[[str], None] | None,
) -> Flow[TransferView]:
    for is_last in (False, True):
        body: dict[str, JsonValue] = {
            "dataset": str(version.dataset),
            "version": version.version,
            "transfer_salt": str(state.salt),
        }
        if grant is not None:
            body["grant"] = str(grant)
        try:
            answer = yield Request(
                "POST", "/v1/transfers", json=body, repeating=_REPEATING, told=told, most_bytes=_MOST_OF_VIEW
            )
        except ConflictError as error:
            if error.code != "transfer-salt-used" or is_last:
                raise
            state.renew()  # the version was sealed anew since, and no key to what was receipted was released
        else:
            break
    view = parse_object(TransferView, answer.json)
    if state.receipt is not None:
        view = state.offer or view
    check_offer(view, version, consumer, state.salt)
    state.transfer, state.provider, state.offer = view.id, view.provider, view
    state.save()
    return view


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
            yield Request("GET", path, headers=headers, download=Download(intake.accept, first))
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
    state: PullState, view: TransferView, sealed: Described, consumer: Consumer, clock: Callable[[], float]
) -> Flow[TransferView]:
    """Give the receipt; the transfer with its key then. Raises: UnavailableError: none was released yet."""

    def build() -> JsonValue:
        root = sealed.descriptor.ciphertext_root
        return build_receipt(state, view, root, consumer.participant, consumer.identity, int(clock()))

    answer = yield from _give(state, view, build)
    told = parse_object(TransferView, answer.json)
    if told.release is None:
        raise UnavailableError(
            f"the provider took the receipt of transfer {view.id} and has released no key yet: run this again; once "
            f"the receipt's time is over, {state.folder / 'state.json'} is what evidence of that is made from"
        )
    return add_release(state, view, told, consumer)


def _give(state: PullState, view: TransferView, build: Callable[[], JsonValue]) -> Flow[Answer]:
    """The answer to the receipt that was given before; one that got nowhere and is too old by now is made anew."""
    while True:
        is_new = state.receipt is None
        if is_new:
            state.receipt = build()
            state.save()
        path = f"/v1/transfers/{view.id}/receipt"
        try:
            return (yield Request("POST", path, json=state.receipt, repeating=_REPEATING, most_bytes=_MOST_OF_VIEW))
        except RefusedError as error:
            if is_new or error.code not in _TOO_OLD:
                raise
            state.receipt = None
