"""For operators and auditors: health, readiness, the consortium's document and the chain's read-only JSON-RPC."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.answers import members_of
from api.auth import GatewayOf, Scraper, gateway_of
from api.bodies import RawBody
from api.operations.door import DoorOf
from api.operations.metrics import CONTENT_TYPE_LATEST, Metrics

router = APIRouter(tags=["operations"])


@router.get("/v1/health", summary="The process answers")
async def get_health() -> Response:
    """Says nothing about the workers: see readiness."""
    return JSONResponse({"status": "up"})


@router.get("/v1/ready", summary="Whether the gateway can do its work")
def get_readiness(gateway: GatewayOf) -> Response:
    """200 or 503, with the reasons, worker by worker."""
    health = gateway.health()
    return JSONResponse(members_of(health), status_code=200 if health.ready else 503)


@router.get("/metrics", summary="Prometheus' metrics", response_class=Response)
def get_metrics(request: Request, _asker: Scraper) -> Response:
    """Index lag, outbox, oldest unanchored statement, checkpoint's age, refusals, request times by route.

    Any key with scope `read` may scrape: `authorization: {credentials_file: ...}` in Prometheus' configuration.
    """
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/consortium", summary="Chain id, contracts and logs")
def get_consortium(gateway: GatewayOf) -> Response:
    """What joiners import and auditors compare with another member's."""
    return JSONResponse(dict(gateway.consortium().document))


_RPC_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"description": "a JSON-RPC 2.0 request, or a batch of them"}}},
    }
}


@router.post("/rpc", summary="Read-only JSON-RPC of the chain", openapi_extra=_RPC_BODY)
async def rpc(request: Request, door: DoorOf, body: RawBody) -> Response:
    """Ethereum's JSON-RPC for auditors; `eth_sendRawTransaction` from accounts on the chain's allow list alone.

    `eth_call` calls contracts with at most 2,000,000 gas. Few are served at once: 503 says when to come back.
    """
    gateway = gateway_of(request)
    return Response(await door.run(lambda: gateway.rpc(body)), media_type="application/json")
