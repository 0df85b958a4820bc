"""Request bodies: bounded, then read strictly into intents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool

from ledger.errors import LedgerError, MalformedError
from ledger.surface.codec import adapter_of, parse_json

__all__ = ["MAX_BODY_BYTES", "MAX_MANIFEST_BYTES", "BodyTooLargeError", "IdempotencyKey", "RawBody", "intent_of"]

MAX_BODY_BYTES: Final = 4 << 20
MAX_MANIFEST_BYTES: Final = 64 << 20

T = TypeVar("T")


class BodyTooLargeError(LedgerError):
    """The body is larger than the route takes (413)."""


async def read_bounded(request: Request, limit: int) -> bytes:
    """The body's bytes. Raises: BodyTooLargeError."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise BodyTooLargeError(f"the body exceeds {limit} bytes, the most that this route takes")
        pieces.append(piece)
    return b"".join(pieces)


async def _raw(request: Request) -> bytes:
    return await read_bounded(request, MAX_BODY_BYTES)


RawBody = Annotated[bytes, Depends(_raw)]


def intent_of(kind: type[T], limit: int = MAX_BODY_BYTES) -> Callable[[Request], Awaitable[T]]:
    """A dependency that reads the body as ``kind``, off the event loop. Name it after the asker: scopes come first."""

    async def read(request: Request) -> T:
        return await run_in_threadpool(parse_json, kind, await read_bounded(request, limit))

    return read


def schema_of(kind: type[object]) -> dict[str, Any]:
    """OpenAPI's description of a body that ``intent_of`` reads."""
    schema = adapter_of(kind).json_schema()
    definitions = schema.pop("$defs", {})
    inlined = _inline(schema, definitions)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def _inline(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Put definitions in the place of references to them: OpenAPI would look for those in its own document."""
    if isinstance(schema, list):
        return [_inline(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    return {name: _inline(each, definitions) for name, each in schema.items()}


def _idempotency_key(
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="Repeating a write with the same key gives the same answer")
    ] = None,
) -> str | None:
    if idempotency_key is not None and not idempotency_key.isprintable():
        raise MalformedError("Idempotency-Key takes printable characters")
    return idempotency_key


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
