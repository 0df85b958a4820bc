"""What of a gateway in this process the doctor asks for, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from api.answers import members_of
from ledger.exchange import Gateway
from tests.support.answering import Said, answering

__all__ = ["asked"]


@contextmanager
def asked(gateway: Gateway) -> Iterator[str]:
    """Its readiness, checkpoint and chain, over HTTP."""

    def answer(_method: str, path: str, _headers: Mapping[str, str], body: bytes) -> Said:
        if path == "/v1/log/checkpoint":
            return Said(body=gateway.log.checkpoint(), headers={"Content-Type": "text/plain"})
        if path == "/rpc":
            return Said(body=gateway.rpc(body))
        health = gateway.health()
        return Said(200 if health.ready else 503, json.dumps(members_of(health)).encode())

    with answering(answer) as url:
        yield url
