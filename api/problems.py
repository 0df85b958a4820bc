"""Errors as problem+json (RFC 9457): one table, from the error tree to a status."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from api.bodies import BodyTooLargeError
from ledger.content.sealing_store import StoredSealingError
from ledger.content.store import StoredContentError
from ledger.errors import (
    ConflictError,
    FatalError,
    LedgerError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.exchange import ErasedError, ForbiddenError, NoSuchRangeError
from ledger.exchange.sealing_keys import StoredKeyError
from ledger.surface.codec import InvalidMembersError
from ledger.surface.problems import REFUSED_TITLE

__all__ = [
    "PROBLEM_KEY",
    "Problem",
    "UnauthorizedError",
    "describe_problem",
    "note_problem",
    "problem",
    "register_handlers",
]

_log = logging.getLogger("concord.api")

PROBLEM_KEY: Final = "concord.problem"
"""Where a request's scope says the code of the problem that it was answered with."""

_TABLE: Final[tuple[tuple[type[LedgerError], int, str], ...]] = (
    (ForbiddenError, 403, "Not permitted"),
    (RefusedError, 409, REFUSED_TITLE),
    (ConflictError, 409, "Does not fit the present state"),
    (ErasedError, 410, "Erased"),
    (NotFoundError, 404, "Not found"),
    (NoSuchRangeError, 416, "No such range"),
    (MalformedError, 422, "Malformed"),
    (StoredContentError, 500, "The stored copy is damaged"),
    (StoredSealingError, 500, "The stored sealing is damaged"),
    (StoredKeyError, 500, "The stored key is damaged"),
    (VerificationError, 422, "Verification failed"),
    (UnavailableError, 503, "Come back later"),
    (FatalError, 500, "Stopped: a person must look"),
    (BodyTooLargeError, 413, "Too large"),
)
_CODES: Final[Mapping[type[LedgerError], str]] = {
    NotFoundError: "not-found",
    NoSuchRangeError: "range-not-satisfiable",
    MalformedError: "malformed",
    VerificationError: "verification-failed",
    UnavailableError: "unavailable",
    FatalError: "fatal",
    StoredContentError: "stored-content-damaged",
    StoredSealingError: "stored-sealing-damaged",
    StoredKeyError: "stored-key-damaged",
    BodyTooLargeError: "too-large",
}
_STATUSES: Final[Mapping[str, int]] = {"idempotency-key-reused": 422}
"""Codes whose status is another than their class has."""
_MEDIA_TYPE: Final = "application/problem+json"
_HTTP_CODES: Final = {404: "not-found", 405: "method-not-allowed"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document: its status, its members, and when to come back."""

    status: int
    members: dict[str, object]
    retry_after_s: int | None


class UnauthorizedError(LedgerError):
    """No API key, or one that is unknown, expired or revoked."""


def problem(
    status: int, code: str, title: str, detail: str, facts: Mapping[str, object] | None = None, **headers: str
) -> JSONResponse:
    """One problem document; header names come with ``_`` for ``-``."""
    return JSONResponse(
        _members(status, code, title, detail, facts or {}),
        status_code=status,
        media_type=_MEDIA_TYPE,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def describe_problem(error: LedgerError) -> Problem:
    """The problem document of an error of the tree."""
    kind, status, title = next(row for row in _TABLE if isinstance(error, row[0]))
    code = str(getattr(error, "code", None) or _CODES[kind])
    status = _STATUSES.get(code, status)
    return Problem(status, _members(status, code, title, str(error), _facts(error)), _retry_after_s(error))


def _members(status: int, code: str, title: str, detail: str, facts: Mapping[str, object]) -> dict[str, object]:
    told = {name: _plain(value) for name, value in facts.items()}
    body = {"type": f"urn:concord:problem:{code}", "title": title, "status": status, "detail": detail, "code": code}
    return told | body


def register_handlers(app: FastAPI) -> None:
    """Answer every error of the tree, of validation and of routing as problem+json."""
    app.add_exception_handler(UnauthorizedError, _noting(_answer_unauthorized))
    app.add_exception_handler(LedgerError, _noting(_answer_ledger_error))
    app.add_exception_handler(RequestValidationError, _noting(_answer_validation_error))
    app.add_exception_handler(HTTPException, _noting(_answer_http_exception))
    app.add_exception_handler(Exception, _answer_bug)


def _noting(answer: Callable[[Request, Exception], JSONResponse]) -> Callable[[Request, Exception], JSONResponse]:
    """Keep the problem's code with the request, for metrics and log lines."""

    def noted(request: Request, error: Exception) -> JSONResponse:
        response = answer(request, error)
        request.scope[PROBLEM_KEY] = json.loads(bytes(response.body))["code"]
        return response

    return noted


def _plain(value: object) -> object:
    if isinstance(value, str | bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _answer_unauthorized(_request: Request, error: Exception) -> JSONResponse:
    return problem(401, "unauthorized", "Who asks is not known", str(error), WWW_Authenticate="Bearer")


def _answer_ledger_error(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, LedgerError):
        raise error
    described = describe_problem(error)
    _tell_operator(described, error)
    headers = {} if described.retry_after_s is None else {"Retry-After": str(described.retry_after_s)}
    if isinstance(error, NoSuchRangeError):
        headers["Content-Range"] = f"bytes */{error.size_bytes}"
    return JSONResponse(described.members, status_code=described.status, media_type=_MEDIA_TYPE, headers=headers)


def note_problem(scope: Scope, error: LedgerError) -> None:
    """Note what ended an answer that had begun, for metrics and log lines, as if it had been answered."""
    described = describe_problem(error)
    _tell_operator(described, error)
    scope[PROBLEM_KEY] = described.members["code"]


def _tell_operator(described: Problem, error: LedgerError) -> None:
    if described.status == 500:
        _log.critical("fatal: %s", error)


def _facts(error: LedgerError) -> dict[str, object]:
    if isinstance(error, InvalidMembersError):
        return {"members": error.members}
    if isinstance(error, VerificationError):
        return {"expected": error.expected, "found": error.found}
    return dict(getattr(error, "facts", {}))


def _retry_after_s(error: LedgerError) -> int | None:
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is None and isinstance(error, UnavailableError):
        retry_after_s = 1.0
    return None if retry_after_s is None else max(1, round(retry_after_s))


def _answer_validation_error(_request: Request, error: Exception) -> JSONResponse:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    members = {".".join(map(str, each["loc"][1:])) or str(each["loc"][0]): each["msg"] for each in details}
    detail = "; ".join(f"{name}: {reason}" for name, reason in members.items())
    return problem(422, "malformed", "Malformed", detail, {"members": members})


def _answer_http_exception(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code = _HTTP_CODES.get(error.status_code, f"http-{error.status_code}")
    detail = str(error.detail) + (": see /docs for every route" if error.status_code in (404, 405) else "")
    return problem(error.status_code, code, str(error.detail), detail)


def _answer_bug(request: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected %s at %s %s", type(error).__name__, request.method, request.url.path, exc_info=error)
    return problem(500, "internal-error", "An error of ours", "The service's log tells more; nothing was half done.")
