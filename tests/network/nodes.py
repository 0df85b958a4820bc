"""The processes of a network on loopback: started, killed, started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

__all__ = ["Network", "Node", "start_all", "wait_until"]

_START_S: Final = 180  # of four Java machines at once, on two busy cores


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float) -> None:
    """Look again and again. Raises: AssertionError: not in time."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.1)


@dataclass
class Node:
    """One validator: its command, its JSON-RPC and its log file."""

    command: Sequence[str]
    rpc_port: int
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its JSON-RPC."""
        return f"http://127.0.0.1:{self.rpc_port}"

    def ask(self, method: str, *params: object) -> object:
        """One request, past the ledger's own code. Raises: OSError: no answer; AssertionError: an error."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        assert "result" in document, document
        result: object = document["result"]
        return result

    def head(self) -> int:
        """Its newest block; -1 while it does not answer."""
        try:
            return int(str(self.ask("eth_blockNumber")), 16)
        except OSError:
            return -1

    def block_hash(self, number: int) -> object:
        """Hash of one of its blocks; None while it has none of that number."""
        block = self.ask("eth_getBlockByNumber", hex(number), False)
        return block["hash"] if isinstance(block, dict) else None

    def launch(self) -> None:
        """Start its process; `start_all` waits until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                env={**os.environ, **self.environment},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def await_answer(self) -> None:
        """Wait until it answers. Raises: AssertionError: not in time, or it ended."""
        process = self.process
        assert process is not None, f"{self.log.stem} was not started"
        wait_until(lambda: process.poll() is not None or self.head() >= 0, f"{self.log.stem} answers", _START_S)
        assert process.poll() is None, self.log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """SIGKILL, with all that it started."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None


def start_all(nodes: Sequence[Node]) -> None:
    """Start them together, and wait until each answers: alone, none of them makes blocks."""
    for node in nodes:
        node.launch()
    for node in nodes:
        node.await_answer()


class Network(Protocol):
    """Validators on loopback. ``spare`` of them may be dead and the rest goes on.

    ``is_sealed``: its blocks have seals that the verifier knows.
    """

    nodes: list[Node]
    spare: int
    gas_price_wei: int
    finality_blocks: int
    is_sealed: bool

    def connect(self) -> None:
        """Let every running node know the others."""
        ...

    def fund(self, amounts: Mapping[str, int]) -> None:
        """Give accounts a balance, in wei."""
        ...
