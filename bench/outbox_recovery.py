"""A process killed with transactions in flight, and another that finds out what became of them.

``python -m bench.outbox_recovery`` is the one that dies: it hands what the outbox holds to the node, and is killed
before it could note that. When the node has executed all, the other one starts with nothing but what was stored.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.outbox import World, still, still_at
from ledger.chain import SignedTransaction, encode_statement
from ledger.errors import UnavailableError
from ledger.exchange import Gateway, GatewaySettings

__all__ = ["RecoveryFigures", "measure_recovery"]

_WITHIN_S: Final = 900.0
_LOOK_AGAIN_S: Final = 0.02


@dataclass(frozen=True)
class RecoveryFigures:
    """How many rows were in flight, and how long it took until each had its outcome, opening the gateway included."""

    rows: int
    elapsed_s: float


def measure_recovery(world: World, rows: int) -> RecoveryFigures:
    """Kill and recover. Raises: LedgerError."""
    world.anvil.ask("evm_setAutomine", False)
    _put_in_flight(world, rows)
    started = time.perf_counter()
    with still(world) as gateway:
        opened_s = time.perf_counter() - started
        _execute(world, gateway, rows)
        started = time.perf_counter()
        while gateway.parts.store.outbox.depth():
            if not gateway._submitter.step():
                time.sleep(_LOOK_AGAIN_S)
        return RecoveryFigures(rows, opened_s + time.perf_counter() - started)


def _put_in_flight(world: World, rows: int) -> None:
    """Store them signed, and let a process send them and die."""
    with still(world) as gateway:
        signed = world.draw(rows)
        digests = world.accept(gateway, signed)
        calls = [encode_statement(world.founded.contracts, each) for each in signed]
        named = [(str(digest), call) for digest, call in zip(digests, calls, strict=True)]
        gateway._submitter._store_signed([(gateway.parts.relay, named)])
    given = json.dumps({"home": str(world.home), "passphrase": world.settings().passphrase})
    command = [sys.executable, "-m", "bench.outbox_recovery"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given + "\n")
        process.stdin.flush()
        told = process.stdout.readline()
        process.kill()
    if told.strip() != "sent":
        raise UnavailableError("the process that was to die in flight ended before")


def _execute(world: World, gateway: Gateway, rows: int) -> None:
    """Let the node execute what it was handed; nobody looks meanwhile."""
    relay, deadline = gateway.parts.relay.address, time.monotonic() + _WITHIN_S
    while gateway.parts.edge.nonce(relay) < gateway.parts.store.outbox.next_nonce(relay, 0):
        if time.monotonic() > deadline:
            raise UnavailableError(f"anvil did not execute {rows} transactions in {_WITHIN_S:.0f} s: ask for fewer")
        world.anvil.mine()


def _send_and_wait() -> None:
    given = json.loads(sys.stdin.readline())
    with still_at(GatewaySettings(Path(given["home"]), given["passphrase"])) as gateway:
        parts = gateway.parts
        rows = parts.store.outbox.take(parts.relay.address, limit=1 << 30, resend_before=datetime.now(UTC))
        answers = parts.edge.send([SignedTransaction(row.relay, row.nonce, row.raw, row.hash) for row in rows])
        print("refused" if any(answers) else "sent", flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    _send_and_wait()
