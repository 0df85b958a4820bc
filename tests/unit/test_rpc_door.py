"""The door to the chain's JSON-RPC: few at once, the rest is told when to come back."""

from __future__ import annotations

import threading

import anyio
import pytest

from api.operations.door import Door
from ledger.errors import UnavailableError


def test_few_run_some_wait_and_the_rest_is_turned_away() -> None:
    running, most, lock, go_on = 0, 0, threading.Lock(), threading.Event()

    def answer() -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go_on.wait(10)
        with lock:
            running -= 1
        return b"{}"

    async def crowd() -> list[bytes]:
        door, answers = Door(), list[bytes]()

        async def ask() -> None:
            answers.append(await door.run(answer))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UnavailableError, match="come back soon") as refused:
                await door.run(answer)
            assert refused.value.retry_after_s == 2.0
            go_on.set()
        assert await door.run(answer) == b"{}"  # there is room again
        return answers

    assert anyio.run(crowd) == [b"{}"] * 20
    assert most == 4
