"""Writes: every one is a statement, accepted with a receipt and followed at its own address."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from api.answers import answer_outcome
from api.auth import GatewayOf, Writer
from api.bodies import MAX_BODY_BYTES, IdempotencyKey, intent_of, schema_of
from api.kinds import note_waiting
from ledger.errors import MalformedError
from ledger.exchange import Announce, Gateway, Outcome, State
from ledger.exchange.intents import Intent
from ledger.surface.codec import dump_json

__all__ = ["WaitFor", "add_custodial_write", "finish"]

_WAIT: Final = re.compile(r"wait=([0-9]{1,9})\Z")
_LONGEST_WAIT_S: Final = 60


def _wait_s(
    request: Request,
    prefer: Annotated[str | None, Header(description="`wait=N`: answer 201 when final within N seconds")] = None,
) -> int:
    for preference in (prefer or "").split(","):
        if preference.strip().partition("=")[0].lower() != "wait":
            continue  # what a server does not know it ignores (RFC 7240, section 2)
        match = _WAIT.match(preference.strip().lower())
        if match is None:
            raise MalformedError("of Prefer, wait=N takes whole seconds, for instance wait=30")
        wait_s = min(int(match.group(1)), _LONGEST_WAIT_S)
        if wait_s:
            note_waiting(request)
        return wait_s
    return 0


WaitFor = Annotated[int, Depends(_wait_s)]


def finish(gateway: Gateway, outcome: Outcome, wait_s: int) -> Response:
    """Answer a write, after waiting for it to be final if the client prefers so."""
    if wait_s and outcome.state is not State.FINAL:
        outcome = gateway.statements.wait(outcome.digest, State.FINAL, float(wait_s))
    return answer_outcome(outcome)


def add_custodial_write(
    router: APIRouter, path: str, kind: type[Intent], summary: str, limit: int = MAX_BODY_BYTES
) -> None:
    """Add ``POST path``: build the statement of an intent, sign with the participant's custodial key, submit.

    A client that holds its own key gives the same intent to ``/v1/statements:prepare`` and submits what it signed.
    """

    read = intent_of(kind, limit)

    def write(
        gateway: GatewayOf,
        asker: Writer,
        wait_s: WaitFor,
        key: IdempotencyKey,
        intent: Intent = Depends(read),
    ) -> Response:
        def act(announce: Announce) -> Outcome:
            return gateway.statements.sign_and_submit(asker, intent, announce)

        body = kind.TYPE.encode() + dump_json(intent)
        return finish(gateway, gateway.idempotent(asker, key, body, act), wait_s)

    router.add_api_route(
        path,
        write,
        methods=["POST"],
        summary=summary,
        description=kind.__doc__,
        status_code=202,
        openapi_extra=schema_of(kind),
        name=f"state {kind.TYPE}",
    )
