"""What other gateways offer: kept as far as the chain says the same, with its age; nobody is believed or waited for."""

from __future__ import annotations

from typing import cast

import pytest

from ledger.canonical import JsonValue, hash_document
from ledger.exchange.catalogue import read_standing
from ledger.exchange.presenting import present_dataset
from ledger.surface.catalogue import format_age
from ledger.surface.codec import dump_value
from ledger.types import Bytes32
from tests.support.answering import Said
from tests.support.offered_elsewhere import PROVIDER, TEXTS, Stage, dataset_id, elsewhere, stage
from tests.support.store_world import word

__all__ = ["elsewhere", "stage"]


def test_what_the_chain_says_too_is_found_with_its_origin_and_age(stage: Stage) -> None:
    stage.elsewhere.items = [stage.register("power")]
    row = stage.ask()
    assert (row.answered_at, row.failures, row.left_out) == (stage.now(), 0, 0)
    path, headers = stage.elsewhere.asked[0]
    assert path == f"/v1/offers/{PROVIDER}?limit=25"
    assert f'keyid="{word("manu")}/' in headers["Signature-Input"]

    found = stage.find("power")
    assert found is not None
    assert (found.id, found.slug, found.dataset_salt) == (dataset_id("power"), "power", None)
    assert stage.world.store.datasets.find(found.id) == found
    stage.now_s += 200
    view = present_dataset(found, stage.now())
    assert (view.title, view.keywords, view.provider_handle) == ("Power", ("mwh",), "util")
    assert view.origin is not None
    assert (view.origin.endpoint, view.origin.age_s, view.origin.version) == (stage.elsewhere.url, 200, 1)
    assert str(view.origin) == f"{stage.elsewhere.url}, as of 3 minutes ago"
    for text, count in (("POWER", 1), ("mwh", 1), ("gas", 0)):
        assert len(stage.world.store.datasets.list(text=text).items) == count
    version = stage.world.store.datasets.find_version(found.id)
    assert version is not None
    assert version.metadata == {**TEXTS, "slug": "power", "provider": "util"}
    assert stage.parts.directory.name_of(found.id) == "util/power"


def test_a_newer_version_keeps_the_texts_of_the_one_before_until_they_are_told(stage: Stage) -> None:
    stage.elsewhere.items = [stage.register("power")]
    stage.ask()
    newer = stage.register("power", version=2, title="Better")
    found = stage.find("power")
    assert found is not None
    assert found.origin is not None
    assert (found.latest_version, found.origin.version) == (2, 1)
    stage.elsewhere.items = [newer]
    stage.ask()
    found = stage.find("power")
    assert found is not None
    assert found.origin is not None
    assert (cast("dict[str, str]", found.metadata)["title"], found.origin.version) == ("Better", 2)


