"""The bytes of a version's files: checked against the manifest as they arrive, served under a permitting grant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool

from api.answers import answer_stamped, file_headers
from api.auth import GatewayOf, Reader, Writer
from api.bodies import read_bounded
from api.byte_ranges import RangeOf, answer_bytes
from api.datasets.routes import VersionPath
from api.names import DatasetPath, parse_digest
from ledger.errors import LedgerError, MalformedError
from ledger.exchange import Asker, Gateway

router = APIRouter(prefix="/v1/datasets/{dataset}/versions/{version}/files", tags=["files"])

FilePath = Annotated[str, Path(max_length=1024, description="the file's path in the manifest")]

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_BATCH: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary"},
                "example": '["a.csv", "b.csv"]\nbytes of a.csv, then those of b.csv',
            }
        },
    }
}
_BATCH_BYTES: Final = 8 << 20
_BATCH_FILES: Final = 1_000
_DRAINED_BYTES: Final = 64 << 20


@router.get("", summary="Its files, and whether their bytes are here")
def list_files(gateway: GatewayOf, asker: Reader, dataset: DatasetPath, version: VersionPath) -> Response:
    """In the manifest's order."""
    return answer_stamped(gateway.datasets.files(asker, dataset, version), "files")


@router.post(":batch", summary="Upload many small files", openapi_extra=_BATCH)
async def upload_many(
    request: Request, gateway: GatewayOf, asker: Writer, dataset: DatasetPath, version: VersionPath
) -> Response:
    """A JSON list of paths in one line, then the files' bytes, one after another; at most 1,000 files and 8 MiB.

    All of them are taken, or none is. Each has at most one chunk; how long it is, the manifest says. Repeating it is
    safe.
    """
    paths, data = _parse_batch(await read_bounded(request, _BATCH_BYTES))
    return await run_in_threadpool(_upload_many, gateway, asker, dataset, version, paths, data)


def _upload_many(gateway: Gateway, asker: Asker, dataset: str, version: int, paths: list[str], data: bytes) -> Response:
    return answer_stamped(gateway.datasets.upload_many(asker, dataset, version, paths, data), "files")


def _parse_batch(body: bytes) -> tuple[list[str], bytes]:
    line, ended, data = body.partition(b"\n")
    try:
        paths = from_json(line)
    except ValueError as error:
        raise MalformedError("a batch begins with a JSON list of paths in one line") from error
    if not ended or not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise MalformedError("a batch begins with a JSON list of paths in one line")
    if not 0 < len(paths) <= _BATCH_FILES:
        raise MalformedError(f"a batch has 1 to {_BATCH_FILES:,} files: send it in pieces")
    return paths, data


@router.put("/{path:path}", summary="Upload a file's bytes", openapi_extra=_BODY)
async def upload(
    request: Request, gateway: GatewayOf, asker: Writer, dataset: DatasetPath, version: VersionPath, path: FilePath
) -> Response:
    """Refused at the first chunk that is not as the manifest says. Repeating it is safe."""
    stream = request.stream()
    try:
        return answer_stamped(await gateway.datasets.upload(asker, dataset, version, path, stream))
    except LedgerError:
        await drain(stream)
        raise


async def drain(stream: AsyncIterator[bytes]) -> None:
    """Read on for a while, so that a client that is still sending gets to read why it was refused."""
    left = _DRAINED_BYTES
    async for block in stream:
        left -= len(block)
        if left < 0:
            return


@router.get("/{path:path}", summary="Download a file", response_class=StreamingResponse)
async def download(
    gateway: GatewayOf,
    asker: Reader,
    dataset: DatasetPath,
    version: VersionPath,
    path: FilePath,
    asked: RangeOf,
    grant: Annotated[str | None, Query(description="digest of the grant; without: any that permits")] = None,
) -> Response:
    """Under a grant that the contract permits at the final head; 403 says why not. Bytes are checked as read."""
    got = await gateway.datasets.download(
        asker, dataset, version, path, first=asked.first, last=asked.last, grant=parse_digest(grant)
    )
    headers = file_headers(got.as_of_block, {"ETag": f'"{got.file.sha256}"'})
    return answer_bytes(
        got.pieces, asked, first=got.first, last=got.last, size_bytes=got.file.size_bytes, headers=headers
    )
