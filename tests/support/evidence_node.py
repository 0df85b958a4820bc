"""A JSON-RPC node over a `World`, on loopback: it answers, lies, breaks off or is slow, as a test asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.evidence_world import CODES, CONTRACTS, World, data_hex

Answer = Callable[[str, list[Any]], Any]


def answers_of(world: World) -> Answer:
    """What an honest node of this world answers."""
    codes = {str(CONTRACTS[name]): data_hex(code) for name, code in CODES.items()}

    def answer(method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(world.chain_id)
        if method == "eth_blockNumber":
            return hex(len(world.blocks) - 1)
        if method == "eth_getBlockByNumber":
            number = int(params[0], 16)
            return world.blocks[number].form if number < len(world.blocks) else None
        if method == "eth_getCode":
            return codes.get(params[0], "0x")
        assert method == "eth_getLogs"
        span = range(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16) + 1)
        return [
            log
            for number in span
            for receipt in world.blocks[number].receipts
            for log in receipt["logs"]  # type: ignore[attr-defined]  # a list of events
            if log["address"] == params[0]["address"] and log["topics"][0] in params[0]["topics"][0]
        ]

    return answer


def respond(answer: Answer, body: Any) -> Any:
    """Answer one request or a batch as JSON-RPC does."""
    if isinstance(body, list):
        return [respond(answer, each) for each in reversed(body)]
    return {"jsonrpc": "2.0", "id": body["id"], "result": answer(body["method"], body["params"])}


@contextmanager
def serve(reply: Callable[[Any], tuple[int, bytes]]) -> Iterator[str]:
    """Serve on a free loopback port; ``reply`` gets the parsed body and gives status and answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = reply(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def serve_world(world: World, **lies: Any) -> Iterator[str]:
    """Serve a world; ``lies`` replaces the answers to whole methods."""
    honest = answers_of(world)

    def answer(method: str, params: list[Any]) -> Any:
        return lies[method] if method in lies else honest(method, params)

    with serve(lambda body: (200, json.dumps(respond(answer, body)).encode())) as url:
        yield url
