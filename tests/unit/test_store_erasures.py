"""Erasures in the database: what goes at once, which objects are to go, and who descends from a version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import column, delete, insert, table

from ledger.content import Manifest, hash_bytes
from ledger.errors import MalformedError
from ledger.store.migrating import load_scripts
from ledger.store.rows import ErasureRow, NewStatement
from ledger.store.schema.said import SAID_ERASURES, SAID_PARENTS
from ledger.types import Bytes32
from tests.support.store_world import NOW, World, open_world, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        opened.found("util", "firm")
        yield opened


def manifest_of(*contents: bytes) -> Manifest:
    entries = (hash_bytes(f"{number}.csv", data)[0] for number, data in enumerate(contents))
    return Manifest(tuple(entries))


def register(world: World, slug: str, version: int = 1, *parents: NewStatement, by: str = "util") -> NewStatement:
    named = tuple(
        {"dataset": word("any"), "version": each.statement.message["version"], "registration": each.digest}
        for each in parents
    )
    new = world.registration(by, slug, version, parents=named)
    world.accept(new)
    return new


def keep(world: World, new: NewStatement, manifest: Manifest) -> None:
    """Bind a version's content and mark its files uploaded."""
    contents = world.store.contents
    contents.add(manifest, None, NOW)
    contents.bind(new.digest, manifest.content_root, word("version salt"))
    for entry in manifest.files:
        contents.mark_uploaded(new.digest, entry.path, NOW)


def erase(world: World, new: NewStatement, by: str = "util") -> NewStatement:
    row = world.store.datasets.find_registration(new.digest)
    assert row is not None
    members: dict[str, Any] = {
        "dataset": row.dataset,
        "version": row.version,
        "registration": new.digest,
        "reasonHash": word("why"),
    }
    return world.say("Erasure", participant=word(by), **members)


def due(world: World) -> ErasureRow:
    (row,) = world.store.erasures.list_due()
    return row


def test_what_the_log_has_is_due_until_it_is_carried_out(world: World) -> None:
    new, rows = register(world, "power"), world.store.erasures
    keep(world, new, manifest_of(b"a", b"b"))
    assert rows.find(new.digest) is None
    assert rows.list_due() == ()
    said = erase(world, new)
    found = rows.find(new.digest)
    assert found == due(world)
    assert (found.statement, found.version, found.stated_at) == (said.digest, 1, said.received_at)
    version = world.store.datasets.find_version(found.dataset, 1)
    assert version is not None
    assert version.erased == said.digest
    assert world.store.sealings.is_erased(new.digest)
    for _ in range(2):
        rows.carry_out(found, NOW)
    assert rows.list_due() == ()
    assert world.store.contents.find_opening(new.digest) is None
    assert world.store.contents.find(manifest_of(b"a", b"b").content_root) is None
    assert world.store.contents.files(new.digest) == ()
    going = {hash_bytes("x", data)[0].sha256 for data in (b"a", b"b")}
    assert set(rows.list_removals()) == going
    first, second = rows.list_removals()
    assert rows.list_removals(1) == (first,)
    assert rows.list_removals(after=first) == (second,)
    assert rows.is_any_to_be_removed({Bytes32(bytes(32)), first})
    rows.mark_removed(first)
    assert not rows.is_any_to_be_removed({Bytes32(bytes(32)), first})
    assert rows.list_removals() == (second,)


def test_a_version_without_content_is_erased_too(world: World) -> None:
    new = register(world, "elsewhere")
    erase(world, new)
    world.store.erasures.carry_out(due(world), NOW)
    assert world.store.erasures.list_removals() == ()
    assert world.store.erasures.list_due() == ()


