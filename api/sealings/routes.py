"""Sealings that a provider makes on its own machine: the gateway gets the ciphertext, and never the key.

What is sent here is checked against the version's manifest and described, and delivered once its ``Sealing`` is stated.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.answers import members_of
from api.auth import GatewayOf, Reader, Writer
from api.bodies import RawBody, schema_of
from api.datasets.files import drain
from api.datasets.routes import VersionPath
from api.names import DatasetPath, DigestPath
from ledger.errors import LedgerError
from ledger.surface.codec import parse_json
from ledger.surface.sealings import SealingStated

router = APIRouter(prefix="/v1/datasets/{dataset}/versions/{version}/sealings", tags=["sealings"])

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_STATED: Final[dict[str, Any]] = schema_of(SealingStated)


@router.get("/current", summary="The sealing under which a version is delivered")
def get_current(gateway: GatewayOf, asker: Reader, dataset: DatasetPath, version: VersionPath) -> Response:
    """For its provider. 404 while it is not sealed."""
    return JSONResponse(members_of(gateway.client_sealings.current(asker, dataset, version)))


@router.put("/{digest}", summary="Bring a version's ciphertext", openapi_extra=_BODY, status_code=201)
async def bring(
    request: Request, gateway: GatewayOf, asker: Writer, dataset: DatasetPath, version: VersionPath, digest: DigestPath
) -> Response:
    """``digest`` is the key commitment. Answers with root and size of what came; nothing is delivered under it yet."""
    stream = request.stream()
    try:
        view = await gateway.client_sealings.take(asker, dataset, version, digest, stream)
    except LedgerError:
        await drain(stream)
        raise
    await drain(stream)
    return JSONResponse(members_of(view), status_code=201)


@router.post("/{digest}/statement", summary="Deliver a version under a sealing", openapi_extra=_STATED)
async def state(
    gateway: GatewayOf, asker: Writer, dataset: DatasetPath, version: VersionPath, digest: DigestPath, raw: RawBody
) -> Response:
    """With the digest of its ``Sealing``, once that is in the log; without one the gateway states it in your name."""
    given = parse_json(SealingStated, raw)
    return JSONResponse(
        members_of(await gateway.client_sealings.state(asker, dataset, version, digest, given.statement))
    )
