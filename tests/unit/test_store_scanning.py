"""All that is stored, read in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.canonical import encode_canonical
from ledger.content import Manifest, hash_bytes
from ledger.log import Checkpoint
from ledger.merkle import EMPTY_ROOT
from ledger.store import scanning
from tests.support.store_world import NOW, World, open_world, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def test_statements_by_their_index_as_they_are_stored(world: World) -> None:
    new = [world.new("ParticipantRetirement", participant=word(str(number))) for number in range(3)]
    world.store.statements.accept(world.log, new, 5, 8)
    found = world.store.scanning.list_statements(world.log, 6, 100)
    assert [(each.index, each.digest, each.type) for each in found] == [
        (6, new[1].digest, "ParticipantRetirement"),
        (7, new[2].digest, "ParticipantRetirement"),
    ]
    assert found[0].message == encode_canonical(new[1].statement.to_json()).decode()
    assert (found[0].signature, found[0].signer, found[0].cosignature) == (new[1].signature, new[1].signer, None)
    assert (found[0].participant, found[0].executable) == (word("1"), new[1].executable)
    assert world.store.scanning.list_statements(word("other"), 0, 100) == []
    assert world.store.scanning.list_statements(world.log, 0, 5) == []


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_every_signed_checkpoint_in_order(world: World, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_PAGE", page)
    signed = [Checkpoint("a/log", size, word(str(size)) if size else EMPTY_ROOT) for size in (0, 9, 10, 300)]
    for before, each in zip([None, *signed], signed, strict=False):
        assert world.store.checkpoints.compare_and_swap(before, each)
    assert list(world.store.scanning.iterate_checkpoints("a/log")) == [(each.size, each.text) for each in signed]
    assert list(world.store.scanning.iterate_checkpoints("another")) == []


def test_files_that_are_here(world: World) -> None:
    manifest = Manifest(tuple(hash_bytes(name, name.encode())[0] for name in ("a.csv", "b.csv")))
    contents = world.store.contents
    contents.add(manifest, None, NOW)
    contents.bind(word("r1"), manifest.content_root, word("s"))
    contents.bind(word("r2"), manifest.content_root, word("s"))
    assert world.store.scanning.list_uploaded() == ()
    contents.mark_uploaded(word("r1"), "b.csv", NOW)
    (found,) = world.store.scanning.list_uploaded()
    assert found in contents.files(word("r1"))
    assert (found.path, found.uploaded_at) == ("b.csv", NOW)