def test_a_gateway_can_not_lie(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    good, changed, foreign = stage.register("good"), stage.register("changed"), stage.register("gas", by="manu")
    large, nameless = stage.register("large", title="x" * (64 << 10)), stage.register("x", document={**TEXTS})
    listed, dashed = stage.register("y", document=["a"]), stage.register("-")
    unknown = {**good, "registration": str(word("nothing"))}
    altered = {**changed, "document": {**TEXTS, "slug": "changed", "provider": "util", "title": "Free"}}
    salted = {**changed, "salt": str(word("salt"))}
    floats = {**changed, "document": {**TEXTS, "slug": "changed", "big": 2**70}}
    shapeless: list[JsonValue] = [5, {}, {**good, "salt": "0x12"}, {"registration": good["registration"]}]
    wrong: list[JsonValue] = [foreign, large, nameless, listed, dashed, unknown, altered, salted, floats, *shapeless]
    stage.elsewhere.items = [good, good, *wrong]
    row = stage.ask()
    assert (row.failures, row.left_out) == (0, len(wrong) + 1)
    assert stage.world.store.catalogue.count() == 1
    assert stage.find("good") is not None
    told = caplog.text
    for reason in ("1 another-providers", "2 altered", "9 malformed", "1 named-twice", "1 not-on-chain"):
        assert reason in told
    assert "13 entries left out" not in read_standing(stage.world.store, stage.now()).to_sentence()
    assert "14 entries left out" in read_standing(stage.world.store, stage.now()).to_sentence()


def test_own_entries_and_names_win_and_a_name_is_given_once(stage: Stage) -> None:
    own = stage.world.registration("util", "own")
    stage.world.accept(own)
    stage.world.chain.mine(stage.world.registered(own))
    document = stage.world.store.documents.find(cast("Bytes32", own.statement.message["metadataHash"]))
    assert document is not None
    mine: JsonValue = {"registration": str(own.digest), "salt": str(document.salt), "document": document.document}
    rival = stage.register("other", document={**TEXTS, "slug": "own"})
    first, second = stage.register("first", document={**TEXTS, "slug": "same"}), stage.register("same")
    stage.elsewhere.items = [mine, rival, first, second]
    row = stage.ask()
    assert row.left_out == 3  # its own metadata here have no licence, which is malformed
    found, same = stage.find("own"), stage.find("same")
    assert found is not None
    assert found.origin is None
    assert same is not None
    assert same.id == dataset_id("first")


def test_what_is_withdrawn_retired_or_too_old_vanishes(stage: Stage) -> None:
    kept, withdrawn, retired = (stage.register(each) for each in ("kept", "withdrawn", "retired"))
    stage.elsewhere.items = [kept, withdrawn, retired]
    stage.ask()
    stage.retire("retired")
    assert stage.find("retired") is None or stage.find("retired").origin is None  # type: ignore[union-attr]
    assert [each.slug for each in stage.world.store.datasets.list(text="power").items] == ["withdrawn", "kept"]
    stage.elsewhere.items = [kept, retired]
    assert stage.ask().left_out == 0, "a retirement that it does not know of yet is no lie"
    assert [each.slug for each in stage.world.store.datasets.list(text="power").items] == ["kept"]
    stage.elsewhere.said = Said(500)
    assert stage.ask(3599).failures == 1
    assert stage.find("kept") is not None
    stage.ask(2)
    assert stage.find("kept") is None
    assert stage.world.store.catalogue.count() == 0


def test_a_gateway_offers_what_is_its_own_in_force_and_there(stage: Stage) -> None:
    world, offered = stage.world, stage.world.store.catalogue.offered
    names = ("one", "two", "said", "gone", "retired")
    made = {name: world.registration("util", name) for name in names}
    world.accept(*made.values())
    world.chain.mine(*(world.registered(made[name]) for name in names if name != "said"))
    stage.retire("retired")
    erased = world.document("reason", {"reason": "r"})
    world.say(
        "Erasure", participant=PROVIDER, dataset=dataset_id("gone"), version=1, registration=made["gone"].digest,
        reasonHash=erased.hash,
    )  # fmt: skip
    stage.register("elsewhere")
    first = offered(PROVIDER, most_bytes=1000, limit=1)
    second = offered(PROVIDER, most_bytes=1000, limit=1, cursor=first.next)
    found = {each.registration: each for each in (*first.items, *second.items)}
    assert (set(found), second.next) == ({made["one"].digest, made["two"].digest}, None)
    one = found[made["one"].digest]
    assert hash_document(one.salt, one.document) == made["one"].statement.message["metadataHash"]
    assert offered(PROVIDER, most_bytes=10).items == ()
    assert offered(word("manu"), most_bytes=1000).items == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (1, "1 second ago"), (60, "1 minute ago"), (7300, "2 hours ago"), (90_000, "1 day ago")],
)
def test_ages_in_words(seconds: int, text: str) -> None:
    assert format_age(seconds) == text


def test_an_entry_of_ones_own_has_no_origin(stage: Stage) -> None:
    new = stage.world.registration("util", "own")
    stage.world.accept(new)
    found = stage.find("own")
    assert found is not None
    assert cast("dict[str, JsonValue]", dump_value(present_dataset(found, stage.now())))["origin"] is None
