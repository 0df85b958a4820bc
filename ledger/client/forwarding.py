"""A statement, brought to another gateway as it was signed."""

from __future__ import annotations

from typing import Final

from ledger.client.flow import Flow, Request
from ledger.surface.codec import dump_value
from ledger.surface.forwarding import ForwardedStatement
from ledger.types import Bytes32

__all__ = ["forward"]

_REPEATING: Final = "Bring it again: a statement is in a log once"
_MOST_BYTES: Final = 1 << 20


def forward(digest: Bytes32, forwarded: ForwardedStatement) -> Flow[None]:
    """Bring a statement to the gateway of its addressee.

    Raises:
        RefusedError, ConflictError, NotFoundError, MalformedError: what that gateway answered.
    """
    path, body = f"/v1/statements/{digest}", dump_value(forwarded)
    yield Request("PUT", path, json=body, repeating=_REPEATING, most_bytes=_MOST_BYTES)
