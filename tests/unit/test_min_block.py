"""Requests that wait for a block: few at once, and one look at the database for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import pytest

from api.min_block import BlockNotIndexedError, _Waits


@dataclass
class Index:
    """A cursor that a test moves; counts who looks."""

    block: int = 5
    looks: int = 0
    told: list[int] = field(default_factory=list)

    def read(self) -> int:
        self.looks += 1
        return self.block


def test_those_who_wait_look_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.min_block._LOOK_AGAIN_S", 0.01)
    index, count = Index(), 20

    async def follow() -> None:
        waits = _Waits(index.read)

        async def ask() -> None:
            index.told.append(await waits.until(6))

        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(ask)
            while index.looks < 3:  # noqa: ASYNC110 - what is under test sets no event
                await anyio.sleep(0.001)
            assert waits._waiting == count
            index.block = 7
        assert waits._waiting == 0

    anyio.run(follow)
    assert index.told == [7] * count
    assert index.looks < 3 * count


def test_beyond_a_number_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.min_block._MOST_WAITING", 2)
    index = Index()

    async def crowd() -> None:
        waits = _Waits(index.read)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(waits.until, 6)
            while waits._waiting < 2:  # noqa: ASYNC110 - as above
                await anyio.sleep(0.001)
            with pytest.raises(BlockNotIndexedError, match="too many requests wait") as refused:
                await waits.until(6)
            assert refused.value.retry_after_s == 1
            assert await waits.until(5) == 5  # this one has not to wait
            index.block = 6
        assert await waits.until(6) == 6

    anyio.run(crowd)


def test_a_block_that_does_not_come_is_not_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.min_block._LONGEST_WAIT_S", 0.0)
    with pytest.raises(BlockNotIndexedError, match="block 6 is asked for and block 5 is indexed: come back"):
        anyio.run(_Waits(Index().read).until, 6)
