"""A wire to a node that breaks as it is told: an HTTP proxy that loses answers, cuts, delays, repeats, lies."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from ledger.keccak import keccak256

__all__ = [
    "SEND",
    "BadWire",
    "Fault",
    "Passing",
    "cut",
    "lose_answer",
    "pass_some",
    "pretend_sent",
    "refuse",
    "send_twice",
    "shift_nonce",
    "wait",
]

SEND: Final = "eth_sendRawTransaction"
_ANSWER_S: Final = 30


@dataclass(frozen=True)
class Passing:
    """A request on its way to the node."""

    requests: list[dict[str, Any]]
    is_batch: bool
    forward: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
    healed: threading.Event


Fault = Callable[[Passing], list[dict[str, Any]] | None]
"""What happens to a request: the answers that it gets, or None when the connection is cut."""


def cut(_passing: Passing) -> None:
    """The node never sees it."""
    return


def lose_answer(passing: Passing) -> None:
    """The node sees it and its answer is lost."""
    passing.forward(passing.requests)


def send_twice(passing: Passing) -> list[dict[str, Any]]:
    """The node gets it twice, and the second answer counts."""
    passing.forward(passing.requests)
    return passing.forward(passing.requests)


def wait(seconds: float) -> Fault:
    """The node gets it late, or when the wire is healed."""

    def late(passing: Passing) -> list[dict[str, Any]]:
        passing.healed.wait(seconds)
        return passing.forward(passing.requests)

    return late


def pass_some(count: int) -> Fault:
    """The node gets the first ``count`` requests of a batch, then the connection is cut."""

    def break_off(passing: Passing) -> None:
        passing.forward(passing.requests[:count])

    return break_off


def refuse(code: int, message: str) -> Fault:
    """The node refuses it."""

    def answer(passing: Passing) -> list[dict[str, Any]]:
        return [{"jsonrpc": "2.0", "id": each["id"], "error": {"code": code, "message": message}}
                for each in passing.requests]  # fmt: skip

    return answer


def pretend_sent(places: Collection[int]) -> Fault:
    """The transactions at these places of the batch are taken, answered with their hash, and forgotten."""

    def answer(passing: Passing) -> list[dict[str, Any]]:
        kept = [each for place, each in enumerate(passing.requests) if place not in places]
        answers = {each["id"]: each for each in (passing.forward(kept) if kept else [])}
        return [answers.get(each["id"]) or _forgotten(each) for each in passing.requests]

    return answer


def _forgotten(request: dict[str, Any]) -> dict[str, Any]:
    raw = bytes.fromhex(request["params"][0].removeprefix("0x"))
    return {"jsonrpc": "2.0", "id": request["id"], "result": "0x" + keccak256(raw).hex()}


def shift_nonce(by: int) -> Fault:
    """The node counts an account's transactions wrongly."""

    def answer(passing: Passing) -> list[dict[str, Any]]:
        answers = passing.forward(passing.requests)
        return [each | {"result": hex(int(each["result"], 16) + by)} for each in answers]

    return answer


class BadWire:
    """Listens on a free port of loopback and passes on to ``port``, which may be changed under way."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hits = 0
        self._turn = threading.Condition()
        self._fault: Fault | None = None
        self._methods: frozenset[str] = frozenset()
        self._left = 0
        self._healed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = False  # closing waits for what is under way
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def break_with(self, fault: Fault, *methods: str, times: int = 1 << 30) -> None:
        """From now on requests of these methods (none: all) meet ``fault``, ``times`` times."""
        with self._turn:
            self._fault, self._methods, self._left, self.hits = fault, frozenset(methods), times, 0
            self._healed = threading.Event()

    def heal(self) -> None:
        """Pass everything on again."""
        with self._turn:
            self._fault = None
            self._healed.set()

    def await_hits(self, count: int = 1, timeout_s: float = 90) -> None:
        """Wait until so many requests met the fault. Raises: TimeoutError."""
        with self._turn:
            if not self._turn.wait_for(lambda: self.hits >= count, timeout_s):
                raise TimeoutError(f"{self.hits} requests met the fault, not {count}")

    def answer(self, body: bytes) -> bytes | None:
        """What a request's body gets; None: nothing."""
        document = json.loads(body)
        is_batch = isinstance(document, list)
        requests = document if is_batch else [document]
        fault, healed = self._meet({each["method"] for each in requests})
        try:
            if fault is None:
                return _forward(self.port, body)
            answers = fault(Passing(requests, is_batch, self._ask, healed))
        except (OSError, http.client.HTTPException):
            return None  # the node is gone: its client sees the connection end
        if answers is None:
            return None
        return json.dumps(answers if is_batch else answers[0]).encode()

    def _meet(self, methods: set[str]) -> tuple[Fault | None, threading.Event]:
        with self._turn:
            fits = not self._methods or self._methods & methods
            if self._fault is None or self._left == 0 or not fits:
                return None, self._healed
            self._left -= 1
            self.hits += 1
            self._turn.notify_all()
            return self._fault, self._healed

    def _ask(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = json.loads(_forward(self.port, json.dumps(requests).encode()))
        return answers

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.heal()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _forward(port: int, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def _handler_for(wire: BadWire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection for each request, so that nobody waits for a connection that is kept."""

        def do_POST(self) -> None:
            """Answer, or hang up."""
            answer = wire.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.close_connection = True
            if answer is None:
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            """A client that hung up before its answer came is no error here."""
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

    return Handler
