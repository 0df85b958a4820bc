"""A real anvil that can be killed, started again and told to lose blocks: a fine generator of faults."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from tests.support.chain import ANVIL, ANVIL_CHAIN_ID
from tests.support.ports import draw_ports

__all__ = ["Anvil"]

_START_S: Final = 90


class Anvil:
    """A zero-fee node that mines a block as soon as a transaction comes; its state is kept when it is stopped."""

    def __init__(self, folder: Path, chain_id: int = ANVIL_CHAIN_ID) -> None:
        self.chain_id = chain_id
        self._state = folder / f"anvil-{chain_id}.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0
        # Each start makes a first block anew; of the same moment it is the same as the one that was kept.
        self._born_at = int(time.time())
        [self.port] = draw_ports(1)

    def start(self) -> None:
        """Start it on its port, from what it kept, and wait until it answers."""
        command = [
            *(str(_find_binary()), "--port", str(self.port), "--chain-id", str(self.chain_id), "--silent"),
            *("--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee"),
            *("--timestamp", str(self._born_at), "--state", str(self._state)),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self.ask("evm_setTime", hex(int(time.time())))
                self._first = self.head()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL: blocks since its start, and its pool, are lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGINT: blocks are kept, its pool is lost."""
        self._end(signal.SIGINT)

    def keep(self, path: Path) -> None:
        """Copy what the last stop kept."""
        shutil.copyfile(self._state, path)

    def bring_back(self, path: Path) -> None:
        """Put an older state in place of what was kept; it counts from the next start."""
        shutil.copyfile(path, self._state)

    def ask(self, method: str, *params: object) -> Any:
        """The result of a JSON-RPC request. Raises: OSError, RuntimeError: it answered an error."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def head(self) -> int:
        """Number of its newest block."""
        return int(self.ask("eth_blockNumber"), 16)

    def mined(self) -> int:
        """How many blocks it has made since its start."""
        return self.head() - self._first

    def mine(self, blocks: int = 1) -> None:
        """Add empty blocks, or blocks of what waits in the pool."""
        self.ask("anvil_mine", hex(blocks))

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_S)
            self._process = None


def _find_binary() -> Path:
    """The native program: npm's launcher would be the one that a signal ends."""
    packages = ANVIL.parent.parent / "@foundry-rs"
    return next(packages.glob("anvil-*/bin/anvil"), ANVIL)
