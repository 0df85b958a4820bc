"""The log as C2SP lays it out below one prefix (https://c2sp.org/tlog-tiles), and proofs.

Public: it holds salted hashes alone.
"""

from __future__ import annotations

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from api.auth import GatewayOf

router = APIRouter(prefix="/v1/log", tags=["log"])

_MAX_INDEX: Final = 2**53
_IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}

Index = Annotated[int, Path(ge=0, le=_MAX_INDEX)]
Size = Annotated[int | None, Query(ge=1, le=_MAX_INDEX, description="tree size; without: the latest checkpoint's")]


@router.head("/checkpoint", include_in_schema=False)
@router.get("/checkpoint", summary="The latest checkpoint, a signed note", response_class=Response)
def get_checkpoint(gateway: GatewayOf) -> Response:
    """C2SP tlog-checkpoint."""
    raw = gateway.log.checkpoint()
    return Response(raw, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.head("/tile/{path:path}", include_in_schema=False)
@router.get("/tile/{path:path}", summary="A tile or entry bundle", response_class=Response)
def get_tile(gateway: GatewayOf, path: Annotated[str, Path(max_length=100)]) -> Response:
    """C2SP tlog-tiles: `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`; they never change."""
    return Response(gateway.log.tile(f"tile/{path}"), media_type="application/octet-stream", headers=_IMMUTABLE)


@router.head("/entries/{index}", include_in_schema=False)
@router.get("/entries/{index}", summary="One entry, 97 bytes", response_class=Response)
def get_entry(gateway: GatewayOf, index: Index) -> Response:
    """See docs/spec/entry.md."""
    return Response(gateway.log.entry(index), media_type="application/octet-stream", headers=_IMMUTABLE)


def _hashes(hashes: tuple[bytes, ...]) -> list[str]:
    return [base64.b64encode(each).decode() for each in hashes]


@router.get("/proof", summary="An inclusion proof (RFC 9162)")
def get_proof(gateway: GatewayOf, index: Annotated[int, Query(ge=0, le=_MAX_INDEX)], size: Size = None) -> Response:
    """Hashes in base64, from the leaf up."""
    proved, hashes = gateway.log.prove_inclusion(index, size)
    return JSONResponse({"index": index, "size": proved, "proof": _hashes(hashes)})


@router.get("/consistency", summary="A consistency proof (RFC 9162)")
def get_consistency(
    gateway: GatewayOf, first: Annotated[int, Query(ge=1, le=_MAX_INDEX)], second: Size = None
) -> Response:
    """That the tree of size `second` extends the one of size `first`."""
    proved, hashes = gateway.log.prove_consistency(first, second)
    return JSONResponse({"first": first, "second": proved, "proof": _hashes(hashes)})
