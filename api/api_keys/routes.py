"""API keys: created (the token is shown once), listed, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from api.answers import members_of
from api.auth import Bearer, GatewayOf, Operator
from api.bodies import intent_of, schema_of
from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.exchange import Scope
from ledger.surface.codec import MOST_IN_LIST

router = APIRouter(prefix="/v1", tags=["api-keys"])


@dataclass(frozen=True, kw_only=True)
class NewApiKey:
    """A key for the asker's participant, or, with scope operate, for any or (scope apply) for none yet."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    scopes: Annotated[tuple[str, ...], Field(max_length=MOST_IN_LIST)]
    participant: str | None = None
    label: str = ""
    expires_at: datetime | None = None


def _parse_scopes(words: tuple[str, ...]) -> frozenset[Scope]:
    try:
        return frozenset(Scope(word) for word in words)
    except ValueError as error:
        raise MalformedError(f"scopes: of {', '.join(Scope)}") from error


@router.get("/whoami", summary="What this API key is")
def whoami(asker: Bearer) -> Response:
    """Its participant and scopes."""
    participant = None if asker.participant is None else str(asker.participant)
    scopes: list[JsonValue] = [str(scope) for scope in sorted(asker.scopes)]
    return JSONResponse({"api_key": asker.api_key, "participant": participant, "scopes": scopes})


@router.get("/api-keys", summary="Keys of the asker's participant; all, for scope operate")
def list_api_keys(gateway: GatewayOf, asker: Operator) -> Response:
    """Without their secrets, which nobody can show again."""
    items: list[JsonValue] = [members_of(view) for view in gateway.api_keys.list(asker)]
    return JSONResponse({"items": items, "next": None})


@router.post("/api-keys", summary="Create a key", status_code=201, openapi_extra=schema_of(NewApiKey))
def create_api_key(
    gateway: GatewayOf, asker: Operator, body: Annotated[NewApiKey, Depends(intent_of(NewApiKey))]
) -> Response:
    """Its token is in this answer and nowhere else."""
    view, token = gateway.api_keys.create(
        asker,
        scopes=_parse_scopes(body.scopes),
        participant=body.participant,
        label=body.label,
        expires_at=body.expires_at,
    )
    return JSONResponse({**members_of(view), "token": token}, status_code=201, headers={"Cache-Control": "no-store"})


@router.delete("/api-keys/{key_id}", summary="Revoke a key", status_code=204, response_class=Response)
def revoke_api_key(gateway: GatewayOf, asker: Operator, key_id: str) -> Response:
    """At once."""
    gateway.api_keys.revoke(asker, key_id)
    return Response(status_code=204)
