"""The program of a checking process: ``python -m ledger.checking.worker``.

Frames go over standard input and output, each after its length as a big-endian uint32: the first one in is the
consortium's domains as JSON, every other a block of lines, answered by its records. It ends when its input ends, so
that it never outlives whoever started it, however that one died.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from typing import BinaryIO

from ledger.checking.lines import LineChecker
from ledger.checking.records import encode_records
from ledger.statements import Domains
from ledger.types import Address

__all__ = ["encode_domains", "main", "read_frame", "write_frame"]

_LENGTH = 4
_COLLECT_AFTER = 50_000
_NICENESS = 10
"""The log's one writer, and every other request, goes before those who check: there are as many of them as cores."""


def encode_domains(domains: Domains) -> bytes:
    """The first frame."""
    contracts = {name: str(address) for name, address in domains.contracts.items()}
    return json.dumps({"chain_id": str(domains.chain_id), "contracts": contracts}).encode()


def _parse_domains(raw: bytes) -> Domains:
    value = json.loads(raw)
    return Domains(
        int(value["chain_id"]), {name: Address.parse(address) for name, address in value["contracts"].items()}
    )


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None at the end, also one that cuts a frame short."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head, "big")
    frame = stream.read(size)
    return frame if len(frame) == size else None


def write_frame(stream: BinaryIO, frame: bytes) -> None:
    """Write one frame. Raises: OSError."""
    stream.write(len(frame).to_bytes(_LENGTH, "big"))
    stream.write(frame)
    stream.flush()


def main() -> None:
    """Answer blocks until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: whoever started it ends it
    os.nice(_NICENESS)
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    first = read_frame(given)
    if first is None:
        return
    checker = LineChecker(_parse_domains(first))
    # What is loaded by now stays, and records hold no cycles: the collector has little to look for.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    while (block := read_frame(given)) is not None:
        write_frame(answers, encode_records(checker.check_block(block)))


if __name__ == "__main__":
    main()
