"""Answers that say no, as the errors of the tree (problem+json, RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from ledger.canonical import check_depth
from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.surface.problems import REFUSED_TITLE

__all__ = ["AtWorkError", "NotReadyError", "error_of"]

_AT_WORK: Final = "sealing-under-way"
_LONGEST_CODE: Final = 64
_LONGEST_MESSAGE: Final = 2000
_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "instance"})


class AtWorkError(UnavailableError):
    """The service works on what was asked for: it is asked again until that is done."""

    code: Final = _AT_WORK


class NotReadyError(UnavailableError):
    """The gateway runs and can not do its work: what keeps each of its workers."""

    def __init__(self, reasons: Mapping[str, str], retry_after_s: float | None) -> None:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        super().__init__(f"the gateway can not do its work: {told}"[:_LONGEST_MESSAGE], retry_after_s=retry_after_s)
        self.reasons: Final = dict(reasons)


def error_of(status: int, headers: Mapping[str, str], content: bytes) -> LedgerError:
    """The error that an answer with status 300 or above stands for; facts and code are kept."""
    problem = _read(content)
    code = _text(problem.get("code", f"http-{status}"))[:_LONGEST_CODE]
    message = _text(problem.get("detail") or problem.get("title") or _describe(status))[:_LONGEST_MESSAGE]
    retry_after_s = _seconds(headers.get("retry-after"))
    if status == 404:
        return NotFoundError(message)
    if status in (408, 429) or (status >= 500 and status != 501):
        return _unavailable(problem, code, message, retry_after_s)
    facts = {name: value for name, value in problem.items() if name not in _MEMBERS}
    if status == 409 and problem.get("title") != REFUSED_TITLE:
        return ConflictError(message, code=code, facts=facts, retry_after_s=retry_after_s)
    if code == "malformed" or status < 400:
        return MalformedError(message)
    if code == "verification-failed":
        return VerificationError(message, expected=problem.get("expected"), found=problem.get("found"))
    return RefusedError(message, code=code, facts=facts)


def _unavailable(
    problem: Mapping[str, object], code: str, message: str, retry_after_s: float | None
) -> UnavailableError:
    reasons = problem.get("reasons")
    if isinstance(reasons, dict) and reasons:
        told = {_text(name): _text(reason)[:_LONGEST_MESSAGE] for name, reason in reasons.items()}
        return NotReadyError(told, retry_after_s)
    kind = AtWorkError if code == _AT_WORK else UnavailableError
    return kind(message, retry_after_s=retry_after_s)


def _text(value: object) -> str:
    """What a database takes, too: PostgreSQL has no U+0000 in its texts."""
    return str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _describe(status: int) -> str:
    redirect = "a redirect, which is not followed: what was asked for is not here, so name the URL that it leads to"
    return f"the service answered {status}" + (f", {redirect}" if status < 400 else "")


def _read(content: bytes) -> dict[str, object]:
    try:
        check_depth(content)
        problem = json.loads(content)
        json.dumps(problem, ensure_ascii=False).encode()  # a half of a surrogate pair is no text
    except (ValueError, MalformedError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
