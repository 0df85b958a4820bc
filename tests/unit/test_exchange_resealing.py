"""Versions sealed anew by themselves once a grant is over: for whom, how often, whatever fails or stops meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.content.folder_placement import FolderPlacement
from ledger.errors import NotFoundError, UnavailableError
from ledger.exchange import ForbiddenError
from ledger.exchange.intents import DatasetRetirementIntent
from ledger.exchange.transfers.keys import Receiving
from ledger.store.rows import SealingState
from ledger.surface.transfers import TransferState
from ledger.types import Bytes32
from tests.support.content import flip_bit
from tests.support.exchange import Consortium, found_in, open_gateway
from tests.support.selling import Sold
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    home = tmp_path_factory.mktemp("resealing") / "home"
    with open_gateway(home, found_in(home)) as opened:
        yield opened


def folder_of(consortium: Consortium, sealing: Bytes32) -> Path:
    return consortium.gateway.parts.settings.home / "content" / "sealings" / sealing.hex()


def is_gone(consortium: Consortium, sealing: Bytes32) -> bool:
    """Whether key and objects of a sealing are."""
    row = consortium.gateway.parts.store.sealings.find(sealing)
    assert row is not None
    return row.wrapped_key is None and not any(folder_of(consortium, sealing).rglob("*"))


def current_of(sold: Sold) -> Bytes32:
    assert sold.current is not None
    return sold.current.id


def test_who_is_still_permitted_gets_a_new_sealing(consortium: Consortium) -> None:
    sold = Sold(consortium)
    one, other = sold.to("manufacturer"), sold.to("analyst")
    released = one.receive(one.open())
    view = other.open()
    other.read(view)
    before = current_of(sold)
    one.revoke()
    eventually(lambda: sold.current is not None and current_of(sold) != before and is_gone(consortium, before))
    with pytest.raises(NotFoundError, match="sealed anew"):
        other.read(view)
    with pytest.raises(ForbiddenError):
        one.open(anew=True)
    assert one.open_key(released).commitment == before  # what it has it has; nothing is sealed under it any more
    again = other.open(anew=True)
    assert again.sealing.digest != view.sealing.digest
    assert other.read(again)
    # Once: the new sealing was never given under the grant that is over.
    after = current_of(sold)
    assert consortium.gateway.parts.store.transfers.list_ended(consortium.gateway.parts.now()) == ()
    other.revoke()
    eventually(lambda: sold.current is None and is_gone(consortium, after))


@pytest.mark.slow
def test_where_nobody_is_permitted_the_next_transfer_seals(consortium: Consortium) -> None:
    sold = Sold(consortium)
    buyer = sold.to("manufacturer")
    buyer.read(buyer.open())
    before = current_of(sold)
    buyer.revoke()
    eventually(lambda: sold.current is None and is_gone(consortium, before))
    rows = consortium.gateway.parts.store.sealings
    assert rows.list_unfinished(sold.registration) == ()
    buyer.permit()
    assert buyer.receive(buyer.open(anew=True)).state is TransferState.RELEASED
    assert current_of(sold) != before


@pytest.mark.slow
def test_a_retired_data_set_keeps_no_sealing(consortium: Consortium) -> None:
    sold = Sold(consortium)
    buyer = sold.to("manufacturer")
    buyer.receive(buyer.open())
    before = current_of(sold)
    consortium.state("utility", DatasetRetirementIntent(dataset=sold.name))
    eventually(lambda: sold.current is None and is_gone(consortium, before))


@pytest.mark.slow
def test_a_store_that_fails_is_told_and_tried_again(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    sold = Sold(consortium)
    one, other = sold.to("manufacturer"), sold.to("analyst")
    one.read(one.open())
    view = other.open()
    before = current_of(sold)

    async def fail(_self: object, _key: str, chunks: AsyncGenerator[bytes, None], _size_bytes: int) -> None:
        await chunks.aclose()
        raise UnavailableError("the content store can not keep an object: the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(FolderPlacement, "place", fail)
        one.revoke()
        eventually(lambda: "disk is full" in consortium.gateway.health().reasons.get("sealer", ""))
        assert current_of(sold) == before
        assert other.read(view)  # the old sealing serves whoever is still permitted
    eventually(lambda: current_of(sold) != before and is_gone(consortium, before))
    eventually(lambda: "sealer" not in consortium.gateway.health().reasons)


@pytest.mark.slow
def test_a_damaged_source_keeps_the_sealing_and_holds_up_no_other(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = Sold(consortium, {"b.csv": b"only here"}), Sold(consortium, {"c.csv": b"here too"})
    buyers = [(sold.to("manufacturer"), sold.to("analyst")) for sold in (damaged, sound)]
    for one, _ in buyers:
        one.read(one.open())
    before = current_of(damaged), current_of(sound)
    files = consortium.gateway.parts.settings.home / "content" / "files"
    stored = next(path for path in files.rglob("*") if path.is_file() and path.read_bytes() == b"only here")
    flip_bit(stored, 3)
    for one, _ in buyers:
        one.revoke()
    eventually(lambda: current_of(sound) != before[1])
    eventually(lambda: "not sealed anew yet" in caplog.text)
    assert current_of(damaged) == before[0]
    flip_bit(stored, 3)
    monkeypatch.setattr("ledger.exchange.resealing._TRY_AGAIN_S", 0.0)
    resealing = consortium.gateway._resealing
    resealing._resting.clear()
    eventually(lambda: current_of(damaged) != before[0])


def test_what_is_receipted_is_released_before_its_key_goes(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold = Sold(consortium)
    one, buyer = sold.to("analyst"), sold.to("manufacturer")
    one.read(one.open())
    before = current_of(sold)

    def die(*_: object) -> Any:
        raise UnavailableError("the gateway died")

    with monkeypatch.context() as patched:
        patched.setattr(Receiving, "release", die)
        view = buyer.open()
        with pytest.raises(UnavailableError):
            buyer.receive(view)
    one.revoke()
    eventually(lambda: current_of(sold) != before)
    shown = consortium.gateway.transfers.show(buyer.caller, view.id)
    assert shown.state is TransferState.RELEASED
    assert buyer.open_key(buyer.receive(view)).commitment == before


@pytest.mark.slow
def test_a_gateway_that_stops_in_the_middle_goes_on_at_its_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    founded = found_in(home)
    with monkeypatch.context() as patched, open_gateway(home, founded) as consortium:
        sold = Sold(consortium)
        one, other = sold.to("analyst"), sold.to("manufacturer")
        one.read(one.open())
        before = current_of(sold)
        begun: list[str] = []

        async def hang(_self: object, key: str, chunks: AsyncGenerator[bytes, None], _size_bytes: int) -> None:
            begun.append(key)
            try:
                await asyncio.Event().wait()
            finally:
                await chunks.aclose()

        patched.setattr(FolderPlacement, "place", hang)
        one.revoke()
        eventually(lambda: len(begun) == 1)
        assert current_of(sold) == before
    with open_gateway(home, founded) as consortium:
        sold.consortium = consortium
        eventually(lambda: current_of(sold) != before and is_gone(consortium, before))
        states = [row.state for row in consortium.gateway.parts.store.sealings.list_unfinished(sold.registration)]
        assert SealingState.MAKING not in states
        assert other.receive(other.open(anew=True)).state is TransferState.RELEASED
