"""Which gateways are asked what they offer, how often, and what is made of an answer that is none."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from ledger.canonical import JsonValue, hash_document
from ledger.exchange.catalogue import gathering as module
from ledger.exchange.catalogue import read_standing
from ledger.exchange.catalogue.learning import Learning
from ledger.exchange.deliveries.run import Try
from ledger.statements import Decision, HistoryKind
from ledger.types import Bytes32
from tests.support.answering import Said, answering
from tests.support.offered_elsewhere import PROVIDER, Stage, elsewhere, page, stage
from tests.support.store_world import word
from tests.support.waiting import eventually

__all__ = ["elsewhere", "stage"]


def test_a_member_that_is_suspended_is_not_asked_and_its_entries_go(stage: Stage) -> None:
    stage.elsewhere.items = [stage.register("power")]
    stage.ask()
    stage.world.chain.mine(
        stage.world.history(HistoryKind.SUSPENDED, PROVIDER, Bytes32(bytes(31) + bytes([Decision.SUSPEND])))
    )
    stage.now_s += 60
    stage.gathering.step()
    assert stage.world.store.catalogue.peers() == ()
    assert stage.find("power") is None
    assert len(stage.elsewhere.asked) == 1


def test_what_nobody_listed_and_is_in_a_private_network_is_not_asked(stage: Stage, tmp_path: Path) -> None:
    unlisted = Stage(stage.world, stage.elsewhere, {**stage.settings, "peers": ""})
    row = unlisted.ask()
    assert (row.error_code, row.failures, stage.elsewhere.asked) == ("unknown-peer", 1, [])
    assert "CONCORD_PEERS" in read_standing(stage.world.store, stage.now()).to_sentence()
    assert stage.ask(1).failures == 0, "listed, and started again, it asks at once"


def test_a_redirect_leads_nowhere(stage: Stage) -> None:
    with answering(stage.elsewhere.answer) as within:
        stage.elsewhere.said = Said(302, headers={"Location": f"{within}/v1/offers/{PROVIDER}"})
        row = stage.ask()
        assert (row.failures, len(stage.elsewhere.asked)) == (1, 1)
    assert "redirect" in (row.error or "")


@pytest.mark.parametrize(
    "said",
    [
        Said(body=b"[" * 300_000),
        Said(body=b"{"),
        Said(body=b"[]"),
        Said(headers={"Content-Type": "text/html"}),
        page({}),
        page([None] * 101),
        page([], 5),
        page([], "x" * 513),
        page([], "again"),
        Said(headers={"Content-Encoding": "gzip"}),
        Said(400, body=b'{"detail":' + b"[" * 300_000),
        Said(401),
    ],
    ids=range(12),
)
def test_an_answer_that_is_none_is_a_failure_and_no_more(stage: Stage, said: Said) -> None:
    stage.elsewhere.items = [stage.register("power")]
    stage.ask()
    stage.elsewhere.said = said
    row = stage.ask()
    assert (row.failures, row.answered_at) == (1, stage.now() - timedelta(seconds=60))
    assert stage.find("power") is not None


def test_what_is_too_large_or_too_much_is_not_taken(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.elsewhere.items = [stage.register(f"d{number}") for number in range(3)]
    monkeypatch.setattr(module, "_MOST_OFFERS", 2)
    assert (stage.ask().left_out, stage.world.store.catalogue.count()) == (1, 0)
    monkeypatch.setattr(module, "_MOST_OFFERS", 3)
    monkeypatch.setattr("ledger.client.catalogue._MOST_BYTES", 600)
    assert stage.ask().failures == 1
    monkeypatch.setattr("ledger.client.catalogue._MOST_BYTES", 6000)
    assert (stage.ask().failures, stage.world.store.catalogue.count()) == (0, 3)


def test_a_gateway_that_does_not_answer_is_asked_less_and_less_and_a_silent_one_is_left_after_a_while(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.world.chain.mine(
        *[stage.world.filed("grid", profile := stage.world.profile("grid")), *stage.world.admission("grid", profile)]
    )
    stage.name("grid", stage.elsewhere.url)
    stage.elsewhere.said = Said(503)
    row = stage.ask()
    assert (row.failures, row.answered_at, row.next_ask_at - row.asked_at) == (1, None, timedelta(minutes=1))
    assert {each.failures for each in stage.world.store.catalogue.peers()} == {1}
    assert len(stage.elsewhere.asked) == 1, "nor for the other provider"
    assert stage.ask().next_ask_at - stage.now() == timedelta(minutes=2)
    assert stage.ask().failures == 2, "it is not its turn"
    for _ in range(8):
        row = stage.ask(3600)
    assert row.next_ask_at - row.asked_at == timedelta(hours=1)
    stage.elsewhere.silent = threading.Event()
    monkeypatch.setattr("ledger.exchange.catalogue.asking._SLOWEST_S", 0.1)
    assert "slow" in (stage.ask(3600).error or "")


def test_a_gateway_that_stops_does_not_wait(stage: Stage) -> None:
    stage.elsewhere.silent = threading.Event()
    thread = threading.Thread(target=stage.gathering.step)
    thread.start()
    eventually(lambda: bool(stage.elsewhere.asked))
    stage.gathering.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert stage.world.store.catalogue.peers() == ()
    stage.gathering.step()
    assert len(stage.elsewhere.asked) == 1


def test_without_an_interval_nobody_is_asked_and_nothing_is_kept(stage: Stage) -> None:
    stage.elsewhere.items = [stage.register("power")]
    stage.ask()
    off = Stage(stage.world, stage.elsewhere, {**stage.settings, "catalogue_every_s": 0.0})
    assert off.gathering.step() == 3600
    assert (stage.find("power"), stage.world.store.catalogue.peers(), len(stage.elsewhere.asked)) == (None, (), 1)
    assert read_standing(stage.world.store, stage.now()).to_sentence() == "no other gateway is asked"
    assert read_standing(stage.world.store, stage.now()).to_gauges()["catalogue_oldest_age_seconds"][1] == 0


def test_what_breaks_unforeseen_ends_no_work(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Try, "drive", break_down)
    row = stage.ask()
    assert (row.failures, row.error_code) == (1, "ZeroDivisionError")
    assert "could not be read" in caplog.text


def grid_comes(stage: Stage, handle: str = "grid") -> dict[str, JsonValue]:
    """A member is admitted through another gateway; what an honest one tells of its profile."""
    salt = stage.world.salt()
    document: JsonValue = {"handle": handle, "name": "Grid AG", "endpoint": stage.elsewhere.url}
    stated = Bytes32(hash_document(salt, document))
    stage.world.chain.mine(stage.world.filed("grid", stated), *stage.world.admission("grid", stated))
    return {"participant": str(word("grid")), "salt": str(salt), "document": document}


def test_a_listed_gateway_tells_who_the_others_are_and_they_are_asked(stage: Stage) -> None:
    told = grid_comes(stage)
    elsewhere = stage.register("gas", by="grid")
    stage.elsewhere.profiles = [told]
    stage.elsewhere.items = [elsewhere]
    stage.ask()
    seen = stage.parts.directory.participant_row("grid")
    assert (seen.id, seen.profile) == (word("grid"), told["document"])
    assert stage.world.store.datasets.find_by_name("grid", "gas") is not None
    stage.elsewhere.profiles = [5]
    stage.ask()


def test_a_profile_that_is_not_so_names_nobody_and_nobody_is_named_anew(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    told = grid_comes(stage, "util")
    document = cast("dict[str, JsonValue]", told["document"])
    forged: JsonValue = {**told, "document": {**document, "handle": "grid"}}
    stranger: JsonValue = {**told, "participant": str(word("stranger"))}
    wide: JsonValue = {**told, "document": {**document, "more": "x" * (64 << 10)}}
    stage.elsewhere.profiles = [forged, stranger, wide, 5, {**told, "document": []}]
    stage.ask()
    directory = stage.parts.directory
    assert (directory.handle_of(word("grid")), directory.participant_row(str(word("grid"))).profile) == (None, None)
    assert caplog.text.count("is left out") == 4
    stage.elsewhere.profiles = [told]
    stage.ask()
    assert (directory.participant("util"), directory.handle_of(word("grid"))) == (PROVIDER, None)
    assert directory.participant_row(str(word("grid"))).profile == document


def test_who_has_a_name_here_keeps_it_whatever_it_is_called_elsewhere(stage: Stage) -> None:
    told = grid_comes(stage)
    stage.world.store.names.claim_handle(word("grid"), "netz")
    stage.elsewhere.profiles = [told]
    stage.ask()
    assert stage.parts.directory.handle_of(word("grid")) == "netz"


def test_a_gateway_that_does_not_tell_whom_it_knows_is_asked_what_it_offers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.elsewhere.items = [stage.register("power")]
    stage.elsewhere.profiles = [None] * 101
    assert stage.ask().failures == 0
    monkeypatch.setattr(Learning, "_learn", lambda *_: 1 / 0)
    stage.elsewhere.profiles = [None]
    assert stage.ask().failures == 0
    assert "could not be read" in caplog.text
    assert stage.find("power") is not None
