"""Deliveries by one's own gateway: it fetches from the provider's gateway, and signs with the custodial key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ledger.canonical import JsonValue
from ledger.client.datasets import check_free, is_present, receiving
from ledger.client.flow import LARGE_BYTES, ByteProgress, Download, Flow, Request
from ledger.client.reads import BlockRange, pin_filters, read_items, read_one
from ledger.content import FileEntry
from ledger.errors import RefusedError
from ledger.surface.codec import parse_object
from ledger.surface.deliveries import DeliveredFileView, DeliveryState, DeliveryView
from ledger.types import Bytes32

__all__ = [
    "cancel",
    "download",
    "evidence",
    "files",
    "list_all",
    "private_state",
    "show",
    "start",
    "statements",
    "wait",
    "wrong_chunk",
]

_REPEATING: Final = "Start it again: the same delivery is found"
_LOOK_AGAIN_S: Final = 1


def start(
    dataset: str, number: int | None = None, *, source: str | None = None, grant: Bytes32 | None = None
) -> Flow[DeliveryView]:
    """Have a version (None: the latest) fetched from the gateway at ``source``, or where its provider's profile says.

    Asked again, the same delivery is found; one that failed goes on with what was received.

    Raises:
        RefusedError: one's own data (``own-dataset``), a gateway that is not to be asked (``unknown-peer``), ...
        ConflictError: the gateway holds no key of one's own (``no-custodial-key``).
        NotFoundError: no such dataset or version.
    """
    body: dict[str, JsonValue] = {"dataset": dataset}
    given = {"version": number, "grant": None if grant is None else str(grant), "from": source}
    body.update({name: value for name, value in given.items() if value is not None})
    answer = yield Request("POST", "/v1/deliveries", json=body, repeating=_REPEATING)
    return parse_object(DeliveryView, answer.json)


def list_all() -> Flow[tuple[DeliveryView, ...]]:
    """One's deliveries, the newest first."""
    return (yield from read_items(DeliveryView, "/v1/deliveries", "deliveries"))


def show(delivery: Bytes32) -> Flow[DeliveryView]:
    """A delivery, and how far it is. Raises: NotFoundError."""
    return (yield from read_one(DeliveryView, f"/v1/deliveries/{delivery}"))


def wait(delivery: Bytes32, tell: Callable[[DeliveryView], None] = lambda _: None) -> Flow[DeliveryView]:
    """The delivery once it is delivered; ``tell`` hears every second how far it is.

    Raises:
        RefusedError: it failed; the code and the sentence are the delivery's.
        NotFoundError: it was cancelled.
    """
    while True:
        headers = {"Prefer": f"wait={_LOOK_AGAIN_S}"}
        view = parse_object(DeliveryView, (yield Request("GET", f"/v1/deliveries/{delivery}", headers=headers)).json)
        tell(view)
        if view.state is DeliveryState.DELIVERED:
            return view
        if view.state is DeliveryState.FAILED and view.error is not None:
            raise RefusedError(view.error.detail, code=view.error.code, facts={"delivery": str(view.id)})


def cancel(delivery: Bytes32) -> Flow[None]:
    """End a delivery and remove what was received of it, its files, too. Raises: NotFoundError."""
    yield Request("DELETE", f"/v1/deliveries/{delivery}", repeating="Cancel it again: one that is gone is not found")


def statements(delivery: Bytes32) -> Flow[bytes]:
    """Sealing, receipt and release as JSON. Raises: NotFoundError; RefusedError: ``not-delivered``."""
    return (yield Request("GET", f"/v1/deliveries/{delivery}/statements")).content


def evidence(delivery: Bytes32, part: str, pins: tuple[BlockRange, ...] = ()) -> Flow[bytes]:
    """Evidence of its ``sealing``, ``receipt`` or ``release``, from the provider's gateway.

    Raises:
        ConflictError: ``not-final``.
        NotFoundError: no such delivery, or nothing of the kind was stated.
    """
    path = f"/v1/deliveries/{delivery}/evidence/{part}"
    return (yield Request("GET", path, query=pin_filters(list(pins) or [(0, None)]))).content


def private_state(delivery: Bytes32) -> Flow[bytes]:
    """``state.json`` of one that is not done: evidence of a key that was withheld is made from it."""
    return (yield Request("GET", f"/v1/deliveries/{delivery}/state")).content


def wrong_chunk(delivery: Bytes32) -> Flow[bytes]:
    """The receipted chunk that the released key does not open to what was registered. Raises: NotFoundError: none."""
    path = f"/v1/deliveries/{delivery}/wrong-chunk"
    return (yield Request("GET", path, most_bytes=LARGE_BYTES)).content


def files(delivery: Bytes32) -> Flow[tuple[DeliveredFileView, ...]]:
    """The delivered files. Raises: NotFoundError; RefusedError: ``not-delivered``."""
    return (yield from read_items(DeliveredFileView, f"/v1/deliveries/{delivery}/files", "files"))


def download(
    delivery: Bytes32, folder: Path, *, replace: bool = False, progress: ByteProgress | None = None
) -> Flow[tuple[DeliveredFileView, ...]]:
    """Take the delivered files from one's gateway into ``folder``; what is there already and the same stays.

    Raises:
        ConflictError: a file of another content lies in its place (``file-exists``); nothing was written.
        VerificationError: the gateway serves other bytes than it listed; the file is not kept.
        OSError: the disk does not take it.
    """
    listed = yield from files(delivery)
    entries = [FileEntry(each.path, each.size_bytes, each.sha256, each.root) for each in listed]
    missing = [entry for entry in entries if not is_present(folder, entry)]
    if not replace:
        check_free(folder, [entry.path for entry in missing])
    for entry in missing:
        with receiving(folder, entry, progress) as accept:
            yield Request("GET", f"/v1/deliveries/{delivery}/files/{quote(entry.path)}", download=Download(accept))
    return listed
