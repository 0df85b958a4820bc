"""Participants, keys, governors and proposals, as the chain tells them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import MalformedError
from ledger.keccak import keccak256
from ledger.statements import Choice, Custody, Decision, HistoryKind
from tests.support.store_world import ZERO, World, account, open_world, padded, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        opened.found("gov", "reg", threshold=2)
        yield opened


def test_founders_are_active_governors(world: World) -> None:
    row = world.store.participants.find(word("gov"))
    assert row is not None
    assert (row.handle, row.status, row.governor, row.profile_version) == ("gov", "active", True, 1)
    assert row.control_key == account("gov control")
    assert row.profile == {"handle": "gov", "name": "Gov AG"}
    assert row.admitted_at == row.first_seen_at == world.chain.time(1)
    governors = world.store.governance.governors()
    assert (governors.epoch, governors.threshold, set(governors.governors)) == (1, 2, {word("gov"), word("reg")})
    assert world.store.governance.list().items == ()
    assert world.store.participants.find(word("nobody")) is None


def test_an_applicant_is_admitted_by_vote(world: World) -> None:
    profile = world.profile("util")
    world.chain.mine(world.filed("util", profile))
    row = world.store.participants.find_by_handle("util")
    assert row is not None
    assert (row.status, row.governor, row.profile_version, row.admitted_at) == ("applied", False, 0, None)
    assert (row.profile_hash, row.control_key) == (profile, account("util control"))
    application = word("application util")
    (proposal,) = world.store.governance.list(state="open").items
    assert (proposal.id, proposal.decision, proposal.subject) == (application, Decision.ADMIT, word("util"))
    assert (proposal.subject_handle, proposal.votes, proposal.threshold) == ("util", (), 2)
    world.chain.mine(*world.vote("gov", Decision.ADMIT, word("util"), application))
    open_one = world.store.governance.find_open(Decision.ADMIT, word("util"), application)
    assert open_one is not None
    assert [(vote.governor, vote.choice) for vote in open_one.votes] == [(word("gov"), Choice.APPROVE)]
    records = world.admission("util", profile)
    world.chain.mine(*records, *world.vote("reg", Decision.ADMIT, word("util"), application, decided=True))
    executed = world.store.governance.find(application)
    assert executed is not None
    assert (executed.state, executed.decided_at, len(executed.votes)) == ("executed", world.chain.time(), 2)
    assert world.store.governance.find_open(Decision.ADMIT, word("util"), application) is None
    row = world.store.participants.find(word("util"))
    assert row is not None
    assert (row.status, row.profile_version, row.admitted_at) == ("active", 1, world.chain.time())
    assert row.first_seen_at == world.chain.time(2)
    assert world.store.governance.counter_of(word("util")) == 1


def test_another_application_of_an_admitted_participant_lapses(world: World) -> None:
    profile = world.profile("util")
    world.chain.mine(world.filed("util", profile), world.filed("util", word("other profile"), word("second")))
    row = world.store.participants.find(word("util"))
    assert row is not None
    assert row.profile_hash == word("other profile")
    first = word("application util")
    world.chain.mine(
        *world.admission("util", profile), *world.vote("gov", Decision.ADMIT, word("util"), first, decided=True)
    )
    states = {row.id: row.state for row in world.store.governance.list().items}
    assert states == {first: "executed", word("second"): "lapsed"}
    row = world.store.participants.find(word("util"))
    assert row is not None
    assert row.profile_hash == profile


def test_an_application_can_be_rejected_and_voted_again(world: World) -> None:
    world.chain.mine(world.filed("util", world.profile("util")))
    application = word("application util")
    vote = world.vote("gov", Decision.ADMIT, word("util"), application, choice=Choice.REJECT, decided=False)
    world.chain.mine(*vote)
    (rejected,) = world.store.governance.list(state="rejected").items
    assert (rejected.id, rejected.counter, rejected.votes[0].choice) == (application, 0, Choice.REJECT)
    world.chain.mine(*world.vote("reg", Decision.ADMIT, word("util"), application))
    (reopened,) = world.store.governance.list(state="open").items
    assert (reopened.id, reopened.counter, len(reopened.votes)) == (application, 1, 1)


def test_a_ballot_lapses_when_epoch_or_counter_moves(world: World) -> None:
    world.chain.mine(*world.vote("gov", Decision.SET_THRESHOLD, ZERO, padded(1)))
    (ballot,) = world.store.governance.list(state="open").items
    words = (padded(7), ZERO, padded(1), padded(1), padded(0))
    assert ballot.id == keccak256(b"".join(words))
    suspend = world.vote("gov", Decision.SUSPEND, word("util"))
    world.chain.mine(*suspend)
    world.chain.mine(
        world.history(HistoryKind.GOVERNOR_DISMISSED, word("reg")),
        *world.vote("gov", Decision.DISMISS_GOVERNOR, word("reg"), decided=True),
    )
    governors = world.store.governance.governors()
    assert (governors.epoch, governors.governors) == (2, (word("gov"),))
    states = {row.decision: row.state for row in world.store.governance.list().items}
    assert states == {
        Decision.SET_THRESHOLD: "lapsed",
        Decision.SUSPEND: "lapsed",
        Decision.DISMISS_GOVERNOR: "executed",
    }


def test_a_decision_shows_the_threshold_of_its_time(world: World) -> None:
    first = world.vote("gov", Decision.SUSPEND, word("util"), decided=True)
    world.chain.mine(first[0], world.history(HistoryKind.SUSPENDED, word("util")), first[1])
    second = world.vote("gov", Decision.SET_THRESHOLD, ZERO, padded(1), decided=True)
    world.chain.mine(second[0], world.history(HistoryKind.THRESHOLD_SET, ZERO, padded(1)), second[1])
    thresholds = {row.decision: row.threshold for row in world.store.governance.list(state="executed").items}
    assert thresholds == {Decision.SUSPEND: 2, Decision.SET_THRESHOLD: 2}
    assert world.store.governance.governors().threshold == 1


def test_proposals_page(world: World) -> None:
    for number in range(5):
        world.chain.mine(world.filed(f"p{number}", word("profile")))
    page = world.store.governance.list(limit=3)
    rest = world.store.governance.list(limit=3, cursor=page.next)
    ids = [row.subject for row in (*page.items, *rest.items)]
    assert (ids, rest.next) == ([word(f"p{number}") for number in (4, 3, 2, 1, 0)], None)
    with pytest.raises(MalformedError):
        world.store.governance.list(state="open", cursor=page.next)
    with pytest.raises(MalformedError):
        world.store.governance.list(limit=0)
    with pytest.raises(MalformedError):
        world.store.governance.list(state="strange")


def test_standing_follows_the_history(world: World) -> None:
    kinds = {
        HistoryKind.SUSPENDED: "suspended",
        HistoryKind.REINSTATED: "active",
        HistoryKind.RETIRED: "retired",
    }
    for kind, status in kinds.items():
        world.chain.mine(world.history(kind, word("reg")))
        row = world.store.participants.find(word("reg"))
        assert row is not None
        assert row.status == status
        assert [each.id for each in world.store.participants.list(state=status).items if each.id == word("reg")]
    world.chain.mine(
        world.history(HistoryKind.GOVERNOR_DISMISSED, word("reg")),
        world.history(HistoryKind.PROFILE_UPDATED, word("reg"), word("new profile")),
    )
    row = world.store.participants.find(word("reg"))
    assert row is not None
    assert (row.governor, row.profile_version, row.profile_hash, row.profile) == (False, 2, word("new profile"), None)


def test_keys_are_active_from_and_until(world: World) -> None:
    own = padded(account("second"))
    world.chain.mine(
        world.history(HistoryKind.KEY_ADDED, word("gov"), own),
        world.history(HistoryKind.CONTROL_KEY_SET, word("gov"), padded(account("new control"))),
    )
    world.chain.mine(world.history(HistoryKind.KEY_REVOKED, word("gov"), padded(account("gov signing"))))
    keys = {(key.role, key.key): key for key in world.store.participants.keys(word("gov"))}
    assert len(keys) == 4
    first, second = keys["signing", account("gov signing")], keys["signing", account("second")]
    assert (first.custody, first.active_from, first.active_until) == (
        Custody.CUSTODIAL,
        world.chain.time(1),
        world.chain.time(3),
    )
    assert (second.custody, second.active_from, second.active_until) == (Custody.OWN, world.chain.time(2), None)
    assert keys["control", account("gov control")].active_until == world.chain.time(2)
    assert keys["control", account("new control")].active_until is None
    assert [key.key for key in world.store.participants.active_signing_keys(word("gov"))] == [account("second")]
    row = world.store.participants.find(word("gov"))
    assert row is not None
    assert row.control_key == account("new control")
    for key in ("gov signing", "second", "gov control", "new control"):
        holder = world.store.participants.find_by_key(account(key))
        assert holder is not None
        assert holder.id == word("gov")
    assert world.store.participants.find_by_key(account("stranger")) is None
    assert world.store.participants.keys(word("nobody")) == ()


def test_a_recovery_is_a_proposal_by_its_claim(world: World) -> None:
    claim = {"digest": word("claim"), "participant": word("reg"), "newKey": account("new")}
    world.chain.mine(("ParticipantRegistry", "ControlKeyClaimed", claim))
    (proposal,) = world.store.governance.list().items
    assert (proposal.id, proposal.decision, proposal.state) == (word("claim"), Decision.RECOVER_CONTROL_KEY, "open")


def test_participants_are_searched_and_paged(world: World) -> None:
    for name in ("alpha", "beta", "alphorn"):
        world.chain.mine(world.filed(name, world.profile(name)))
    participants = world.store.participants
    assert [row.handle for row in participants.list(text="ALPH").items] == ["alphorn", "alpha"]
    assert [row.handle for row in participants.list(text="beta ag").items] == ["beta"]
    assert participants.list(text="%").items == ()
    assert {row.handle for row in participants.list(state="active").items} == {"gov", "reg"}
    page = participants.list(limit=3)
    rest = participants.list(limit=3, cursor=page.next)
    assert [row.handle for row in page.items] == ["alphorn", "beta", "alpha"]
    assert ({row.handle for row in rest.items}, rest.next) == ({"gov", "reg"}, None)
    assert page.as_of_block == 4
    with pytest.raises(MalformedError):
        participants.list(state="strange")
    assert participants.find_by_handle("nobody") is None
