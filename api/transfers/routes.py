"""Deliveries: the sealed data under a live grant, the consumer's receipt, then the key.

A consumer of this gateway comes with its API key, one of another gateway with a request that its key signed
(docs/spec/delivery.md).
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse

from api.answers import PagingOf, answer_file, answer_page, members_of
from api.auth import GatewayOf, Reader, Writer
from api.bodies import RawBody, schema_of
from api.byte_ranges import RangeOf, answer_bytes
from api.names import DigestPath, PinsOf
from api.transfers.callers import CallerOf, SentOf
from api.transfers.streaming import StreamOfPieces
from api.writes import WaitFor
from ledger.exchange.transfers import TransferReceiptForm
from ledger.surface.codec import parse_json
from ledger.surface.sealings import ReleaseGiven
from ledger.surface.transfers import TransferRequest

router = APIRouter(prefix="/v1/transfers", tags=["transfers"])

_BYTES: Final = "application/octet-stream"
_BLOCK: Final = "Concord-Permitted-At-Block"
_RECEIPT: Final[dict[str, Any]] = schema_of(TransferReceiptForm)
_RELEASE: Final[dict[str, Any]] = schema_of(ReleaseGiven)


@router.post("", summary="Begin a delivery", openapi_extra=schema_of(TransferRequest), status_code=201)
async def open_transfer(gateway: GatewayOf, sent: SentOf) -> Response:
    """Under a grant that the contract permits after the newest block; the version is sealed first, if it is not."""
    view = await gateway.transfers.open(sent.caller, parse_json(TransferRequest, sent.body))
    return JSONResponse(members_of(view), status_code=201, headers={"Location": f"/v1/transfers/{view.id}"})


@router.get("", summary="Receipts that wait for a key which you hold yourself")
def list_waiting(gateway: GatewayOf, asker: Reader) -> Response:
    """For the provider of versions that its own client sealed: transfers, the oldest first, at most 200."""
    return JSONResponse({"items": [members_of(view) for view in gateway.transfers.releases.waiting(asker)]})


@router.post("/{digest}/release", summary="Answer a receipt with the key", openapi_extra=_RELEASE)
def release(gateway: GatewayOf, asker: Writer, digest: DigestPath, raw: RawBody) -> Response:
    """With the digest of your ``KeyRelease`` in the log, or the wrapped key, which the gateway then states for you."""
    given = parse_json(ReleaseGiven, raw)
    releases = gateway.transfers.releases
    view = releases.give(asker, digest, statement=given.statement, wrapped_key=given.wrapped_key)
    return JSONResponse(members_of(view))


@router.get("/{digest}", summary="A delivery, and how far it has come")
def get_transfer(gateway: GatewayOf, caller: CallerOf, digest: DigestPath) -> Response:
    """With the sealing's statement, and the key's once it is released."""
    return JSONResponse(members_of(gateway.transfers.show(caller, digest)))


@router.get("/{digest}/accesses", summary="What was fetched of it, and which block permitted that")
def get_accesses(gateway: GatewayOf, caller: CallerOf, digest: DigestPath, paging: PagingOf) -> Response:
    """For its consumer and its provider, the newest first. Ranges that join under one block are one."""
    return answer_page(gateway.transfers.accesses(caller, digest, paging))


@router.get("/{digest}/manifest", summary="The version's manifest")
def get_manifest(gateway: GatewayOf, caller: CallerOf, digest: DigestPath) -> Response:
    """What is encrypted: docs/spec/manifest.md."""
    return answer_file(gateway.transfers.manifest(caller, digest), "manifest.json")


@router.get("/{digest}/chunks", summary="The chunk hashes beside the manifest")
def get_chunks(gateway: GatewayOf, caller: CallerOf, digest: DigestPath) -> Response:
    """404 where every file has at most one chunk."""
    return answer_file(gateway.transfers.chunks(caller, digest), "chunks.json")


@router.get("/{digest}/sealing", summary="What the sealing consists of")
def get_sealing(gateway: GatewayOf, caller: CallerOf, digest: DigestPath) -> Response:
    """Size and root of each sealed file: docs/spec/sealing.md."""
    return answer_file(gateway.transfers.descriptor(caller, digest), "sealing.json")


@router.get("/{digest}/leaves", summary="The hashes of its sealed chunks", response_class=Response)
async def get_leaves(gateway: GatewayOf, caller: CallerOf, digest: DigestPath) -> Response:
    """32 bytes each, file after file."""
    return Response(await gateway.transfers.leaves(caller, digest), media_type=_BYTES)


@router.get("/{digest}/data", summary="The sealed data", response_class=StreamingResponse)
async def get_data(
    gateway: GatewayOf,
    caller: CallerOf,
    digest: DigestPath,
    asked: RangeOf,
) -> Response:
    """One stream of sealed chunks, file after file. A revocation ends it at the next chunk."""
    got = await gateway.transfers.data(caller, digest, asked.first, asked.last)
    return answer_bytes(
        got.pieces,
        asked,
        first=got.first,
        last=got.last,
        size_bytes=got.size_bytes,
        headers={_BLOCK: str(got.block)},
        kind=StreamOfPieces,
    )


@router.post("/{digest}/receipt", summary="Receipt the sealed data, and get the key", openapi_extra=_RECEIPT)
def receive(gateway: GatewayOf, sent: SentOf, digest: DigestPath) -> Response:
    """The receipt enters the log, then the key does, wrapped to the public key in it. Repeating it is safe."""
    form = parse_json(TransferReceiptForm, sent.body)
    return JSONResponse(members_of(gateway.transfers.receive(sent.caller, digest, form.read())))


@router.get("/{digest}/evidence/{part}", summary="Evidence of what was stated about it")
def get_evidence(
    gateway: GatewayOf, caller: CallerOf, digest: DigestPath, part: str, pins: PinsOf, wait_s: WaitFor
) -> Response:
    """``part`` is sealing, receipt or release; to its consumer and its provider, whose log it stands in.

    With ``Prefer: wait=N`` the answer is held up to so many seconds until there is evidence.
    """
    return answer_file(gateway.transfers.evidence(caller, digest, part, pins, wait_s=wait_s), f"{part}.json")
