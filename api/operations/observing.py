"""Every request observed: its id, route and time, what became of it."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.kinds import Kind, kind_of
from api.operations.metrics import Metrics
from api.problems import PROBLEM_KEY
from ledger.exchange.tracing import REQUEST_ID

__all__ = ["Observing"]

_HEADER: Final = b"x-request-id"
_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")
# Methods of a stranger's own share one name, so that they make no labels.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_logger = logging.getLogger("concord.requests")


class Observing:
    """ASGI middleware: gives each request its id (`X-Request-Id`, the client's where it sends a fit one), times it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        request_id = given.decode() if _ID.match(given) else uuid.uuid4().hex
        token, began, status, kind = REQUEST_ID.set(request_id), time.perf_counter(), 500, Kind.PLAIN

        async def tell(message: Message) -> None:
            nonlocal status, kind
            kind = kind_of(scope, message, kind)
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (_HEADER, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, tell)
        finally:
            self._end(scope, status, kind, time.perf_counter() - began)
            REQUEST_ID.reset(token)

    def _end(self, scope: Scope, status: int, kind: Kind, seconds: float) -> None:
        route, problem = _route_of(scope), scope.get(PROBLEM_KEY, "internal-error" if status == 500 else None)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.observe(method, route, status, kind, seconds, problem)
        facts = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        _logger.info("request", extra={"facts": facts | ({"problem": problem} if problem else {})})


def _route_of(scope: Scope) -> str:
    """The route's template; paths that are none share one name, so that strangers can not make labels."""
    return str(getattr(scope.get("route"), "path", "none"))
