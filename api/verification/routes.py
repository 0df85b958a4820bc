"""Whether bytes are registered: upload a file, or give its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.answers import answer_stamped
from api.auth import GatewayOf, Reader
from api.bodies import MAX_BODY_BYTES, BodyTooLargeError, read_bounded
from ledger.errors import MalformedError
from ledger.surface.codec import adapter_of, parse_json
from ledger.types import Bytes32

router = APIRouter(prefix="/v1", tags=["verify"])

_MAX_FILE_BYTES: Final = 64 << 30


@dataclass(frozen=True, kw_only=True)
class FileHash:
    """SHA-256 of a file's bytes."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    sha256: Bytes32


_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": adapter_of(FileHash).json_schema()},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("/verify", summary="Is this file registered?", openapi_extra=_BODY)
async def verify(request: Request, gateway: GatewayOf, asker: Reader) -> Response:
    """Body: `application/json` `{"sha256": "0x..."}`, or the file's bytes as `application/octet-stream`.

    Answers `verified`, `refuted` or `undetermined`; a verdict to act on comes from the offline verifier.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "multipart/form-data":
        raise MalformedError("send the file's bytes themselves, not a form: curl --data-binary @FILE")
    if kind == "application/json":
        sha256 = (await run_in_threadpool(parse_json, FileHash, await read_bounded(request, MAX_BODY_BYTES))).sha256
    else:
        sha256 = await _hash_body(request)
    return answer_stamped(await run_in_threadpool(gateway.datasets.verify, asker, sha256))


async def _hash_body(request: Request) -> Bytes32:
    digest, size = hashlib.sha256(), 0
    async for piece in request.stream():
        size += len(piece)
        if size > _MAX_FILE_BYTES:
            raise BodyTooLargeError("larger than any file that a manifest may hold here: send its sha256 instead")
        digest.update(piece)
    return Bytes32(digest.digest())
