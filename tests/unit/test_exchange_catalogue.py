"""What other gateways offer: kept as far as the chain says the same, with its age; nobody is believed or waited for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from ledger.canonical import JsonValue, hash_document
from ledger.chain import LocalSigner
from ledger.exchange.catalogue import gathering as module
from ledger.exchange.catalogue import read_standing
from ledger.exchange.catalogue.gathering import Gathering
from ledger.exchange.catalogue.learning import Learning
from ledger.exchange.deliveries.peers import Peers, parse_peers
from ledger.exchange.deliveries.run import Try
from ledger.exchange.directory import Directory
from ledger.exchange.presenting import present_dataset
from ledger.statements import Decision, HistoryKind, compute_dataset_id
from ledger.store.rows import DatasetRow, NewStatement, PeerRow
from ledger.surface.catalogue import format_age
from ledger.surface.codec import dump_value
from ledger.types import Bytes32
from tests.support.answering import Said, answering
from tests.support.store_world import NOW, World, open_world, word
from tests.support.waiting import eventually

TEXTS: Final[dict[str, JsonValue]] = {
    "title": "Power",
    "description": "d",
    "licence": "CC0-1.0",
    "contact": "c",
    "keywords": ["mwh"],
}
PROVIDER: Final = word("util")


@dataclass
class Elsewhere:
    """Another gateway, which answers whatever it likes."""

    url: str = ""
    items: list[JsonValue] = field(default_factory=list)
    said: Said | None = None
    profiles: list[JsonValue] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    silent: threading.Event | None = None

    def answer(self, _method: str, path: str, headers: Mapping[str, str], _body: bytes) -> Said:
        if path.startswith("/v1/profiles"):
            return page(self.profiles)
        self.asked.append((path, headers))
        if self.silent is not None:
            self.silent.wait(60)
        return self.said or page(self.items)


def page(items: JsonValue, following: JsonValue = None) -> Said:
    return Said(body=json.dumps({"items": items, "next": following, "as_of_block": 1}).encode())


@dataclass
class Stage:
    """A gateway of the manufacturer's, whose clock stands still, and the utility's at another place."""

    world: World
    elsewhere: Elsewhere
    settings: dict[str, Any]
    now_s: float = NOW.timestamp() + 1000

    def __post_init__(self) -> None:
        parts: Any = SimpleNamespace(
            settings=SimpleNamespace(**self.settings),
            store=self.world.store,
            config=SimpleNamespace(operator=word("manu")),
            keystore=SimpleNamespace(find=lambda *_: LocalSigner(b"\1" * 32)),
            domains=None,
            directory=Directory(self.world.store, self.now),
            now=self.now,
            clock=lambda: self.now_s,
        )
        self.parts = parts
        self.gathering = Gathering(parts, Peers(parts, parse_peers(self.settings["peers"])))

    def now(self) -> Any:
        return NOW + timedelta(seconds=self.now_s - NOW.timestamp())

    def ask(self, after_s: float = 60.0) -> PeerRow:
        """A minute later the gateway asks again; what it noted of the utility's."""
        self.now_s += after_s
        self.gathering.step()
        [row] = [each for each in self.world.store.catalogue.peers() if each.provider == PROVIDER]
        return row

    def find(self, slug: str) -> DatasetRow | None:
        return self.world.store.datasets.find_by_name("util", slug)

    def name(self, who: str, endpoint: str) -> None:
        """A participant states where it serves."""
        row = self.world.document("profile", {"handle": who, "name": who, "endpoint": endpoint})
        self.world.store.documents.bind([row.hash], word(who))
        self.world.chain.mine(self.world.history(HistoryKind.PROFILE_UPDATED, word(who), row.hash))

    def register(
        self, slug: str, *, by: str = "util", version: int = 1, document: JsonValue = None, **texts: JsonValue
    ) -> dict[str, JsonValue]:
        """Register a version elsewhere; what an honest gateway tells of it."""
        told: JsonValue = {**TEXTS, "slug": slug, "provider": by, **texts} if document is None else document
        salt = self.world.salt()
        new = self.state(slug, by, version, Bytes32(hash_document(salt, told)))
        self.world.chain.mine(self.world.registered(new))
        return {"registration": str(new.digest), "salt": str(salt), "document": told}

    def state(self, slug: str, by: str, version: int, metadata_hash: Bytes32) -> NewStatement:
        return self.world.new(
            "DatasetRegistration", participant=word(by), datasetSalt=word(f"{by}/{slug}"), version=version,
            contentHash=word("c"), metadataHash=metadata_hash, parents=(),
        )  # fmt: skip

    def retire(self, slug: str) -> None:
        self.world.chain.mine(
            (
                "DatasetRegistry",
                "DatasetRetired",
                {"digest": word("r"), "dataset": dataset_id(slug), "participant": PROVIDER, "signer": bytes(20)},
            )
        )


def dataset_id(slug: str) -> Bytes32:
    return Bytes32(compute_dataset_id(PROVIDER, word(f"util/{slug}")))


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    with answering(server.answer) as server.url:
        yield server
        if server.silent is not None:
            server.silent.set()


@pytest.fixture
def stage(tmp_path: Path, elsewhere: Elsewhere) -> Iterator[Stage]:
    with open_world(tmp_path) as world:
        world.found("util", "manu")
        opened = Stage(
            world, elsewhere, {"peers": elsewhere.url, "catalogue_every_s": 60.0, "catalogue_kept_s": 3600.0}
        )
        opened.name("util", elsewhere.url)
        yield opened


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
