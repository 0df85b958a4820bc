"""Signed statements for bulk streams, and their answers."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any, Self
from urllib.parse import urlsplit

from ledger.canonical import JsonValue
from ledger.client import LocalKey
from ledger.statements import Domains, Statement
from ledger.types import Bytes32

__all__ = ["BulkConnection", "Said", "Sayer", "read_answers", "to_line", "word"]


@dataclass(frozen=True)
class Said:
    """A signed statement, as a line and as a single request's body."""

    statement: Statement
    digest: Bytes32
    body: dict[str, JsonValue]

    @property
    def line(self) -> bytes:
        """Its line."""
        return to_line(self.body)


def to_line(value: object) -> bytes:
    """A value as one line of JSON."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def word() -> Bytes32:
    """32 random bytes."""
    return Bytes32(secrets.token_bytes(32))


@dataclass(frozen=True)
class Sayer:
    """Signs statements of one participant with one key."""

    participant: Bytes32
    key: LocalKey
    domains: Domains
    deadline_s: int = field(default_factory=lambda: int(time.time()) + 3600)

    def say(self, type_name: str, **members: object) -> Said:
        """A signed statement; deadline and salt are filled in."""
        given = {"participant": self.participant, "deadline": self.deadline_s, "salt": word(), **members}
        statement = Statement.build(type_name, **given)
        digest = statement.digest(self.domains)
        body: dict[str, JsonValue] = {
            "type": type_name,
            "message": statement.to_json(),
            "signature": "0x" + self.key.sign(digest).hex(),
            "signer": str(self.key.address),
        }
        return Said(statement, digest, body)

    def register(self, **members: object) -> Said:
        """The first version of a fresh data set, unless told otherwise."""
        given: dict[str, object] = {
            "datasetSalt": word(),
            "version": 1,
            "contentHash": word(),
            "metadataHash": word(),
            "parents": (),
            **members,
        }
        return self.say("DatasetRegistration", **given)


class BulkConnection:
    """A stream under way: lines are sent and answers read as one likes."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), 60)
        self._socket.sendall(
            f"POST /v1/statements:batch HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        self._response: HTTPResponse | None = None

    def send(self, data: bytes) -> None:
        """Send some of the body."""
        self._socket.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        """Send the end of the body."""
        self._socket.sendall(b"0\r\n\r\n")

    @property
    def response(self) -> HTTPResponse:
        """The answer, from its head on."""
        if self._response is None:
            self._response = HTTPResponse(self._socket)
            self._response.begin()
        return self._response

    def answers(self) -> Iterator[dict[str, Any]]:
        """Answer lines as they come, until the answer ends."""
        for line in self.response:
            yield json.loads(line)

    def close(self) -> None:
        """Hang up."""
        if self._response is not None:
            self._response.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def read_answers(raw: bytes) -> list[dict[str, Any]]:
    """The lines of an answer."""
    return [json.loads(line) for line in raw.splitlines()]
