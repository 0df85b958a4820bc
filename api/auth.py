"""Who asks: API keys as bearer tokens, bound to a participant with scopes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.min_block import MinBlock, await_block
from api.problems import UnauthorizedError
from ledger.exchange import Asker, ForbiddenError, Gateway, Scope

__all__ = [
    "Applicant",
    "Bearer",
    "Credentials",
    "GatewayOf",
    "Operator",
    "Reader",
    "Scraper",
    "Steward",
    "Writer",
    "authenticate",
    "gateway_of",
    "require_scope",
]

_bearer = HTTPBearer(auto_error=False, description="An API key: `ck_<id>_<secret>`")


def gateway_of(request: Request) -> Gateway:
    """The gateway that this service runs."""
    return cast(Gateway, request.app.state.gateway)


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def authenticate(gateway: Annotated[Gateway, Depends(gateway_of)], credentials: Credentials) -> Asker:
    """Whose API key it is. Raises: UnauthorizedError."""
    if credentials is None:
        raise UnauthorizedError("send an API key: Authorization: Bearer ck_...; the operator creates them")
    asker = gateway.api_keys.authenticate(credentials.credentials)
    if asker is None:
        raise UnauthorizedError("this API key is unknown, expired or revoked: ask the operator for another")
    return asker


def require_scope(*scopes: Scope) -> Callable[[Asker], Asker]:
    """A dependency that lets pass whoever has one of ``scopes``."""

    def check(asker: Annotated[Asker, Depends(authenticate)]) -> Asker:
        if not asker.scopes.intersection(scopes):
            wanted = " or ".join(scope.value for scope in scopes)
            raise ForbiddenError(f"this needs an API key with scope {wanted}", code="missing-scope")
        return asker

    return check


def _at_block(check: Callable[..., Asker]) -> Callable[..., Awaitable[Asker]]:
    """A dependency that, for whoever ``check`` lets pass, waits for the block that is asked for. Strangers wait not."""

    async def pass_at_block(
        request: Request, concord_min_block: MinBlock = None, asker: Asker = Depends(check)
    ) -> Asker:
        await await_block(request, concord_min_block)
        return asker

    return pass_at_block


_check_reader = require_scope(Scope.READ, Scope.AUDIT, Scope.OPERATE)

GatewayOf = Annotated[Gateway, Depends(gateway_of)]
Bearer = Annotated[Asker, Depends(_at_block(authenticate))]
Reader = Annotated[Asker, Depends(_at_block(_check_reader))]
Scraper = Annotated[Asker, Depends(_check_reader)]
"""Who may read, at whatever block."""
Writer = Annotated[Asker, Depends(_at_block(require_scope(Scope.WRITE)))]
Applicant = Annotated[Asker, Depends(_at_block(require_scope(Scope.WRITE, Scope.APPLY)))]
Operator = Annotated[Asker, Depends(_at_block(require_scope(Scope.WRITE, Scope.OPERATE)))]
Steward = Annotated[Asker, Depends(_at_block(require_scope(Scope.OPERATE)))]
"""Who runs this gateway: its keys and its state are theirs."""
