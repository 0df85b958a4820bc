"""What a bulk stream is answered: something for each line, the checkpoints that cover them, and the totals."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ledger.checking import Rejected
from ledger.errors import LedgerError, MalformedError, NotFoundError, RefusedError, VerificationError
from ledger.statements import UnknownStatementTypeError

__all__ = ["Appended", "Answers", "LineAnswer", "Refused", "Taken", "Totals", "error_of"]


class Taken(msgspec.Struct, frozen=True, gc=False):
    """The statement is in the log at ``index``; ``repeated``: it was already."""

    line: int
    digest: bytes
    index: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The statement is not in the log; ``digest`` is None where none could be computed."""

    line: int
    digest: bytes | None
    error: LedgerError


LineAnswer = Taken | Refused


@dataclass(frozen=True, slots=True)
class Appended:
    """A signed checkpoint and the entries that it brought."""

    note: str
    first_index: int
    count: int


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to some lines, in their order, and the checkpoints whose last line of this stream is among them."""

    lines: list[LineAnswer]
    checkpoints: list[Appended]


@dataclass(slots=True)
class Totals:
    """How many lines were answered how; ``lines`` counts the empty ones as well."""

    lines: int = 0
    accepted: int = 0
    repeated: int = 0
    refused: int = 0


_KINDS: dict[str, type[LedgerError]] = {
    each.__name__: each for each in (MalformedError, NotFoundError, UnknownStatementTypeError)
}


def error_of(rejected: Rejected) -> LedgerError:
    """The error that a checking process met."""
    if rejected.error == VerificationError.__name__:
        facts = rejected.facts
        return VerificationError(rejected.detail, expected=facts.get("expected"), found=facts.get("found"))
    if rejected.code is not None:
        return RefusedError(rejected.detail, code=rejected.code, facts=rejected.facts)
    return _KINDS.get(rejected.error, MalformedError)(rejected.detail)
