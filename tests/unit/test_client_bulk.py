"""The bulk client against a real HTTP server that speaks the wire: order, retries, cuts, checks, both faces."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.client import bulk
from ledger.client.bulk import Accepted, Answer, Checkpointed, Done, Refused, Restarted, Source
from ledger.client.duplex import Duplex
from ledger.errors import LedgerError, MalformedError, RefusedError, UnavailableError, VerificationError
from ledger.log import NoteSigner
from tests.support.bulk_wire import BulkWire, digest_of, serving_wire

Send = Callable[..., list[Answer]]
LINES: Final = [b"statement %d" % number for number in range(1, 11)]


def send_sync(*arguments: Any, **options: Any) -> list[Answer]:
    return list(bulk.send(*arguments, **options))


def send_async(*arguments: Any, **options: Any) -> list[Answer]:
    async def run() -> list[Answer]:
        return [answer async for answer in bulk.send_async(*arguments, **options)]

    return asyncio.run(run())


FACES = pytest.mark.parametrize("send", [send_sync, send_async])


def of(kind: type[Any], answers: list[Answer]) -> list[Any]:
    return [answer for answer in answers if isinstance(answer, kind)]


@FACES
def test_each_line_is_answered_and_checkpoints_are_checked(send: Send, tmp_path: Path) -> None:
    file, wire, sent = tmp_path / "signed.ndjson", BulkWire(), []
    file.write_bytes(b"\n".join([*LINES[:3], b"", b"bad", b"a worse bad", *LINES[3:], LINES[0]]))
    with serving_wire(wire) as url:
        answers = send(
            url, "ck_abc", Source.of_file(file),
            log_keys=[NoteSigner.generate("another").verifier_key, wire.signer.verifier_key],
            on_sent=lambda lines, size: sent.append((lines, size)),
        )  # fmt: skip
    accepted, refused = of(Accepted, answers), of(Refused, answers)
    assert [(each.line, each.index) for each in accepted[:4]] == [(1, 0), (2, 1), (3, 2), (7, 3)]
    assert accepted[0].digest == digest_of(LINES[0])
    assert (accepted[-1].line, accepted[-1].index, accepted[-1].repeated) == (14, 0, True)
    assert [(each.line, each.text, each.digest is None) for each in refused] == [
        (5, b"bad", False),
        (6, b"a worse bad", True),
    ]
    assert refused[0].problem == {"code": "malformed", "detail": "it is bad"}
    assert [(each.first_index, each.count) for each in of(Checkpointed, answers)] == [(0, 4), (4, 4), (8, 2)]
    assert answers[-1] == Done(lines=14, accepted=10, repeated=1, refused=2)
    assert sent[-1] == (14, file.stat().st_size)
    request = wire.requests[0]
    assert (request["path"], request["authorization"]) == ("/v1/statements:batch", "Bearer ck_abc")
    assert request["content-type"] == "application/x-ndjson"


@FACES
def test_nothing_is_done_at_once(send: Send, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with serving_wire(BulkWire()) as url:
        assert send(url, None, Source.of_file(tmp_path / "empty")) == [Done(0, 0, 0, 0)]
        assert send(url, None, Source.of_lines([b"", b""])) == [Done(2, 0, 0, 0)]


@FACES
def test_full_buffers_do_not_stop_it(send: Send) -> None:
    wire = BulkWire(padding=64_000, batch=1000)
    lines = [b"%06d" % number + b"x" * 16_000 for number in range(400)]
    with serving_wire(wire) as url:
        answers = send(url, None, Source.of_lines(lines))
    assert answers[-1] == Done(400, 400, 0, 0)


@FACES
def test_a_cut_connection_is_sent_anew_from_the_start(send: Send) -> None:
    wire = BulkWire(cuts=[6], closings=[9])
    with serving_wire(wire) as url:
        answers = send(url, None, Source.of_lines(LINES), log_keys=[wire.signer.verifier_key])
    restarts = of(Restarted, answers)
    assert "was cut" in restarts[0].reason
    assert (restarts[1].reason, restarts[1].pause_s) == ("the gateway is closing", 0)
    last = answers[answers.index(restarts[1]) + 1 :]  # of what was cut, answers that were under way are lost
    assert [each.line for each in of(Accepted, last)] == list(range(1, 11))
    assert answers[-1] == Done(lines=10, accepted=2, repeated=8, refused=0)
    assert sorted(wire.log) == sorted(LINES)


def test_a_service_that_was_killed_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Duplex.open, list[str]()

    async def opening(url: str) -> Duplex:
        calls.append(url)
        if 1 < len(calls) < 8:
            raise UnavailableError("nobody listens")
        return await real(url)

    monkeypatch.setattr(Duplex, "open", opening)
    monkeypatch.setattr(bulk, "_FIRST_PAUSE_S", 0.0)
    wire = BulkWire(cuts=[1])
    with serving_wire(wire) as url:
        answers = send_sync(url, None, Source.of_lines(LINES))
    assert [each.reason for each in of(Restarted, answers)][1:] == ["nobody listens"] * 6
    assert answers[-1] == Done(10, 10, 0, 0)


@FACES
def test_it_comes_back_when_the_service_says_when(send: Send) -> None:
    wire = BulkWire(busy=2)
    with serving_wire(wire) as url:
        answers = send(url, None, Source.of_lines(iter(LINES)))
    assert [each.reason for each in of(Restarted, answers)] == ["another import is under way"] * 2
    assert answers[-1] == Done(10, 10, 0, 0)


@FACES
def test_it_gives_up_on_what_does_not_move(send: Send) -> None:
    wire = BulkWire(busy=9)
    with serving_wire(wire) as url, pytest.raises(UnavailableError, match="another import"):
        send(url, None, Source.of_lines(LINES))
    assert len(wire.requests) == 5


@FACES
@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [(503, {}, UnavailableError), (401, {}, RefusedError), (403, {"Retry-After": "0"}, RefusedError)],
)
def test_what_says_no_is_not_asked_again(
    send: Send, status: int, headers: dict[str, str], kind: type[LedgerError]
) -> None:
    wire = BulkWire(busy=1, status=status, headers=headers)
    with serving_wire(wire) as url, pytest.raises(kind, match="another import"):
        send(url, None, Source.of_lines(LINES))
    assert len(wire.requests) == 1


@FACES
def test_what_can_be_read_once_is_not_sent_again(send: Send) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\n".join(LINES))
    os.close(writing)
    with serving_wire(BulkWire(cuts=[4])) as url, pytest.raises(UnavailableError, match="was cut"):
        send(url, None, Source.of_descriptor(reading))
    os.close(reading)


@FACES
def test_a_source_that_can_not_be_read_is_told(send: Send, tmp_path: Path) -> None:
    def lines() -> Iterator[bytes]:
        yield b"x" * 300_000
        raise LookupError("no more")

    with serving_wire(BulkWire()) as url:
        with pytest.raises(FileNotFoundError):
            send(url, None, Source.of_file(tmp_path / "none"))
        with pytest.raises(LookupError, match="no more"):
            send(url, None, Source.of_lines(lines()))


def test_whoever_stops_listening_ends_the_transfer() -> None:
    lines = [b"%04d" % number + b"x" * 4_000 for number in range(5_000)]
    wire = BulkWire()
    with serving_wire(wire) as url:
        answers = bulk.send(url, None, Source.of_lines(lines))
        assert next(answers) == Accepted(1, digest_of(lines[0]), 0, repeated=False)
        answers.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(wire.log) < len(lines)


@FACES
@pytest.mark.parametrize(
    ("replace", "kind", "words"),
    [
        (lambda _: b"{", MalformedError, "is none"),
        (lambda _: b"[]", MalformedError, "is none"),
        (lambda _: b'{"line": 1, "index": 0, "digest": "0xab"}', MalformedError, "32"),
        (lambda answer: json.dumps(answer | {"line": 99}).encode(), MalformedError, "line 99, which was not sent"),
        (lambda _: b"x" * 4_000_000, MalformedError, "does not end"),
        (lambda answer: b"" if "done" in answer else json.dumps(answer).encode(), UnavailableError, "cut off"),
        (lambda answer: json.dumps(answer | {"lines": 1}).encode(), UnavailableError, "answered 1 lines of 10"),
    ],
)
def test_answers_that_are_none_are_told(
    send: Send, replace: Callable[[dict[str, Any]], bytes], kind: type[LedgerError], words: str
) -> None:
    with serving_wire(BulkWire(replace=replace)) as url, pytest.raises(kind, match=words):
        send(url, None, Source.of_lines(iter(LINES)))


@FACES
def test_a_lying_log_is_caught(send: Send) -> None:
    wire, other = BulkWire(), NoteSigner.generate("log.example/wire")
    with serving_wire(wire) as url, pytest.raises(VerificationError, match="not signed by"):
        send(url, None, Source.of_lines(LINES), log_keys=[other.verifier_key])
    wire = BulkWire(missing_from_checkpoints=1)
    with serving_wire(wire) as url, pytest.raises(VerificationError, match="does not cover entry 3"):
        send(url, None, Source.of_lines(LINES), log_keys=[wire.signer.verifier_key])
    wire = BulkWire(replace=lambda answer: b"" if "checkpoint" in answer else json.dumps(answer).encode())
    with serving_wire(wire) as url, pytest.raises(VerificationError, match="no signed checkpoint covers"):
        send(url, None, Source.of_lines(LINES), log_keys=[wire.signer.verifier_key])


@FACES
def test_nobody_listening_is_unavailable(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(UnavailableError, match="does not answer"):
        send(f"http://127.0.0.1:{port}", None, Source.of_lines(LINES))
    with pytest.raises(MalformedError, match="CONCORD_URL"):
        send("nowhere", None, Source.of_lines(LINES))


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_what_speaks_no_http_is_unavailable(said: bytes) -> None:
    def answer(sock: socket.socket) -> None:
        connection, _ = sock.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=answer, args=(sock,))
        thread.start()
        with pytest.raises(UnavailableError):
            send_sync(f"http://127.0.0.1:{sock.getsockname()[1]}", None, Source.of_lines(LINES))
        thread.join()


def test_a_server_without_continue_gets_the_body_and_silence_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.client.duplex._CONTINUE_S", 0.01)
    monkeypatch.setattr("ledger.client.bulk._SILENCE_S", 0.2)
    received = bytearray()

    def swallow(sock: socket.socket) -> None:
        connection, _ = sock.accept()
        with connection:
            while piece := connection.recv(1000):
                received.extend(piece)

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=swallow, args=(sock,))
        thread.start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="silent for 0 s and owes 10 answers"):
            send_sync(url, None, Source.of_lines(iter(LINES)))
        thread.join()
    assert LINES[-1] in received


def test_a_server_may_answer_when_it_has_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.client.duplex._CONTINUE_S", 0.01)
    done = b'{"done": true, "lines": 1, "accepted": 0, "repeated": 0, "refused": 0}\n'

    def answer(sock: socket.socket) -> None:
        connection, _ = sock.accept()
        with connection:
            received = b""
            while not received.endswith(b"0\r\n\r\n"):
                received += connection.recv(1000)
            connection.sendall(
                b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(done)
            )
            connection.sendall(done)

    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=answer, args=(sock,))
        thread.start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/concord/"
        assert send_sync(url, None, Source.of_lines([b""])) == [Done(1, 0, 0, 0)]
        thread.join()
