"""Signed statements for bulk streams, and their answers."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from ledger.canonical import JsonValue
from ledger.client import LocalKey
from ledger.statements import Domains, Statement
from ledger.types import Bytes32

__all__ = ["Said", "Sayer", "read_answers", "to_line", "word"]


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


def read_answers(raw: bytes) -> list[dict[str, Any]]:
    """The lines of an answer."""
    return [json.loads(line) for line in raw.splitlines()]
