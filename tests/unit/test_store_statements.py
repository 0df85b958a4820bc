"""Statements, their indices, states and parties; the log's checkpoint row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.log import Checkpoint
from ledger.statements import Statement
from ledger.store.rows import InForce, StatementState
from tests.support.databases import is_postgresql
from tests.support.store_world import FOREVER, NOW, World, open_world, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


def test_a_statement_is_staged_and_then_accepted(world: World) -> None:
    new = world.new("ParticipantRetirement", participant=word("a"))
    statements = world.store.statements
    assert statements.stage([new, new]) == {new.digest}
    assert statements.stage([new]) == frozenset()
    (row,) = statements.list_staged()
    assert (row.digest, row.state, row.log_index) == (new.digest, StatementState.STAGED, None)
    assert statements.list().items == ()
    statements.accept_staged(world.log, {new.digest: 7}, 8)
    statements.accept_staged(world.log, {new.digest: 7}, 8)
    statements.accept_staged(world.log, {}, 8)
    found = statements.find(new.digest)
    assert found is not None
    assert (found.state, found.log_index, found.checkpoint_size) == (StatementState.ACCEPTED, 7, 8)
    assert Statement.parse(found.type, found.message) == new.statement
    assert statements.list_staged() == ()
    assert statements.find_by_index(world.log, 7) == found
    assert statements.find_by_index(word("other log"), 7) is None
    assert statements.find(word("unknown")) is None


def test_an_index_holds_one_statement_and_a_statement_one_index(world: World) -> None:
    first, second = (world.new("ParticipantRetirement", participant=word("a")) for _ in range(2))
    statements = world.store.statements
    statements.accept(world.log, [first], 0, 1)
    with pytest.raises(ConflictError) as caught:
        statements.accept(world.log, [second], 0, 1)
    assert caught.value.code == "log-index-taken"
    assert statements.find(second.digest) is None
    with pytest.raises(ConflictError):
        statements.accept_staged(world.log, {first.digest: 1}, 2)
    with pytest.raises(NotFoundError):
        statements.accept_staged(world.log, {second.digest: 1}, 2)


def test_staged_statements_can_be_discarded_accepted_ones_not(world: World) -> None:
    staged, accepted = (world.new("ParticipantRetirement", participant=word("a")) for _ in range(2))
    world.accept(accepted)
    world.store.statements.stage([staged])
    world.store.statements.discard_staged([staged.digest, accepted.digest])
    assert set(world.store.statements.find_many([staged.digest, accepted.digest])) == {accepted.digest}
    assert world.store.statements.parties(staged.digest) == frozenset()


def test_a_big_batch_is_stored_in_one_go(world: World) -> None:
    news = [
        world.new("AccessDenial", participant=word("a"), consumer=word("b"), request=word(str(n)), reasonHash=word("r"))
        for n in range(1_200)
    ]
    world.accept(*news)
    assert len(world.store.statements.find_many([new.digest for new in news])) == 1_200


def test_what_somebody_else_relayed_is_submitted_again_when_its_block_goes_away(world: World) -> None:
    said = world.say("ParticipantRetirement", participant=word("a"))
    retired = ("ParticipantRegistry", "ParticipantRetired", {"digest": said.digest, "participant": word("a")})
    world.chain.mine()
    world.chain.mine(retired, final=False)
    projections, statements = world.store.projections, world.store.statements

    def waiting() -> list[bytes]:
        return [row.digest for row in statements.list_submittable()]

    projections.set_final(1)  # a step of the indexer while the effect may still be undone
    projections.rollback(1)
    assert waiting() == [said.digest]
    block, events = world.chain.blocks[-1]
    projections.fold(block, events)
    projections.set_final(2)
    projections.reset()  # and nothing is submitted of what is final, whatever the projections say
    assert waiting() == []


def test_state_and_force_follow_the_chain(world: World) -> None:
    executable = world.say("ParticipantRetirement", participant=word("a"))
    log_only = world.say(
        "AccessDenial", participant=word("a"), consumer=word("b"), request=word("r"), reasonHash=word("h")
    )

    def states() -> list[tuple[StatementState, InForce]]:
        found = world.store.statements.find_many([executable.digest, log_only.digest])
        return [(found[each.digest].state, found[each.digest].in_force) for each in (executable, log_only)]

    assert states() == [
        (StatementState.ACCEPTED, InForce.PENDING),
        (StatementState.ACCEPTED, InForce.NOT_APPLICABLE),
    ]
    assert world.store.statements.oldest_unanchored(world.log) == min(executable.received_at, log_only.received_at)
    world.chain.mine(world.published(2), final=False)
    assert states() == [(StatementState.ANCHORED, InForce.PENDING), (StatementState.ANCHORED, InForce.NOT_APPLICABLE)]
    assert world.store.statements.oldest_unanchored(world.log) is None
    world.store.projections.set_final(1)
    assert states() == [(StatementState.ANCHORED, InForce.PENDING), (StatementState.FINAL, InForce.NOT_APPLICABLE)]
    retired = ("ParticipantRegistry", "ParticipantRetired", {"digest": executable.digest, "participant": word("a")})
    world.chain.mine(world.published(5, 2), retired, final=False)
    assert states()[0] == (StatementState.ANCHORED, InForce.YES)
    world.store.projections.set_final(2)
    assert states()[0] == (StatementState.FINAL, InForce.YES)
    row = world.store.statements.find(executable.digest)
    assert row is not None
    assert row.anchor is not None
    assert row.effect is not None
    assert (row.anchor.size, row.anchor.block, row.effect.block, row.effect.event) == (2, 1, 2, "ParticipantRetired")
    world.store.projections.rollback(1)
    assert states()[0] == (StatementState.ANCHORED, InForce.PENDING)


def test_a_refused_statement_is_final_once_anchored_and_an_effect_outranks_the_refusal(world: World) -> None:
    new = world.say("ParticipantRetirement", participant=word("a"))
    world.store.statements.refuse(new.digest, {"code": "no", "detail": "No.", "facts": {"status": 2}})
    world.chain.mine(world.published(1))
    row = world.store.statements.find(new.digest)
    assert row is not None
    assert (row.state, row.in_force) == (StatementState.FINAL, InForce.REFUSED)
    assert row.refusal == {"code": "no", "detail": "No.", "facts": {"status": 2}}
    world.chain.mine(("ParticipantRegistry", "ParticipantRetired", {"digest": new.digest, "participant": word("a")}))
    row = world.store.statements.find(new.digest)
    assert row is not None
    assert row.in_force is InForce.YES
    with pytest.raises(NotFoundError):
        world.store.statements.refuse(word("unknown"), {})


def test_what_is_to_be_submitted(world: World) -> None:
    news = [world.say("ParticipantRetirement", participant=word(str(number))) for number in range(4)]
    world.say("AccessDenial", participant=word("a"), consumer=word("b"), request=word("r"), reasonHash=word("h"))
    world.store.statements.stage([world.new("ParticipantRetirement", participant=word("z"))])
    world.store.statements.refuse(news[0].digest, {"code": "no"})
    world.chain.mine(
        ("ParticipantRegistry", "ParticipantRetired", {"digest": news[1].digest, "participant": word("1")}),
        final=False,
    )
    assert [row.digest for row in world.store.statements.list_submittable()] == [news[2].digest, news[3].digest]
    assert [row.digest for row in world.store.statements.list_submittable(1)] == [news[2].digest]
    # What somebody else relayed comes back when it is undone before it was final.
    world.store.projections.rollback(0)
    assert news[1].digest in {row.digest for row in world.store.statements.list_submittable()}


def test_what_is_final_is_not_submitted_again(world: World) -> None:
    new = world.say("ParticipantRetirement", participant=word("a"))
    retired = ("ParticipantRegistry", "ParticipantRetired", {"digest": new.digest, "participant": word("a")})
    world.chain.mine(retired, final=True)
    world.store.projections.reset()
    assert world.store.statements.list_submittable() == ()


def test_a_list_shows_what_a_participant_may_read(world: World) -> None:
    denial = world.say(
        "AccessDenial", participant=word("a"), consumer=word("b"), request=word("r"), reasonHash=word("h"), at_s=5
    )
    own = world.say("ParticipantRetirement", participant=word("b"), at_s=9)
    world.say("ParticipantRetirement", participant=word("c"), at_s=10)
    statements = world.store.statements
    assert [row.digest for row in statements.list(participant=word("b")).items] == [own.digest, denial.digest]
    assert [row.digest for row in statements.list(participant=word("a")).items] == [denial.digest]
    assert statements.parties(denial.digest) == {word("a"), word("b")}
    assert len(statements.list().items) == 3
    assert [row.digest for row in statements.list(type_name="AccessDenial").items] == [denial.digest]
    late = statements.list(participant=word("b"), since=NOW + timedelta(seconds=9))
    assert [row.digest for row in late.items] == [own.digest]


def test_a_list_pages_to_its_end(world: World) -> None:
    news = [world.say("ParticipantRetirement", participant=word("a")) for _ in range(7)]
    seen, cursor = [], None
    for _ in range(3):
        page = world.store.statements.list(participant=word("a"), limit=3, cursor=cursor)
        seen += [row.digest for row in page.items]
        cursor = page.next
        world.say("ParticipantRetirement", participant=word("a"))
    assert cursor is None
    assert seen == [new.digest for new in reversed(news)]
    page = world.store.statements.list(participant=word("a"), limit=3)
    with pytest.raises(MalformedError):
        world.store.statements.list(participant=word("b"), limit=3, cursor=page.next)
    for limit in (0, 201):
        with pytest.raises(MalformedError):
            world.store.statements.list(limit=limit)


def test_a_revocation_is_readable_by_the_consumer_of_the_grant(world: World) -> None:
    grant = world.say("AccessGrant", participant=word("p"), datasetSalt=word("d"), consumer=word("c"), **world.terms())
    revocation = world.say("AccessRevocation", participant=word("p"), grant=grant.digest)
    assert world.store.statements.parties(revocation.digest) == {word("p"), word("c")}
    stranger = world.say("AccessRevocation", participant=word("x"), grant=grant.digest)
    assert world.store.statements.parties(stranger.digest) == {word("x")}


def test_what_is_said_of_an_agreement_is_readable_by_its_parties(world: World) -> None:
    proposal = world.proposal("s", "u", "w")
    agreement = proposal.statement.message["agreement"]
    early = world.say("AgreementAcceptance", participant=word("u"), agreement=agreement, proposal=proposal.digest)
    assert world.store.statements.parties(early.digest) == {word("u")}
    world.accept(proposal)
    world.chain.mine(world.proposed(proposal))
    late = world.say("AgreementAcceptance", participant=word("w"), agreement=agreement, proposal=proposal.digest)
    assert world.store.statements.parties(late.digest) == {word("s"), word("u"), word("w")}
    outsider = world.say("AgreementTermination", participant=word("x"), agreement=agreement)
    assert world.store.statements.parties(outsider.digest) == {word("x")}


def test_the_greatest_numbers_are_kept(world: World) -> None:
    new = world.say(
        "AccessGrant",
        participant=word("p"),
        datasetSalt=word("d"),
        consumer=word("c"),
        **world.terms(rights=2**256 - 1, lastVersion=FOREVER),
    )
    row = world.store.access.find_grant(new.digest, NOW)
    assert row is not None
    assert (row.terms.rights, row.terms.last_version, row.terms.valid_until) == (2**256 - 1, FOREVER, FOREVER)


def test_the_checkpoint_row_is_swapped_only_by_who_knows_it(world: World) -> None:
    checkpoints = world.store.checkpoints
    one, two = Checkpoint("log.example", 1, word("1")), Checkpoint("log.example", 2, word("2"), ("anchor-by x",))
    other = Checkpoint("other.example", 1, word("1"))
    assert checkpoints.load("log.example") is None
    assert not checkpoints.compare_and_swap(one, two)
    assert checkpoints.compare_and_swap(None, one)
    assert not checkpoints.compare_and_swap(None, two)
    assert checkpoints.compare_and_swap(None, other)
    assert checkpoints.compare_and_swap(one, two)
    assert not checkpoints.compare_and_swap(one, two)
    assert checkpoints.load("log.example") == two
    assert checkpoints.load("other.example") == other
    assert [checkpoints.find("log.example", size) for size in (1, 2, 3)] == [one, two, None]


@pytest.mark.skipif(is_postgresql(), reason="asks SQLite how it would search")
def test_what_waits_is_found_without_looking_at_every_statement(world: World) -> None:
    asked: list[tuple[str, object]] = []
    with world.store._database.read() as connection:
        listening = (connection.engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        event.listen(*listening)
        world.store.statements.list_submittable()
        world.store.statements.oldest_unanchored(world.log)
        event.remove(*listening)
        plans = [
            str(row[-1])
            for query, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)  # type: ignore[arg-type]
        ]
    assert any("SEARCH statements" in step for step in plans)
    assert not [step for step in plans if "SCAN statements" in step]
