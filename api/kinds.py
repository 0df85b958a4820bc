"""What took a request its time: the work for its answer, waiting that the client asked for, or the way of its bytes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from starlette.requests import Request
from starlette.types import Message, Scope

__all__ = ["Kind", "kind_of", "note_waiting"]

_WAITED: Final = "concord.waited"


class Kind(StrEnum):
    """The label of a request's time."""

    PLAIN = "plain"
    WAITED = "waited"
    STREAMED = "streamed"


def note_waiting(request: Request) -> None:
    """Note that the client asked for the answer to be held: its time is no slowness."""
    request.scope[_WAITED] = True


def kind_of(scope: Scope, message: Message, before: Kind) -> Kind:
    """The kind of a request, once ``message`` is sent after it was of the kind ``before``."""
    if scope.get(_WAITED):
        return Kind.WAITED
    if message["type"] == "http.response.body" and message.get("more_body"):
        return Kind.STREAMED
    return before
