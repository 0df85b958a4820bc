"""How the client travels: errors by status and code, and tries again when told."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ledger.client import AsyncClient, Client, Flow, Identity, LocalKey, operations, participants, statements, transport
from ledger.client.flow import Answer, Download, Request, Upload
from ledger.client.problems import AtWorkError, error_of
from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    VerificationError,
)
from ledger.statements import Statement
from ledger.surface.problems import REFUSED_TITLE
from ledger.types import Bytes32
from tests.support.answering import FACES, Run, Said, answering
from tests.support.prepared import DOMAINS

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
        (409, problem(code="sharing-agreements-wrong-state", title=REFUSED_TITLE, detail="no"), RefusedError, "no"),
        (409, problem(code="transfer-salt-used", detail="draw another"), ConflictError, "draw another"),
        (409, b"", ConflictError, "the service answered 409"),
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


def test_what_an_error_says_can_be_kept_whatever_it_was_sent_as() -> None:
    half = error_of(403, {}, b'{"detail":"\\ud800","code":"a"}')
    assert str(half) == "the service answered 403"
    nul = error_of(403, {}, b'{"detail":"a\\u0000b","code":"' + b"c" * 100 + b'"}')
    assert isinstance(nul, RefusedError)
    assert (str(nul), nul.code) == ("a\N{REPLACEMENT CHARACTER}b", "c" * 64)
    assert len(str(error_of(403, {}, b'{"detail":"' + b"d" * 9000 + b'"}'))) == 2000


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


@dataclass
class Flaky:
    """A service whose answers are lost, as it is told: an exception is raised for it, else the status is answered."""

    happens: list[Exception | int]
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        happens = self.happens.pop(0)
        if isinstance(happens, Exception):
            raise happens
        return httpx.Response(happens, json={"code": "idempotency-key-in-use", "detail": "not answered yet"})


def run_flaky(flaky: Flaky, flow: Flow[Any], *, is_async: bool) -> Any:
    transport = httpx.MockTransport(flaky)
    if not is_async:
        with Client("http://127.0.0.1:1", transport=transport) as client:
            return client.run(flow)

    async def run() -> Any:
        async with AsyncClient("http://127.0.0.1:1", transport=transport) as client:
            return await client.run(flow)

    return asyncio.run(run())


def write(repeating: str | None = "again with the same key") -> Flow[Answer]:
    return (yield Request("POST", "/v1/grants", json={}, headers={"Idempotency-Key": "k"}, repeating=repeating))


BROKEN: Final = httpx.ReadError("broken")
REFUSED: Final = httpx.ConnectError("refused")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.client.transport._AGAIN_AFTER_S", 0.0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_write_whose_answer_was_lost_is_sent_again(is_async: bool) -> None:
    flaky = Flaky([BROKEN, REFUSED, 409, 202])
    assert run_flaky(flaky, write(), is_async=is_async).status == 202
    assert [each.headers["Idempotency-Key"] for each in flaky.asked] == ["k"] * 4


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("happens", "tries", "words"),
    [
        ([BROKEN] * 4, 4, "may have been taken all the same. again with the same key"),
        ([BROKEN, REFUSED, REFUSED, REFUSED], 4, "may have been taken all the same. again with the same key"),
        ([BROKEN, 409, 409, 409], 4, "may have been taken all the same. again with the same key"),
        ([BROKEN, 500], 2, "may have been taken all the same. again with the same key"),
        ([httpx.ReadTimeout("slow")], 1, "may have been taken all the same. again with the same key"),
        ([REFUSED], 1, "is the service running"),
    ],
)
def test_what_became_of_a_write_is_not_known_without_an_answer(
    happens: list[Exception | int], tries: int, words: str
) -> None:
    flaky = Flaky(list(happens))
    with pytest.raises(UnavailableError) as refused:
        run_flaky(flaky, write(), is_async=False)
    assert words in str(refused.value)
    assert len(flaky.asked) == tries


def test_what_is_not_safe_to_repeat_is_not_repeated() -> None:
    flaky = Flaky([BROKEN])
    with pytest.raises(UnavailableError, match=r"may have been taken all the same\. Look whether it was done"):
        run_flaky(flaky, write(None), is_async=False)
    reading = Flaky([BROKEN])
    with pytest.raises(UnavailableError, match="is the service running"):
        run_flaky(reading, operations.whoami(), is_async=False)


@pytest.mark.usefixtures("at_once")
def test_a_custodial_statement_names_its_key_and_a_signed_one_its_digest() -> None:
    flaky = Flaky([BROKEN] * 4)
    with pytest.raises(UnavailableError) as refused:
        run_flaky(flaky, statements.state("AccessGrant", {}), is_async=False)
    [key] = {each.headers["Idempotency-Key"] for each in flaky.asked}
    assert f"with the same Idempotency-Key ({key})" in str(refused.value)
    identity = Identity(LocalKey(bytes([7]) * 32), DOMAINS)
    statement = Statement.build("ParticipantRetirement", participant=DIGEST, deadline=1, salt=DIGEST)
    flaky = Flaky([BROKEN] * 4)
    with pytest.raises(UnavailableError, match=f"statement show {statement.digest(DOMAINS)}"):
        run_flaky(flaky, statements.submit(statement, identity), is_async=False)


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


@FACES
@pytest.mark.parametrize(("status", "error"), [(200, MalformedError), (404, MalformedError), (503, MalformedError)])
def test_no_more_of_an_answer_is_read_than_was_asked_for(run: Run, status: int, error: type[LedgerError]) -> None:
    def flow() -> Flow[Answer]:
        return (yield Request("GET", "/x", most_bytes=100))

    size = 101 if status == 200 else (1 << 20) + 1
    with answering(lambda *_: Said(status, b"x" * size)) as url, pytest.raises(error, match="more than"):
        run(url, flow())


@FACES
@pytest.mark.parametrize(
    ("status", "headers", "first"),
    [
        (302, {"Location": "/y"}, 0),
        (204, {}, 0),
        (200, {}, 7),
        (206, {}, 7),
        (206, {"Content-Range": "bytes 70-79/80"}, 7),
    ],
)
def test_a_download_is_what_was_asked_for(run: Run, status: int, headers: Mapping[str, str], first: int) -> None:
    taken: list[bytes] = []

    def flow() -> Flow[Answer]:
        return (yield Request("GET", "/x", download=Download(taken.append, first)))

    body = b"" if status == 204 else b"bytes"
    with answering(lambda *_: Said(status, body, headers)) as url, pytest.raises(MalformedError, match="asked for"):
        run(url, flow())
    assert not taken


@FACES
def test_a_service_at_work_is_asked_until_it_is_done(run: Run) -> None:
    asked, told = list[str](), list[str]()

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        asked.append(path)
        working = problem(code="sealing-under-way", detail=f"sealing {len(asked)}")
        return Said(503, working, {"Retry-After": "0"}) if len(asked) < 9 else Said()

    def flow() -> Flow[Answer]:
        return (yield Request("POST", "/x", told=told.append))

    with answering(answer) as url:
        run(url, flow())
    assert told == [f"sealing {number}" for number in range(1, 9)]


def bounded(**members: Any) -> Flow[Answer]:
    return (yield Request("GET", "/v1/anything", most_bytes=10, **members))


@FACES
def test_an_answer_is_no_larger_than_was_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_MOST_OF_PROBLEM", 50)
    said = iter([Said(body=b'"01234567"'), Said(body=b'"012345678"'), Said(404, problem(detail="x" * 50))])
    with answering(lambda *_: next(said)) as url:
        assert run(url, bounded()).json == "01234567"
        with pytest.raises(MalformedError, match="more than 10 bytes"):
            run(url, bounded())
        with pytest.raises(MalformedError, match="more than 50 bytes"):
            run(url, bounded())


@FACES
def test_where_the_size_is_bounded_nothing_comes_packed(run: Run) -> None:
    packed = Said(body=gzip.compress(bytes(1 << 20)), headers={"Content-Encoding": "gzip"})
    with answering(lambda *_: packed) as url:
        for members in ({}, {"download": Download(lambda _: pytest.fail("it was unpacked"))}):
            with pytest.raises(MalformedError, match="not asked for"):
                run(url, bounded(**members))


@FACES
def test_a_redirect_is_not_followed(run: Run) -> None:
    asked: list[str] = []

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        asked.append(path)
        return Said(302, b"", {"Location": "/elsewhere"})

    with answering(answer) as url:
        for members in ({}, {"download": Download(lambda _: pytest.fail("nothing was sent"))}):
            with pytest.raises(MalformedError, match="302, a redirect, which is not followed"):
                run(url, bounded(**members))
    assert asked == ["/v1/anything"] * 2


@pytest.mark.parametrize(("most_waits", "asked"), [(0, 4), (2, 6)])
def test_who_has_other_work_waits_for_a_service_at_work_as_often_as_it_said(most_waits: int, asked: int) -> None:
    working = Said(503, problem(code="sealing-under-way", detail="sealing"), {"Retry-After": "0"})
    paths: list[str] = []

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> Said:
        paths.append(path)
        return working

    async def ask(url: str) -> Answer:
        async with AsyncClient(url, most_waits=most_waits) as client:
            return await client.run(bounded())

    with answering(answer) as url, pytest.raises(AtWorkError, match="sealing") as caught:
        asyncio.run(ask(url))
    assert (len(paths), caught.value.code) == (asked, "sealing-under-way")
