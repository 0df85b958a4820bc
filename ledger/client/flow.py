"""What the client does, apart from how bytes travel.

A *flow* is a generator that yields requests, receives their answers and returns a result. The sync and the async client
(``ledger.client.transport``) drive the same flows, so that nothing is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from ledger.canonical import JsonValue
from ledger.errors import ConflictError, MalformedError

__all__ = ["LARGE_BYTES", "Answer", "ByteProgress", "Download", "Flow", "Request", "Upload", "quote_name"]

Result = TypeVar("Result")

LARGE_BYTES: Final = 1 << 28
"""``most_bytes`` of what describes a whole version, and of evidence."""

ByteProgress = Callable[[int], None]
"""Told how many bytes more have travelled."""


@dataclass(frozen=True)
class Upload:
    """A request's body, read from a file as it travels; ``size_bytes`` is sent ahead."""

    path: Path
    size_bytes: int
    progress: ByteProgress | None = None

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes in pieces of 1 MiB. Raises: OSError; ConflictError: it is not as long as was said."""
        left = self.size_bytes
        with self.path.open("rb") as source:
            while piece := source.read(1 << 20):
                left -= len(piece)
                if left < 0:
                    break
                if self.progress is not None:
                    self.progress(len(piece))
                yield piece
        if left != 0:
            raise ConflictError(
                f"{self.path} changed while it was uploaded: register the folder again", code="file-changed"
            )


@dataclass(frozen=True)
class Download:
    """Where an answer's body goes, as it arrives: ``accept`` takes each piece, in order, from ``first_byte`` on."""

    accept: Callable[[bytes], None]
    first_byte: int = 0

    def check(self, status: int, headers: Mapping[str, str]) -> None:
        """Check that the body is what was asked for, before any of it is taken. Raises: MalformedError."""
        told = headers.get("content-range", "").partition("-")[0] if status == 206 else "bytes 0"
        if status not in (200, 206) or told != f"bytes {self.first_byte}":
            raise MalformedError(
                f"the service answered {status} with {told}, and bytes from {self.first_byte} on were asked for: "
                "nothing of it was taken"
            )


@dataclass(frozen=True)
class Request:
    """One HTTP request below the service's URL. ``json``, ``content`` and ``body`` exclude one another.

    ``authorize`` makes headers of its own for each try: what is signed can be sent once.
    """

    method: str
    path: str
    repeating: str | None = field(default=None, kw_only=True)
    """of a write: how its outcome is had where no answer came; then it is safe to send it again, and the client does"""
    query: Mapping[str, str] = field(default_factory=dict)
    json: JsonValue = None
    body: Upload | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    download: Download | None = None
    content: bytes | None = None
    authorize: Callable[[], Mapping[str, str]] | None = None
    most_bytes: int = 1 << 25
    """a larger answer is refused as it arrives"""
    told: Callable[[str], None] | None = None
    """told why the client waits before it asks again"""


@dataclass(frozen=True)
class Answer:
    """A successful answer. ``content`` is empty when the request was a download."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    json: JsonValue


Flow = Generator[Request, Answer, Result]


def quote_name(name: str) -> str:
    """A name or id as one segment of a URL's path: ``provider/slug`` becomes ``provider~slug``."""
    return name.replace("/", "~")
