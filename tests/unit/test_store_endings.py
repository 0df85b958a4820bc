"""Which current sealings were given of under a grant that is over, by what the chain says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.statements import HistoryKind, compute_dataset_id
from ledger.store.rows import AccessRow, NewStatement, SealingRow, SealingState, TransferRow
from ledger.types import Bytes32
from tests.support.store_world import GENESIS_S, NOW, World, open_world, word

POWER = compute_dataset_id(word("util"), word("util/power"))
VERSION = word("registration")
LATER = NOW + timedelta(seconds=500)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        opened.found("util", "firm", "mill")
        yield opened


def permit(world: World, consumer: str = "firm", **terms: object) -> NewStatement:
    """A grant that came past this gateway."""
    given = {"datasetSalt": word("util/power"), "consumer": word(consumer), **world.terms(**terms)}
    new = world.new("AccessGrant", participant=word("util"), **given)
    world.chain.mine(world.granted(new))
    return new


def seal(world: World, name: str) -> Bytes32:
    """The current sealing of the version; the digest of its statement."""
    sealing, statement = word(f"sealing {name}"), word(f"statement {name}")
    rows = world.store.sealings
    rows.add(SealingRow(sealing, VERSION, POWER, 1, SealingState.MAKING, None, b"w", "kek", None, NOW))
    rows.complete(sealing, b"descriptor")
    rows.announce(sealing, statement)
    rows.make_current(sealing, NOW)
    return statement


def give(world: World, grant: NewStatement, sealing: Bytes32, *what: str) -> Bytes32:
    """A transfer under a grant, and what was given of it."""
    transfer, consumer = world.salt(), Bytes32(grant.statement.message["consumer"])  # type: ignore[arg-type]  # an id
    row = TransferRow(transfer, consumer, word("util"), VERSION, grant.digest, sealing, NOW)
    world.store.transfers.add_or_get(row)
    for each in what:
        world.store.transfers.log_access(transfer, AccessRow(NOW, 1, each, None, None))
    return transfer


def test_what_was_given_counts_once_its_grant_is_over(world: World) -> None:
    transfers, sealing = world.store.transfers, seal(world, "first")
    sold, looked, other = permit(world), permit(world), permit(world, "mill")
    give(world, sold, sealing, "offer", "data")
    give(world, sold, sealing, "key")
    give(world, looked, sealing, "offer", "manifest", "leaves")  # not a byte of the data
    give(world, other, sealing, "data")
    assert transfers.list_ended(LATER) == ()
    for grant in (sold, looked):
        ended = world.new("AccessRevocation", participant=word("util"), grant=grant.digest)
        world.chain.mine(world.revoked(ended))
    assert transfers.list_ended(LATER) == ((VERSION, sold.digest),)
    seal(world, "second")
    assert transfers.list_ended(LATER) == ()


def test_a_grant_is_over_by_time(world: World) -> None:
    grant = permit(world, validUntil=GENESIS_S + 100)
    give(world, grant, seal(world, "one"), "data")
    for after_s, over in ((99, ()), (100, ((VERSION, grant.digest),))):
        assert world.store.transfers.list_ended(NOW + timedelta(seconds=after_s)) == over


def test_a_grant_is_over_where_its_data_set_is_retired(world: World) -> None:
    grant = permit(world)
    give(world, grant, seal(world, "one"), "key")
    retired = {"digest": word("r"), "dataset": POWER, "participant": word("util"), "signer": bytes(20)}
    world.chain.mine(("DatasetRegistry", "DatasetRetired", retired))
    assert world.store.transfers.list_ended(LATER) == ((VERSION, grant.digest),)


@pytest.mark.parametrize("side", ["firm", "util"])
def test_a_grant_is_masked_while_a_side_is_suspended(world: World, side: str) -> None:
    grant = permit(world)
    give(world, grant, seal(world, "one"), "data")
    world.chain.mine(world.history(HistoryKind.SUSPENDED, word(side)))
    assert world.store.transfers.list_ended(LATER) == ((VERSION, grant.digest),)
    world.chain.mine(world.history(HistoryKind.REINSTATED, word(side)))
    assert world.store.transfers.list_ended(LATER) == ()
    world.chain.mine(world.history(HistoryKind.RETIRED, word(side)))
    assert world.store.transfers.list_ended(LATER) == ((VERSION, grant.digest),)


def test_an_ended_sealing_has_no_successor_until_one_is_made(world: World) -> None:
    statement = seal(world, "one")
    world.store.sealings.end(VERSION, LATER)
    world.store.sealings.end(VERSION, LATER)
    ended = world.store.sealings.find_stated(statement)
    assert ended is not None
    assert (ended.state, ended.wrapped_key, ended.ended_at) == (SealingState.REPLACED, None, LATER)
    assert world.store.sealings.find_current(VERSION) is None
    seal(world, "two")
    assert world.store.sealings.find_current(VERSION) is not None


def test_owed_is_the_key_of_what_is_receipted_in_the_log(world: World) -> None:
    transfers, sealing, grant = world.store.transfers, seal(world, "one"), permit(world)
    none, announced, receipted, half, released = (give(world, grant, sealing, "data") for _ in range(5))
    said = [world.say("AccessRevocation", participant=word("util"), grant=word(str(each))).digest for each in range(4)]
    transfers.announce_receipt(announced, word("never logged"))
    for transfer, digest in zip((receipted, half, released), said, strict=False):
        transfers.announce_receipt(transfer, digest)
    transfers.announce_release(half, word("cut off"))
    transfers.announce_release(released, said[3])
    assert {row.id for row in transfers.list_owed(sealing)} == {receipted, half}
    assert none not in {row.id for row in transfers.list_owed(sealing)}
    assert transfers.list_owed(word("another")) == ()
