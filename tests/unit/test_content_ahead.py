"""What threads make while the next items come: in order, and nothing goes on behind whoever stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from ledger.content.ahead import work_ahead


async def numbers(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_everything_comes_in_order(count: int, at_once: int) -> None:
    async def run() -> list[int]:
        return [made async for made in work_ahead(numbers(count), lambda number: number * 2, at_once)]

    assert asyncio.run(run()) == [2 * number for number in range(count)]


def test_one_at_a_time_never_overlaps() -> None:
    at_work = threading.Lock()

    def act(number: int) -> int:
        assert at_work.acquire(blocking=False)
        at_work.release()
        return number

    async def run() -> None:
        async for _ in work_ahead(numbers(50), act):
            pass

    asyncio.run(run())


def test_the_next_item_is_asked_for_while_a_thread_is_at_work() -> None:
    asked = threading.Event()

    async def items() -> AsyncGenerator[int, None]:
        yield 0
        asked.set()
        yield 1

    async def run() -> list[bool]:
        return [made async for made in work_ahead(items(), lambda _: asked.wait(60))]

    assert asyncio.run(run()) == [True, True]


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_goes_wrong_comes_through_after_what_went_well(at_once: int) -> None:
    def act(number: int) -> int:
        if number == 2:
            raise KeyError(number)
        return number

    made = []

    async def run() -> None:
        async for each in work_ahead(numbers(9), act, at_once):
            made.append(each)  # noqa: PERF401 - what came before it fails is looked at

    with pytest.raises(KeyError):
        asyncio.run(run())
    assert made == [0, 1]


def test_whoever_stops_waits_for_the_threads_and_closes_the_items() -> None:
    begun, go_on, ended, closed = threading.Event(), threading.Event(), [], []

    async def items() -> AsyncGenerator[int, None]:
        try:
            yield 0
            await asyncio.to_thread(begun.wait)
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    def act(_: int) -> None:
        begun.set()
        go_on.wait(60)
        ended.append(True)

    async def stop() -> None:
        async def consume() -> None:
            async with aclosing(work_ahead(items(), act)) as made:
                async for _ in made:
                    pass

        task = asyncio.create_task(consume())
        await asyncio.to_thread(begun.wait)
        task.cancel()
        asyncio.get_running_loop().call_later(0, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (ended, closed) == ([True], [True])

    asyncio.run(stop())
