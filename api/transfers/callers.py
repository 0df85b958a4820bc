"""Who asks for a delivery: a consumer of this gateway by its API key, another participant by a signed request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool

from api.auth import Credentials, GatewayOf, authenticate, require_scope
from api.bodies import read_bounded
from api.min_block import MinBlock, await_block
from api.problems import UnauthorizedError
from ledger.errors import MalformedError, VerificationError
from ledger.exchange import Gateway, Scope
from ledger.exchange.transfers import Caller
from ledger.surface.signed_requests import SignedMessage

__all__ = ["CallerOf", "Sent", "SentOf"]

_MOST_BYTES = 64 << 10
_SIGNED = "signature-input"


@dataclass(frozen=True, slots=True)
class Sent:
    """Who sent a request, and its body."""

    caller: Caller
    body: bytes


def _sent_by(scope: Scope) -> Callable[..., Awaitable[Sent]]:
    """A dependency that reads the body and tells who sent it; an API key needs ``scope``."""
    check = require_scope(scope)

    async def read(
        request: Request, gateway: GatewayOf, credentials: Credentials, concord_min_block: MinBlock = None
    ) -> Sent:
        sent = await identify(request, gateway, credentials)
        await await_block(request, concord_min_block)
        return sent

    async def identify(request: Request, gateway: Gateway, credentials: HTTPAuthorizationCredentials | None) -> Sent:
        if _SIGNED not in request.headers:
            asker = await run_in_threadpool(authenticate, gateway, credentials)
            return Sent(Caller(check(asker)), await read_bounded(request, _MOST_BYTES))
        if credentials is not None:
            raise UnauthorizedError("send an API key or a signed request, not both")
        body = await read_bounded(request, _MOST_BYTES)
        return Sent(await run_in_threadpool(_verify, gateway, request, body), body)

    return read


def _verify(gateway: Gateway, request: Request, body: bytes) -> Caller:
    hosts = request.headers.getlist("host")
    if len(hosts) != 1:
        raise MalformedError("a signed request has one Host header")
    try:
        path = bytes(request.scope["raw_path"]).decode("ascii")
        query = bytes(request.scope["query_string"]).decode("ascii")
        return gateway.transfers.callers.authenticate(
            SignedMessage.parse(request.headers.items()),
            method=request.method,
            authority=hosts[0],
            path=path,
            query=query,
            body=body,
        )
    except UnicodeDecodeError as error:
        raise MalformedError("a signed request has its path and query in ASCII") from error
    except VerificationError as error:
        raise UnauthorizedError(str(error)) from error


SentOf = Annotated[Sent, Depends(_sent_by(Scope.WRITE))]


async def _caller(sent: Annotated[Sent, Depends(_sent_by(Scope.READ))]) -> Caller:
    return sent.caller


CallerOf = Annotated[Caller, Depends(_caller)]
