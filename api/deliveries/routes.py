"""Deliveries to a consumer of this gateway: fetched from the provider's in its name (docs/spec/delivery.md)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api.answers import answer_file, members_of
from api.auth import GatewayOf, Reader, Writer
from api.bodies import intent_of, schema_of
from api.byte_ranges import RangeOf, answer_bytes
from api.datasets.files import FilePath
from api.names import DigestPath, PinsOf
from api.writes import WaitFor
from ledger.canonical import JsonValue
from ledger.surface.deliveries import DeliveryRequest, DeliveryState

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

_MOST_BYTES: Final = 64 << 10
_RequestOf = Annotated[DeliveryRequest, Depends(intent_of(DeliveryRequest, _MOST_BYTES))]


@router.post(
    "",
    summary="Have a version fetched from its provider's gateway",
    openapi_extra=schema_of(DeliveryRequest),
    status_code=202,
)
def start(gateway: GatewayOf, asker: Writer, request: _RequestOf) -> Response:
    """Requests and receipt are signed with your custodial key. Asked again, it is found; one that failed goes on.

    202 while it is under way, 200 once it is delivered.
    """
    view = gateway.deliveries.start(asker, request)
    status = 200 if view.state is DeliveryState.DELIVERED else 202
    return JSONResponse(members_of(view), status_code=status, headers={"Location": f"/v1/deliveries/{view.id}"})


@router.get("", summary="Your deliveries")
def list_deliveries(gateway: GatewayOf, asker: Reader) -> Response:
    """The newest first."""
    items: list[JsonValue] = [members_of(each) for each in gateway.deliveries.list(asker)]
    return JSONResponse({"deliveries": items})


@router.get("/{digest}", summary="A delivery, and how far it is")
def show(gateway: GatewayOf, asker: Reader, digest: DigestPath, wait_s: WaitFor) -> Response:
    """``received_bytes`` of ``total_bytes`` are here, checked. ``Prefer: wait=N`` waits for its end."""
    return JSONResponse(members_of(gateway.deliveries.wait(asker, digest, float(wait_s))))


@router.delete("/{digest}", summary="Cancel a delivery, and remove its files", status_code=204)
def cancel(gateway: GatewayOf, asker: Writer, digest: DigestPath) -> Response:
    """In any state."""
    gateway.deliveries.cancel(asker, digest)
    return Response(status_code=204)


@router.get("/{digest}/statements", summary="What was stated about it")
def get_statements(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """Sealing, receipt and the key's release, each signed. They stand in the provider's log."""
    return answer_file(gateway.deliveries.statements(asker, digest), "statements.json")


@router.get("/{digest}/evidence/{part}", summary="Evidence of what was stated about it")
def get_evidence(gateway: GatewayOf, asker: Writer, digest: DigestPath, part: str, pins: PinsOf) -> Response:
    """``part`` is sealing, receipt or release. It is asked for at the provider's gateway, in your name."""
    return answer_file(gateway.deliveries.evidence(asker, digest, part, pins), f"{part}.json")


@router.get("/{digest}/state", summary="What evidence of a key that was withheld is made from")
def get_state(gateway: GatewayOf, asker: Writer, digest: DigestPath) -> Response:
    """Of a delivery that is not done: ``state.json``, with this one transfer's private key."""
    return answer_file(gateway.deliveries.private_state(asker, digest), "state.json")


@router.get("/{digest}/wrong-chunk", summary="What was delivered and is not what was registered")
def get_wrong_chunk(gateway: GatewayOf, asker: Writer, digest: DigestPath) -> Response:
    """A receipted chunk that the released key does not open to what was registered, with its proofs; 404: none."""
    return answer_file(gateway.deliveries.wrong_chunk(asker, digest), "wrong-chunk.json")


@router.get("/{digest}/files", summary="The delivered files")
def list_files(gateway: GatewayOf, asker: Reader, digest: DigestPath) -> Response:
    """In the manifest's order; 409 until it is delivered."""
    items: list[JsonValue] = [members_of(each) for each in gateway.deliveries.files(asker, digest)]
    return JSONResponse({"files": items})


@router.get("/{digest}/files/{path:path}", summary="A delivered file", response_class=StreamingResponse)
def get_file(
    gateway: GatewayOf,
    asker: Reader,
    digest: DigestPath,
    path: FilePath,
    asked: RangeOf,
) -> Response:
    """As it was registered: every byte was checked before it appeared here."""
    got = gateway.deliveries.open(asker, digest, path, asked.first, asked.last)
    headers = {"ETag": f'"{got.entry.sha256}"'}
    return answer_bytes(
        got.pieces, asked, first=got.first, last=got.last, size_bytes=got.entry.size_bytes, headers=headers
    )
