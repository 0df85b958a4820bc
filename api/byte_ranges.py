"""One range of an answer's bytes (RFC 9110, 14), and the answer that holds it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Header
from fastapi.responses import StreamingResponse

from ledger.errors import MalformedError

__all__ = ["ByteRange", "RangeOf", "answer_bytes"]

_RANGE: Final = re.compile(r"bytes=([0-9]{1,16})-([0-9]{0,16})\Z")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """What of it was asked for: from ``first`` to ``last`` (None: to the end); ``is_asked``: by a Range header."""

    first: int
    last: int | None
    is_asked: bool


def _parse(
    text: Annotated[str | None, Header(alias="Range", description="`bytes=first-last`")] = None,
) -> ByteRange:
    if text is None:
        return ByteRange(0, None, is_asked=False)
    match = _RANGE.match(text)
    if match is None:
        raise MalformedError("of Range this service knows one range, bytes=first-last or bytes=first-")
    first, last = int(match.group(1)), int(match.group(2)) if match.group(2) else None
    if last is not None and last < first:
        raise MalformedError("the range ends before it begins: bytes=first-last")
    return ByteRange(first, last, is_asked=True)


RangeOf = Annotated[ByteRange, Depends(_parse)]


def answer_bytes(
    pieces: AsyncIterable[bytes] | Iterable[bytes],
    asked: ByteRange,
    *,
    first: int,
    last: int,
    size_bytes: int,
    headers: Mapping[str, str],
    kind: type[StreamingResponse] = StreamingResponse,
) -> StreamingResponse:
    """What is there of what was asked for: the bytes from ``first`` to ``last`` of ``size_bytes``."""
    count = last - first + 1
    told = {"Content-Length": str(count), "Accept-Ranges": "bytes", **headers}
    is_part = asked.is_asked and count > 0
    if is_part:
        told["Content-Range"] = f"bytes {first}-{last}/{size_bytes}"
    return kind(pieces, status_code=206 if is_part else 200, media_type="application/octet-stream", headers=told)
