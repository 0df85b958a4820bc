"""Every answer to a read says in its header as of which block it is, whatever the answer is."""

from __future__ import annotations

from typing import Final

import anyio
import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answers import AS_OF_HEADER
from ledger.errors import LedgerError
from ledger.exchange import Gateway

__all__ = ["AS_OF_KEY", "SayingAsOf", "is_stamped"]

AS_OF_KEY: Final = "concord.as_of_block"
"""Where a request's scope says the last block that was indexed when the request came."""

_READS: Final = frozenset({"GET", "HEAD"})
_STAMPED: Final = ("/v1/", "/metrics")
_UNSTAMPED: Final = ("/v1/log/tile/", "/v1/log/entries/")
"""Of the log alone, nothing of the chain; the same for ever, kept by caches for a year, and served without a query."""
_HEALTH: Final = "/v1/health"
_PATIENCE_S: Final = 5.0
_HEALTHS_PATIENCE_S: Final = 0.25
"""It answers while the database does not."""
_NAME: Final = AS_OF_HEADER.lower().encode()
_AT_ONCE: Final = 16


def is_stamped(path: str) -> bool:
    """Whether what is read at ``path`` names a block."""
    return path.startswith(_STAMPED) and not path.startswith(_UNSTAMPED)


class SayingAsOf:
    """ASGI middleware: reads the cursor before the answer is made, so that the answer is as new as that or newer.

    Where a route names the block of what it read, that one stays. While the database does not answer, none is named.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._gateway = gateway
        self._limiter: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in _READS or not is_stamped(scope["path"]):
            await self._app(scope, receive, send)
            return
        scope[AS_OF_KEY] = await self._read(_HEALTHS_PATIENCE_S if scope["path"] == _HEALTH else _PATIENCE_S)

        async def tell(message: Message) -> None:
            block = scope[AS_OF_KEY]
            if message["type"] == "http.response.start" and block is not None:
                headers = list(message.get("headers", []))
                if all(name.lower() != _NAME for name, _ in headers):
                    message["headers"] = [*headers, (_NAME, str(block).encode())]
            await send(message)

        await self._app(scope, receive, tell)

    async def _read(self, patience_s: float) -> int | None:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_AT_ONCE)  # of its own: whoever waits for an answer holds none
        read = self._gateway.parts.store.chain.as_of_block
        try:
            with anyio.move_on_after(patience_s):
                return await anyio.to_thread.run_sync(read, abandon_on_cancel=True, limiter=self._limiter)
        except LedgerError:
            return None  # what the request asks of the database says so
        return None
