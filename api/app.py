"""The service: one FastAPI application over one gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI
from fastapi_offline import FastAPIOffline

from api.access.routes import router as access
from api.agreements.routes import router as agreements
from api.api_keys.routes import router as api_keys
from api.catalogue.routes import router as catalogue
from api.datasets.files import router as files
from api.datasets.routes import router as datasets
from api.deliveries.routes import router as deliveries
from api.evidence.routes import router as evidence
from api.log.routes import router as log
from api.operations.as_of import SayingAsOf
from api.operations.keys import router as gateway_keys
from api.operations.metrics import Metrics
from api.operations.observing import Observing
from api.operations.routes import router as operations
from api.operations.writing import check_writes
from api.participants.routes import router as participants
from api.problems import register_handlers
from api.sealings.routes import router as sealings
from api.statements.batch import router as batch
from api.statements.routes import documents
from api.statements.routes import router as statements
from api.transfers.routes import router as transfers
from api.verification.routes import router as verification
from ledger.exchange import Gateway

__all__ = ["create_app"]

_THREADS: Final = 200
"""Requests that wait (``Prefer: wait``, downloads) hold a thread each."""

_ROUTERS: Final[tuple[APIRouter, ...]] = (
    participants, datasets, catalogue, files, sealings, access, transfers, deliveries, agreements, statements, batch,
    documents, evidence, log, verification, api_keys, operations, gateway_keys,
)  # fmt: skip


def create_app(gateway: Gateway, *, drain_s: float = 0.0) -> FastAPI:
    """The application. It starts the gateway's workers, and when it stops closes the gateway.

    Before it closes, what was accepted gets ``drain_s`` seconds to reach the chain; what does not, goes on at the next
    start.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        await to_thread.run_sync(gateway.start)
        try:
            yield
        finally:
            await to_thread.run_sync(gateway.drain, drain_s)
            await to_thread.run_sync(gateway.close)

    app = FastAPIOffline(
        title="Concord",
        version=version("concord-ledger"),
        summary="A permissioned ledger for trusted data exchange",
        lifespan=lifespan,
        redoc_url=None,
        dependencies=[Depends(check_writes)],
    )
    app.state.gateway = gateway
    app.state.metrics = Metrics(gateway)
    app.add_middleware(SayingAsOf, gateway=gateway)
    app.add_middleware(Observing, metrics=app.state.metrics)
    register_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    return app
