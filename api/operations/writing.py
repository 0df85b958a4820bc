"""Where several processes share a database, one writes: the others refuse a write before they read its body."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from api.auth import gateway_of

__all__ = ["check_writes"]

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READS_BY_POST: Final = frozenset({"/rpc", "/v1/verify"})


async def check_writes(request: Request) -> None:
    """Let reads pass, and writes where this process takes them. Raises: NotTheWriterError: 503, naming the writer."""
    if request.method not in _READS and request.url.path not in _READS_BY_POST:
        gateway_of(request).check_writes()
