"""A process that fills an embedded chain until it is killed: ``python -m tests.support.chain_writer FOLDER WHERE``.

Before each batch it says ``sending``, after it the new head's number, hash and the hashes of the batch. With ``WHERE``
a number N above 0 it kills itself with SIGKILL right after the N-th write to the file, inside a block.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ledger.chain import ChainEdge, ChainSettings, LocalSigner
from ledger.chain.embedded.keyvalue import KeyValueFile
from tests.support.chain import CHAIN_ID

KEY = b"\x0b" * 32
BATCH = 5


def main(folder: Path, kill_at: int) -> None:
    relay = LocalSigner(KEY)
    edge = ChainEdge.open(ChainSettings("embedded", CHAIN_ID, folder=folder))
    if kill_at:
        _arm(kill_at)
    nonce = edge.nonce(relay.address)
    while True:
        _say("sending")
        flight = [edge.sign_noop(relay, nonce + offset) for offset in range(BATCH)]
        assert edge.send(flight) == [None] * BATCH
        nonce += BATCH
        head = edge.head()
        _say(head.number, head.hash, *(each.hash for each in flight))


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def _arm(kill_at: int) -> None:
    count = 0
    write = KeyValueFile.__setitem__

    def counting(self: KeyValueFile, key: bytes, value: bytes) -> None:
        nonlocal count
        count += 1
        write(self, key, value)
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    KeyValueFile.__setitem__ = counting  # type: ignore[method-assign]  # the fault itself


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
