"""Statements looked up and stored by the thousand, and the upgrade of a database that was made before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command

from ledger.canonical import encode_canonical
from ledger.checking import Checked, Registered
from ledger.errors import ConflictError
from ledger.statements import Entry, compute_dataset_id
from ledger.store import bulk
from ledger.store.database import Database
from ledger.store.migrating import _config, upgrade
from ledger.store.rows import InForce, NewStatement
from ledger.store.version_keys import DATASET_KEY_SIZE, version_key
from ledger.types import Bytes32
from tests.support.databases import database_url
from tests.support.store_world import NOW, World, open_world, word

SALT = word("a salt")
LARGE = 2**64 - 1


def said(world: World, version: int = 1, salt: Bytes32 = SALT, **members: Any) -> NewStatement:
    given: dict[str, Any] = {"contentHash": word("content"), "metadataHash": word("metadata"), "parents": (), **members}
    return world.new("DatasetRegistration", participant=word("util"), datasetSalt=salt, version=version, **given)


def record_of(new: NewStatement) -> Checked:
    message = new.statement.message
    version, salt = message["version"], message["datasetSalt"]
    assert isinstance(version, int)
    assert isinstance(salt, Bytes32)
    parents = message["parents"]
    assert isinstance(parents, tuple)
    told = tuple((each["dataset"], each["version"], each["registration"]) for each in parents)  # type: ignore[index, call-overload]  # a mapping
    dataset = compute_dataset_id(new.statement.participant, salt)
    return Checked(
        Entry.of(new.digest, new.statement.participant, new.signature).to_bytes(),
        bytes(new.signer),
        new.signature,
        new.statement.deadline,
        "DatasetRegistration",
        encode_canonical(new.statement.to_json()).decode(),
        Registered(dataset, salt, version, word("content"), Bytes32(message["metadataHash"]), told),  # type: ignore[arg-type]  # bytes
    )


def append(world: World, *news: NewStatement) -> None:
    placed = [(world.size + place, record_of(new), "key") for place, new in enumerate(news)]
    world.store.bulk.append(world.log, placed, world.size + len(news), NOW)
    world.size += len(news)


def version_of(new: NewStatement) -> tuple[bytes, int]:
    registered = record_of(new).registered
    assert registered is not None
    return registered.dataset, registered.version


def test_what_is_stored_in_bulk_reads_as_what_came_alone(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        alone, bulk = said(world), said(world, 2)
        world.accept(alone)
        append(world, bulk)
        rows = world.store.statements.find_many([alone.digest, bulk.digest])
        row = rows[bulk.digest]
        assert (row.log_index, row.checkpoint_size, row.api_key) == (1, 2, "key")
        assert (row.message, row.in_force) == (bulk.statement.to_json(), InForce.NOT_APPLICABLE)
        assert world.store.statements.parties(bulk.digest) == {word("util")}
        dataset = Bytes32(version_of(bulk)[0])
        assert [row.version for row in world.store.datasets.versions(dataset).items] == [2, 1]
        found = world.store.datasets.find_registration(bulk.digest)
        assert found is not None
        assert found.dataset_salt == SALT
        assert world.store.statements.list_submittable()[0].digest == alone.digest
        assert len(world.store.statements.list(participant=word("util")).items) == 2


def test_places_and_versions_are_found_among_many(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        first, second, refused = said(world), said(world, 2), said(world, salt=word("other"))
        append(world, first, second)
        world.accept(refused)
        world.store.statements.refuse(refused.digest, {"code": "x", "detail": "y", "facts": {}})
        places = world.store.bulk.find_places([first.digest, second.digest, word("no such")])
        assert places == {first.digest: (0, first.signature), second.digest: (1, second.signature)}
        wanted = [version_of(each) for each in (first, second, refused)]
        assert world.store.bulk.find_versions(wanted) == {wanted[0]: first.digest, wanted[1]: second.digest}
        assert world.store.bulk.find_versions(wanted, alone=True).keys() == set(wanted[:2])
        assert world.store.bulk.find_versions([]) == {}
        assert world.store.bulk.find_retired([wanted[0][0]]) == set()


def test_a_registration_is_found_with_its_version(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        first, second, refused = said(world), said(world, 2), said(world, 3)
        append(world, first, second)
        world.accept(refused)
        world.store.statements.refuse(refused.digest, {"code": "x", "detail": "x", "facts": {}})
        wanted = [version_of(each) for each in (first, second, refused)]
        versions, places = world.store.bulk.find_registered([*wanted, (word("none"), 1)])
        assert versions == {wanted[0]: first.digest, wanted[1]: second.digest}
        assert places == world.store.bulk.find_places([first.digest, second.digest, refused.digest])
        assert places[refused.digest] == (2, refused.signature)
        assert world.store.bulk.find_registered([]) == ({}, {})


@pytest.mark.parametrize("page", [2, 100])
def test_indexes_without_a_statement_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(bulk, "_PAGE", page)
    with open_world(tmp_path) as world:
        assert world.store.bulk.find_gaps(world.log, 0) == []
        placed = [(index, record_of(said(world, salt=word(str(index)))), None) for index in (1, 2, 5)]
        world.store.bulk.append(world.log, placed, 6, NOW)
        found = world.store.bulk.find_gaps(world.log, 8)
        assert found == [range(1), range(3, 5), range(6, 8)]
        assert world.store.bulk.find_gaps(world.log, 6) == found[:2]


def test_a_batch_with_a_taken_digest_stores_nothing(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        first = said(world)
        append(world, first)
        with pytest.raises(ConflictError):
            append(world, said(world, 2), first)
        assert world.store.bulk.find_places([first.digest]).keys() == {first.digest}
        others = Checked(bytes(97), bytes(20), bytes(65), 1, "Erasure", "{}", None)
        with pytest.raises(ValueError, match="registrations"):
            world.store.bulk.append(world.log, [(9, others, None)], 10, NOW)


def test_a_database_of_the_first_version_keeps_all_that_it_said(tmp_path: Path) -> None:
    opened = Database.connect(database_url(tmp_path, "store"))
    digest, participant, other = (word(name).hex() for name in ("digest", "util", "consumer"))
    with opened.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        blob = "decode('{}', 'hex')" if connection.dialect.name == "postgresql" else "x'{}'"
        d, p, o = (blob.format(each) for each in (digest, participant, other))
        connection.exec_driver_sql(
            "INSERT INTO statements (arrival, digest, type, participant, message, signature, signer, custodial, "
            f"received_at, executable) VALUES (7, {d}, 'DatasetRegistration', {p}, '{{}}', {p}, {p}, "
            f"{'false' if 'decode' in blob else '0'}, 1, {'false' if 'decode' in blob else '0'})"
        )
        for party in (p, o):
            connection.exec_driver_sql(f"INSERT INTO statement_parties VALUES ({d}, {party})")
        connection.exec_driver_sql(
            "INSERT INTO said_registrations (digest, dataset, participant, version, content_hash, metadata_hash, "
            f"dataset_salt) VALUES ({d}, {o}, {p}, '{LARGE:020d}', {o}, {o}, {o})"
        )
    with opened.write() as connection:
        upgrade(connection)
        rows = connection.exec_driver_sql("SELECT arrival, digest, dataset, version FROM statements").all()
        found = [(row[0], bytes(row[1]).hex(), bytes(row[2]).hex(), int(row[3])) for row in rows]
        assert found == [(7, digest, other, LARGE)]
        keys = connection.exec_driver_sql("SELECT dataset_key, version_key FROM statements").one()
        assert (bytes(keys[0]), keys[1]) == (word("consumer")[:DATASET_KEY_SIZE], version_key(LARGE))
        parties = connection.exec_driver_sql("SELECT participant FROM statement_parties").all()
        assert [bytes(row[0]).hex() for row in parties] == [other]
    opened.close()
