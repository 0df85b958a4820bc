"""A stream that may be refused while it travels: it is broken off, and what ended it is noted."""

from __future__ import annotations

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import note_problem
from ledger.errors import LedgerError

__all__ = ["StreamOfPieces"]


class StreamOfPieces(StreamingResponse):
    """Sends pieces as they come. Where an error of the tree ends them, the connection is closed: too little came."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        except LedgerError as error:
            note_problem(scope, error)
