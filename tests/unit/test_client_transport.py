"""How the client travels: errors by status and code, and tries again when told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ledger.client import AsyncClient, Client, Flow, operations, participants, statements
from ledger.client.flow import Request, Upload
from ledger.client.problems import error_of
from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.types import Bytes32
from tests.support.answering import FACES, Run, Said, answering

DIGEST: Final = Bytes32(b"\xcd" * 32)


def problem(**members: object) -> bytes:
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind", "words"),
    [
        (404, problem(detail="no such dataset"), NotFoundError, "no such dataset"),
        (408, b"", UnavailableError, "the service answered 408"),
        (429, problem(title="Too many"), UnavailableError, "Too many"),
        (500, b"<html>", UnavailableError, "the service answered 500"),
        (501, problem(code="unsupported", detail="not here"), RefusedError, "not here"),
        (503, b"[1]", UnavailableError, "the service answered 503"),
        (409, problem(code="not-final", detail="wait"), ConflictError, "wait"),
        (409, problem(code="version-conflict", detail="2"), ConflictError, "2"),
        (409, problem(code="sharing-agreements-wrong-state", detail="no"), RefusedError, "no"),
        (400, problem(code="malformed", detail="slug"), MalformedError, "slug"),
        (422, problem(code="verification-failed", detail="hash"), VerificationError, "hash"),
        (403, problem(code="no-grant", detail="none"), RefusedError, "none"),
        (401, b"", RefusedError, "the service answered 401"),
    ],
)
def test_each_answer_that_says_no_is_an_error_of_the_tree(
    status: int, content: bytes, kind: type[LedgerError], words: str
) -> None:
    error = error_of(status, {}, content)
    assert type(error) is kind
    assert str(error) == words


def test_an_error_keeps_code_facts_and_when_to_come_back() -> None:
    conflict = error_of(409, {"retry-after": "7"}, problem(code="not-final", detail="wait", block=5, status=409))
    assert isinstance(conflict, ConflictError)
    assert (conflict.code, conflict.facts, conflict.retry_after_s) == ("not-final", {"block": 5}, 7.0)
    dated = error_of(503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")
    assert isinstance(dated, UnavailableError)
    assert dated.retry_after_s is None
    differing = error_of(422, {}, problem(code="verification-failed", expected="a", found="b"))
    assert isinstance(differing, VerificationError)
    assert (differing.expected, differing.found) == ("a", "b")
    plain = error_of(418, {}, b"")
    assert isinstance(plain, RefusedError)
    assert plain.code == "http-418"


@FACES
def test_a_request_is_tried_again_when_the_answer_says_when(run: Run) -> None:
    asked: list[str] = []

    def answer(_method: str, path: str, headers: Mapping[str, str], _body: bytes) -> Said:
        asked.append(headers["Authorization"])
        return Said(503, headers={"Retry-After": "0"}) if len(asked) < 3 else Said(body=b'{"scopes": ["read"]}')

    with answering(answer) as url:
        assert run(url, operations.whoami(), "ck_abc") == {"scopes": ["read"]}
    assert asked == ["Bearer ck_abc"] * 3


@FACES
@pytest.mark.parametrize(("headers", "tries"), [({"Retry-After": "0"}, 4), ({}, 1)])
def test_it_gives_up_after_four_tries_and_at_once_when_not_told(
    run: Run, headers: Mapping[str, str], tries: int
) -> None:
    asked: list[str] = []

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        asked.append(path)
        return Said(503, problem(detail="starting"), headers)

    with answering(answer) as url, pytest.raises(UnavailableError, match="starting"):
        run(url, operations.readiness())
    assert asked == ["/v1/ready"] * tries


@FACES
def test_nobody_listening_and_slowness_are_unavailable(run: Run) -> None:
    with answering(lambda *_: Said()) as url:
        pass
    with pytest.raises(UnavailableError, match="does not answer"):
        run(url, operations.whoami())


def test_a_timeout_is_told_as_one() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    transport = httpx.MockTransport(slow)
    with Client("http://127.0.0.1:1", transport=transport) as client, pytest.raises(UnavailableError, match="too long"):
        client.run(operations.whoami())


@FACES
@pytest.mark.parametrize(
    ("body", "headers", "flow"),
    [
        (b"{", {}, operations.whoami),
        (b"[]", {}, operations.whoami),
        (b"hello", {"Content-Type": "text/plain"}, operations.whoami),
        (b"[]", {}, lambda: operations.create_api_key(["read"])),
        (b"{}", {}, operations.api_keys),
        (b'{"items": {}}', {}, participants.list_all),
        (b"[]", {}, lambda: statements.fetch(DIGEST)),
    ],
)
def test_an_answer_of_another_service_is_malformed(
    run: Run, body: bytes, headers: Mapping[str, str], flow: Callable[[], Flow[Any]]
) -> None:
    with answering(lambda *_: Said(body=body, headers=headers)) as url, pytest.raises(MalformedError):
        run(url, flow())


@pytest.mark.parametrize("url", ["nowhere", "ftp://host", "http://", "http://[::1", "http://host:port"])
def test_what_is_no_url_is_said(url: str) -> None:
    for face in (Client, AsyncClient):
        with pytest.raises(MalformedError, match="CONCORD_URL"):
            face(url)


@FACES
@pytest.mark.parametrize("size_bytes", [9, 3])
def test_a_file_that_changes_while_it_travels_is_a_conflict(run: Run, size_bytes: int, tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"12345")

    def put() -> Flow[None]:
        yield Request("PUT", "/v1/x", body=Upload(file, size_bytes))

    with answering(lambda *_: Said()) as url, pytest.raises(ConflictError, match="changed while it was uploaded"):
        run(url, put())
