"""Data sets and versions: said, in force, refused, retired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.content import FileEntry, Manifest
from ledger.errors import MalformedError
from ledger.store.rows import DatasetRow
from tests.support.store_world import NOW, World, open_world, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        opened.found("util", "manu")
        yield opened


def find(world: World, provider: str, slug: str) -> DatasetRow:
    row = world.store.datasets.find_by_name(provider, slug)
    assert row is not None
    return row


def test_a_registration_shows_when_it_is_said_and_when_it_is_in_force(world: World) -> None:
    new = world.registration("util", "power", at_s=3)
    world.store.statements.stage([new])
    assert world.store.datasets.find_by_name("util", "power") is None
    world.store.statements.accept_staged(world.log, {new.digest: 0}, 1)
    said = find(world, "util", "power")
    assert (said.latest_version, said.in_force, said.state, said.slug) == (1, False, "active", "power")
    assert (said.provider, said.provider_handle, said.latest_registration) == (word("util"), "util", new.digest)
    assert (said.registered_at, said.dataset_salt) == (new.received_at, word("util/power"))
    assert isinstance(said.metadata, dict)
    assert said.metadata["title"] == "The power of util"
    world.chain.mine(world.registered(new))
    row = find(world, "util", "power")
    assert (row.in_force, row.registered_at, row.updated_at) == (True, world.chain.time(), world.chain.time())
    assert world.store.datasets.find(row.id) == row
    version = world.store.datasets.find_version(row.id)
    assert version is not None
    assert (version.version, version.in_force, version.block, version.metadata) == (1, True, 2, row.metadata)
    assert world.store.datasets.find_registration(new.digest) == version


def test_what_is_not_there_is_none(world: World) -> None:
    assert world.store.datasets.find(word("x")) is None
    assert world.store.datasets.find_by_name("util", "x") is None
    assert world.store.datasets.find_version(word("x")) is None
    assert world.store.datasets.find_registration(word("x")) is None
    assert world.store.datasets.versions(word("x")).items == ()


def test_a_refused_registration_is_no_version(world: World) -> None:
    first, second = world.registration("util", "power"), world.registration("util", "power", 2)
    world.accept(first, second)
    world.store.statements.refuse(second.digest, {"code": "no"})
    assert find(world, "util", "power").latest_version == 1


def test_what_is_in_force_outranks_what_was_only_said(world: World) -> None:
    mine, theirs = world.registration("util", "power"), world.registration("util", "power")
    world.accept(mine)
    world.chain.mine(world.registered(theirs))
    row = find(world, "util", "power")
    assert (row.latest_registration, row.in_force) == (theirs.digest, True)
    assert [version.registration for version in world.store.datasets.versions(row.id).items] == [theirs.digest]
    assert world.store.datasets.find_registration(mine.digest) is None


def test_a_registration_that_came_past_this_gateway_shows_without_documents(world: World) -> None:
    new = world.new(
        "DatasetRegistration",
        participant=word("manu"),
        datasetSalt=word("secret"),
        version=1,
        contentHash=word("content"),
        metadataHash=word("unknown metadata"),
        parents=(),
    )
    world.chain.mine(world.registered(new))
    (row,) = world.store.datasets.list().items
    assert (row.slug, row.metadata, row.dataset_salt, row.provider_handle) == (None, None, None, "manu")
    version = world.store.datasets.find_registration(new.digest)
    assert version is not None
    assert (version.content_root, version.file_count, version.registered_at) == (None, None, world.chain.time())


def test_versions_carry_their_parents_and_contents(world: World) -> None:
    base = world.registration("util", "power")
    dataset = find_id(world, base)
    parents = ({"dataset": dataset, "version": 1, "registration": base.digest},)
    derived = world.registration("manu", "forecast", parents=parents)
    other = world.registration("manu", "forecast", 2, parents=parents)
    manifest = Manifest((FileEntry("a.csv", 3, word("sha"), word("root")),))
    world.store.contents.add(manifest, None, NOW)
    world.store.contents.bind(derived.digest, manifest.content_root, word("version salt"))
    world.accept(base, derived)
    world.chain.mine(world.registered(base), world.registered(derived), world.registered(other))
    version = world.store.datasets.find_registration(derived.digest)
    assert version is not None
    assert [(each.dataset, each.version, each.registration) for each in version.parents] == [(dataset, 1, base.digest)]
    assert (version.content_root, version.version_salt) == (manifest.content_root, word("version salt"))
    assert (version.file_count, version.size_bytes) == (1, 3)
    latest = world.store.datasets.find_version(version.dataset)
    assert latest is not None
    assert (latest.version, len(latest.parents), latest.file_count) == (2, 1, None)
    first = world.store.datasets.find_version(version.dataset, 1)
    assert first == version
    page = world.store.datasets.versions(version.dataset, limit=1)
    rest = world.store.datasets.versions(version.dataset, limit=1, cursor=page.next)
    assert [each.version for each in (*page.items, *rest.items)] == [2, 1]


def find_id(world: World, new: object) -> object:
    return world.registered(new)[2]["dataset"]  # type: ignore[arg-type]  # a NewStatement


def test_the_catalogue_is_filtered(world: World) -> None:
    power, gas = world.registration("util", "power", at_s=1), world.registration("manu", "gas", at_s=20)
    world.accept(power, gas)
    world.chain.mine(world.registered(power))
    datasets = world.store.datasets

    def slugs(**filters: object) -> list[str | None]:
        return [row.slug for row in datasets.list(**filters).items]  # type: ignore[arg-type]  # any of its filters

    assert slugs() == ["gas", "power"]
    assert slugs(provider=word("util")) == ["power"]
    assert slugs(participant=word("manu"), role="provider") == ["gas"]
    assert slugs(participant=word("manu")) == ["gas", "power"]
    assert slugs(text="POWER of") == ["power"]
    assert slugs(text="ÖL") == ["gas", "power"]
    assert slugs(text="gas") == ["gas"]
    assert slugs(text="_") == []
    assert slugs(since=NOW + timedelta(seconds=15)) == ["gas"]
    assert slugs(participant=word("firm"), role="consumer") == []
    request = {"provider": word("util"), "dataset": find_id(world, power), **world.terms()}
    world.say("AccessRequest", participant=word("firm"), **request)
    grant = world.say(
        "AccessGrant", participant=word("manu"), datasetSalt=word("manu/gas"), consumer=word("firm"), **world.terms()
    )
    assert slugs(participant=word("firm"), role="consumer") == ["gas", "power"]
    world.chain.mine(world.granted(grant))
    assert slugs(participant=word("firm"), role="consumer") == ["gas", "power"]
    with pytest.raises(MalformedError):
        datasets.list(role="consumer")
    with pytest.raises(MalformedError):
        datasets.list(role="owner", participant=word("firm"))


def test_retired_data_sets_are_told_apart(world: World) -> None:
    power, gas = world.registration("util", "power"), world.registration("util", "gas")
    dataset = find_id(world, power)
    retired = {"digest": word("r"), "dataset": dataset, "participant": word("util"), "signer": bytes(20)}
    world.chain.mine(world.registered(power), world.registered(gas), ("DatasetRegistry", "DatasetRetired", retired))
    row = find(world, "util", "power")
    assert (row.state, row.retired_at) == ("retired", world.chain.time())
    assert [row.slug for row in world.store.datasets.list(state="retired").items] == ["power"]
    assert [row.slug for row in world.store.datasets.list(state="active").items] == ["gas"]
    with pytest.raises(MalformedError):
        world.store.datasets.list(state="gone")


def test_the_catalogue_pages_in_a_stable_order(world: World) -> None:
    news = [world.registration("util", f"set-{number}", at_s=number // 2) for number in range(7)]
    world.accept(*news)
    seen: list[str | None] = []
    cursor: str | None = None
    for turn in range(3):
        page = world.store.datasets.list(limit=3, cursor=cursor)
        seen += [row.slug for row in page.items]
        cursor = page.next
        # Coming into force moves no data set within the list.
        world.chain.mine(world.registered(news[turn]))
    assert cursor is None
    assert len(seen) == len(set(seen)) == 7
    assert world.store.datasets.list(limit=200).items[-1].slug in {"set-0", "set-1"}
