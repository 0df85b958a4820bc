"""Requests to another participant's gateway, signed with a key of one's own (``ledger.surface.signed_requests``)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlencode

from ledger.client.flow import Flow, Request
from ledger.client.identity import PayloadSigner
from ledger.surface.signed_requests import prepare_request
from ledger.types import Bytes32

__all__ = ["signed"]

Result = TypeVar("Result")


def signed(
    flow: Flow[Result], url: str, participant: Bytes32, signer: PayloadSigner, clock: Callable[[], float] = time.time
) -> Flow[Result]:
    """The same flow, each of its requests signed for the gateway at ``url``; none of them has a file as body.

    Raises:
        MalformedError: the URL is none that a request can be signed for.
    """
    try:
        return (yield from _drive(flow, lambda request: _sign(request, url, participant, signer, clock)))
    finally:
        flow.close()


def _drive(flow: Flow[Result], change: Callable[[Request], Request]) -> Flow[Result]:
    request = next(flow)
    while True:
        try:
            answer = yield change(request)
        except Exception as error:  # noqa: BLE001 - whatever the transport raises is the flow's to handle
            step = _throw(flow, error)
        else:
            step = _send(flow, answer)
        if isinstance(step, Request):
            request = step
            continue
        return step[0]


def _send(flow: Flow[Result], answer: object) -> Request | tuple[Result]:
    try:
        return flow.send(answer)  # type: ignore[arg-type]  # what the transport sent
    except StopIteration as stop:
        return (stop.value,)


def _throw(flow: Flow[Result], error: Exception) -> Request | tuple[Result]:
    try:
        return flow.throw(error)
    except StopIteration as stop:
        return (stop.value,)


def _sign(
    request: Request, url: str, participant: Bytes32, signer: PayloadSigner, clock: Callable[[], float]
) -> Request:
    body = b"" if request.json is None else json.dumps(request.json, separators=(",", ":")).encode()
    path = f"{request.path}?{urlencode(request.query)}" if request.query else request.path

    def authorize() -> Mapping[str, str]:
        place = url.rstrip("/") + path
        message, claim = prepare_request(request.method, place, body, participant, signer.address, int(clock()))
        return claim.to_headers(message, signer.sign_payload(claim.compute_payload(message)))

    return replace(request, path=path, query={}, json=None, content=body or None, authorize=authorize)
