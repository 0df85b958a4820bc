"""Sealings that the service makes by itself: each once, for whoever asks, and stopped cleanly."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.exchange.sealed_version import SealedVersion
from ledger.exchange.sealing_work import SealingUnderWayError, SealingWork
from ledger.types import Bytes32
from tests.support.waiting import eventually

FIRST, SECOND = Bytes32(b"\1" * 32), Bytes32(b"\2" * 32)
MADE = cast("SealedVersion", object())


class Maker:
    """Makes a sealing once it may."""

    def __init__(self) -> None:
        self.may, self.began, self.stopped = threading.Event(), 0, 0
        self.refusals: list[Exception] = []

    async def __call__(self, _registration: Bytes32) -> SealedVersion:
        self.began += 1
        if self.refusals:
            raise self.refusals.pop()
        try:
            await asyncio.to_thread(self.may.wait, 90)
        except asyncio.CancelledError:
            self.may.set()  # or its thread would wait on
            await asyncio.to_thread(self._stop)
            raise
        return MADE

    def _stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def work(maker: Maker) -> Iterator[SealingWork]:
    made = SealingWork(maker, wait_s=0.01)
    yield made
    made.close()


def ask(work: SealingWork, registration: Bytes32 = FIRST) -> Any:
    return asyncio.run(work.sealed(registration))


def test_it_goes_on_when_whoever_asked_has_gone(maker: Maker, work: SealingWork) -> None:
    for _ in range(2):
        with pytest.raises(SealingUnderWayError, match="ask again") as caught:
            ask(work)
        assert caught.value.retry_after_s
    maker.may.set()
    work.wait_s = 30
    assert ask(work) is MADE
    assert maker.began == 1
    assert ask(work) is MADE
    assert maker.began == 2


def test_what_is_refused_is_told_and_asked_anew(maker: Maker, work: SealingWork) -> None:
    work.wait_s = 30
    maker.refusals.append(NotFoundError("no such version"))
    with pytest.raises(NotFoundError):
        ask(work)
    maker.may.set()
    maker.refusals.append(ConflictError("it is just being replaced", code="sealing-under-way"))
    assert ask(work) is MADE
    maker.refusals.append(ConflictError("not uploaded", code="not-uploaded"))
    with pytest.raises(ConflictError, match="not uploaded"):
        ask(work)


def test_closing_stops_what_is_under_way_and_lets_it_clean_up(maker: Maker, work: SealingWork) -> None:
    for registration in (FIRST, SECOND):
        with pytest.raises(SealingUnderWayError):
            ask(work, registration)
    eventually(lambda: maker.began == 2)
    work.close()
    assert maker.stopped == 2
    work.close()
    with pytest.raises(UnavailableError, match="stopping"):
        ask(work)


def test_somebody_who_waits_hears_that_the_service_stops(maker: Maker, work: SealingWork) -> None:
    work.wait_s = 30
    heard: list[Exception] = []

    def wait() -> None:
        try:
            ask(work)
        except UnavailableError as error:
            heard.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: maker.began == 1)
    work.close()
    waiting.join(30)
    assert "stopping" in str(heard[0])
