"""The load generator, a process of its own: ``python -m bench.load LOAD.json`` prints what it saw as JSON.

It reads statements that were signed ahead and submits them through the client, so many at a time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ledger.client import AsyncClient, Identity, parse_domains, statements
from ledger.keccak import keccak256
from ledger.statements import Statement
from ledger.types import Address, Bytes32

__all__ = ["Load", "LoadResult", "SignedAhead", "main", "percentile"]


@dataclass(frozen=True)
class Load:
    """What to submit: ``messages`` of one type, the signature of each by its digest, and as whom."""

    url: str
    token: str
    concurrency: int
    consortium: Mapping[str, Any]
    type_name: str
    signer: str
    messages: Sequence[Mapping[str, Any]]
    signatures: Mapping[str, str]

    def write(self, path: Path) -> None:
        """Write it for the generator."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Load:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_bytes()))


@dataclass(frozen=True)
class LoadResult:
    """What the generator saw, from the first request to the last answer; ``last`` is the last in the log."""

    accepted: int
    last: str
    elapsed_s: float
    cpu_s: float
    median_s: float
    slowest_hundredth_s: float


class SignedAhead:
    """A signer whose signatures were made before."""

    def __init__(self, address: Address, signatures: Mapping[str, str]) -> None:
        self._address = address
        self._signatures = signatures

    @property
    def address(self) -> Address:
        """The key's address."""
        return self._address

    def sign(self, digest: Bytes32) -> bytes:
        """The signature made ahead. Raises: KeyError: there is none of that digest."""
        return bytes.fromhex(self._signatures[str(digest)])

    def sign_payload(self, payload: bytes) -> bytes:
        """The signature made ahead of what it is hashed to. Raises: KeyError."""
        return self.sign(Bytes32(keccak256(payload)))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed (nearest rank). Raises: ValueError: there are none."""
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile takes values, and a share above 0 and at most 1")
    rank = -(-share * len(values) // 1)
    return sorted(values)[int(rank) - 1]


async def _submit_all(load: Load) -> LoadResult:
    identity = Identity(SignedAhead(Address.parse(load.signer), load.signatures), parse_domains(dict(load.consortium)))
    waiting = [Statement.parse(load.type_name, dict(message)) for message in reversed(load.messages)]
    latencies: list[float] = []
    indices: dict[int, str] = {}

    async def work(client: AsyncClient) -> None:
        while waiting:
            statement, began = waiting.pop(), time.perf_counter()
            outcome = await client.run(statements.submit(statement, identity))
            latencies.append(time.perf_counter() - began)
            indices[outcome.index] = str(outcome.digest)

    async with AsyncClient(load.url, load.token) as client:
        started, cpu_started = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(load.concurrency):
                tasks.create_task(work(client))
        elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    median_s, slow_s = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return LoadResult(len(indices), indices[max(indices)], elapsed_s, cpu_s, median_s, slow_s)


def main(path: Path) -> None:
    """Submit a load and print the result."""
    print(json.dumps(asdict(asyncio.run(_submit_all(Load.read(path))))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