def test_files_that_another_version_names_stay(world: World) -> None:
    shared, own, other = (hash_bytes("x", data)[0].sha256 for data in (b"shared", b"own", b"other"))
    one, two = register(world, "power"), register(world, "power", 2)
    keep(world, one, manifest_of(b"shared", b"own"))
    keep(world, two, manifest_of(b"shared", b"other"))
    erase(world, one)
    world.store.erasures.carry_out(due(world), NOW)
    assert set(world.store.erasures.list_removals()) == {own}
    erase(world, two)
    world.store.erasures.carry_out(due(world), NOW)
    assert set(world.store.erasures.list_removals()) == {own, shared, other}


def test_the_same_content_stays_for_another_version(world: World) -> None:
    manifest = manifest_of(b"a")
    one, two = register(world, "power"), register(world, "power", 2)
    keep(world, one, manifest)
    keep(world, two, manifest)
    erase(world, one)
    world.store.erasures.carry_out(due(world), NOW)
    assert world.store.contents.find_opening(one.digest) is None
    assert world.store.contents.find(manifest.content_root) is not None
    assert [file.uploaded_at for file in world.store.contents.files(two.digest)] == [NOW]
    assert world.store.erasures.list_removals() == ()


def test_an_erasure_that_was_stated_before_the_migration_is_due_after_it(world: World) -> None:
    new = register(world, "power")
    erase(world, new)
    expected = due(world)
    module = load_scripts().get_revision("0006").module
    with world.store._database.write() as connection:
        connection.execute(delete(SAID_ERASURES))
        assert world.store.erasures.list_due() == ()
        with Operations.context(MigrationContext.configure(connection)):
            module._index_stated(table("said_erasures", *(column(each.name) for each in SAID_ERASURES.columns)))
    assert due(world) == expected


def test_an_erasure_of_somebody_else_marks_nothing(world: World) -> None:
    new = register(world, "power")
    erase(world, new, by="firm")
    row = world.store.datasets.find_registration(new.digest)
    assert row is not None
    assert row.erased is None


def found_below(world: World, new: NewStatement, limit: int = 200) -> list[Bytes32]:
    pages, cursor = list[Bytes32](), None
    while True:
        page = world.store.datasets.descendants(new.digest, limit=limit, cursor=cursor)
        pages += [row.registration for row in page.items]
        cursor = page.next
        if cursor is None:
            return pages


def test_descendants_are_of_all_generations_each_once(world: World) -> None:
    root = register(world, "root")
    children = [register(world, f"child-{number}", 1, root) for number in range(3)]
    both = register(world, "both", 1, children[0], children[1], root)
    grandchild = register(world, "grandchild", 1, both)
    register(world, "stranger")
    world.chain.mine(world.registered(both))  # its parents are now known twice
    past = world.registration(
        "firm", "past", parents=({"dataset": word("x"), "version": 1, "registration": both.digest},)
    )
    world.chain.mine(world.registered(past))  # it came past this gateway
    expected = {each.digest for each in (*children, both, grandchild, past)}
    for limit in (1, 2, 200):
        found = found_below(world, root, limit)
        assert len(found) == len(expected)
        assert set(found) == expected
    assert found_below(world, grandchild) == []
    (row,) = [each for each in world.store.datasets.descendants(both.digest).items if each.registration == past.digest]
    assert (row.slug, row.provider_handle, row.in_force, row.erased) == ("past", "firm", True, None)
    cursor = world.store.datasets.descendants(root.digest, limit=1).next
    with pytest.raises(MalformedError):
        world.store.datasets.descendants(both.digest, cursor=cursor)


def test_a_circle_ends(world: World) -> None:
    """No honest digest makes one; a database that somebody changed may hold it."""
    one = register(world, "one")
    two = register(world, "two", 1, one)
    row: Any = {"digest": one.digest, "ordinal": 0, "dataset": word("x"), "version": 1, "registration": two.digest}
    with world.store._database.write() as connection:
        connection.execute(insert(SAID_PARENTS).values(**row))
    assert found_below(world, one) == [two.digest]
    assert found_below(world, two) == [one.digest]
