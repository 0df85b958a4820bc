"""Agreements, usage and settlements."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import MalformedError
from ledger.statements import Resource
from ledger.store.rows import AgreementRow, NewStatement, UsageRow
from ledger.types import Bytes32
from tests.support.store_world import NOW, World, open_world, word


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        opened.found("manu", "util")
        yield opened


def id_of(proposal: NewStatement) -> Bytes32:
    return Bytes32(proposal.statement.message["agreement"])  # type: ignore[arg-type]  # a bytes32


def find(world: World, proposal: NewStatement) -> AgreementRow:
    row = world.store.agreements.find(id_of(proposal))
    assert row is not None
    return row


def in_force(world: World, *parties: str) -> NewStatement:
    """An active agreement."""
    proposal = world.proposal(*(parties or ("manu", "util")))
    world.accept(proposal)
    activated = {"proposal": proposal.digest, "agreement": id_of(proposal), "revision": 1}
    world.chain.mine(world.proposed(proposal), ("SharingAgreements", "AgreementActivated", activated))
    return proposal


def report(world: World, proposal: NewStatement, quantity: int, *, by: str = "manu", at_s: int = 0) -> NewStatement:
    detail = world.document("detail", {"meter": quantity})
    return world.say(
        "UsageReport",
        participant=word(by),
        user=word("util"),
        agreement=id_of(proposal),
        quantity=quantity,
        periodFrom=1,
        periodUntil=2,
        detailHash=detail.hash,
        at_s=at_s,
    )


def confirm(world: World, proposal: NewStatement, reported: NewStatement, sequence: int, total: int) -> NewStatement:
    new = world.say(
        "UsageConfirmation",
        participant=word("util"),
        agreement=id_of(proposal),
        sequence=sequence,
        report=reported.digest,
        total=total,
    )
    world.chain.mine(world.moved("UsageConfirmed", new))
    return new


def usage(world: World, new: NewStatement) -> UsageRow:
    row = world.store.agreements.find_report(new.digest)
    assert row is not None
    return row


def test_an_agreement_goes_from_said_to_terminated(world: World) -> None:
    proposal = world.proposal("manu", "util")
    world.accept(proposal)
    said = find(world, proposal)
    assert (said.state, said.accepted_by, said.block, said.proposed_at) == ("pending", (), None, proposal.received_at)
    assert said.parties == tuple(sorted((word("manu"), word("util"))))
    world.chain.mine(world.proposed(proposal))
    row = find(world, proposal)
    assert (row.state, row.accepted_by, row.block, row.proposed_at) == (
        "proposed",
        (word("manu"),),
        2,
        world.chain.time(),
    )
    assert (row.proposal, row.revision, row.proposer) == (proposal.digest, 1, word("manu"))
    assert (row.supplier, row.user, row.resource) == (word("manu"), word("util"), Resource.CAPACITY)
    assert row.terms == {"title": "Capacity", "price": "12.50"}
    assert set(row.party_handles) == {"manu", "util"}
    assert (row.quota, row.decimals, row.confirmed, row.settled, row.reported) == (1_000, 1, 0, 0, 0)
    accepted = world.say("AgreementAcceptance", participant=word("util"), agreement=row.id, proposal=proposal.digest)
    activated = {"proposal": proposal.digest, "agreement": row.id, "revision": 1}
    world.chain.mine(world.moved("AgreementAccepted", accepted), ("SharingAgreements", "AgreementActivated", activated))
    row = find(world, proposal)
    assert (row.state, row.accepted_by) == ("active", (word("manu"), word("util")))
    terminated = world.say("AgreementTermination", participant=word("util"), agreement=row.id)
    world.chain.mine(world.moved("AgreementTerminated", terminated))
    assert find(world, proposal).state == "terminated"
    assert world.store.agreements.find(word("unknown")) is None


def test_a_rejected_agreement_takes_a_new_revision(world: World) -> None:
    first = world.proposal("manu", "util")
    world.chain.mine(world.proposed(first))
    rejected = world.say("AgreementRejection", participant=word("util"), agreement=id_of(first), proposal=first.digest)
    world.chain.mine(world.moved("AgreementRejected", rejected))
    assert find(world, first).state == "rejected"
    second = world.proposal("manu", "util", "third", agreement=id_of(first), revision=2)
    world.accept(second)
    assert find(world, first).revision == 1
    world.chain.mine(world.proposed(second))
    row = find(world, first)
    assert (row.state, row.revision, row.proposal, len(row.parties)) == ("proposed", 2, second.digest, 3)
    assert None in row.party_handles


def test_a_refused_proposal_is_no_agreement(world: World) -> None:
    proposal = world.proposal("manu", "util")
    world.accept(proposal)
    world.store.statements.refuse(proposal.digest, {"code": "no"})
    assert world.store.agreements.find(id_of(proposal)) is None


def test_agreements_are_listed_for_their_parties(world: World) -> None:
    active = in_force(world)
    other = world.proposal("util", "firm")
    world.accept(other)
    agreements = world.store.agreements

    def listed(**filters: object) -> set[Bytes32]:
        return {row.id for row in agreements.list(**filters).items}  # type: ignore[arg-type]  # any of its filters

    assert listed() == {id_of(active), id_of(other)}
    assert listed(participant=word("util")) == {id_of(active), id_of(other)}
    assert listed(participant=word("manu")) == {id_of(active)}
    assert listed(participant=word("firm")) == {id_of(other)}
    assert listed(participant=word("stranger")) == set()
    assert listed(participant=word("util"), role="user") == {id_of(active)}
    assert listed(participant=word("util"), role="supplier") == {id_of(other)}
    assert listed(state="active") == {id_of(active)}
    assert listed(state="pending") == {id_of(other)}
    assert listed(since=NOW + timedelta(seconds=5)) == set()
    for filters in ({"state": "strange"}, {"role": "strange"}, {"role": "user"}, {"cursor": "AAAA"}):
        with pytest.raises(MalformedError):
            listed(**filters)


def test_usage_is_reported_confirmed_disputed_settled(world: World) -> None:
    proposal = in_force(world)
    first, second, third = (report(world, proposal, quantity, at_s=quantity) for quantity in (10, 20, 30))
    assert find(world, proposal).reported == 60
    row = usage(world, first)
    assert (row.state, row.quantity, row.decimals, row.detail) == ("reported", 10, 1, {"meter": 10})
    assert (row.supplier, row.user, row.period_from, row.period_until) == (word("manu"), word("util"), 1, 2)
    confirmation = confirm(world, proposal, first, 1, 10)
    reason = world.document("reason", {"reason": "Too much."})
    dispute: dict[str, Any] = {"agreement": id_of(proposal), "report": second.digest, "reasonHash": reason.hash}
    other = dispute | {"reasonHash": world.document("reason", {"reason": "No."}).hash}
    world.say("UsageDispute", participant=word("stranger"), supplier=word("manu"), **other)
    assert usage(world, second).state == "reported"
    disputed = world.say("UsageDispute", participant=word("util"), supplier=word("manu"), **dispute)
    row = usage(world, second)
    assert (row.state, row.dispute, row.reason) == ("disputed", disputed.digest, {"reason": "Too much."})
    row = usage(world, first)
    assert (row.state, row.confirmation) == ("confirmed", confirmation.digest)
    agreement = find(world, proposal)
    assert (agreement.confirmed, agreement.confirmations, agreement.reported) == (10, 1, 40)
    confirm(world, proposal, second, 2, 30)
    assert usage(world, second).state == "confirmed"
    listed = world.store.agreements.list_usage
    assert [row.digest for row in listed().items] == [third.digest, second.digest, first.digest]
    assert [row.digest for row in listed(state="reported", agreement=id_of(proposal)).items] == [third.digest]
    assert len(listed(participant=word("util")).items) == len(listed(participant=word("manu")).items) == 3
    assert listed(participant=word("stranger")).items == listed(agreement=word("x")).items == ()
    assert [row.digest for row in listed(since=NOW + timedelta(seconds=30)).items] == [third.digest]
    page = listed(limit=2)
    assert [row.digest for row in listed(limit=2, cursor=page.next).items] == [first.digest]
    with pytest.raises(MalformedError):
        listed(state="strange")
    assert world.store.agreements.find_report(word("unknown")) is None


def test_only_the_supplier_reports(world: World) -> None:
    proposal = in_force(world)
    stranger = report(world, proposal, 10, by="stranger")
    assert world.store.agreements.find_report(stranger.digest) is None
    assert find(world, proposal).reported == 0


def test_settlements_tell_what_each_settled(world: World) -> None:
    proposal = in_force(world)
    invoice = world.document("invoice", {"number": "7"})
    for sequence, total in ((1, 10), (2, 35)):
        members: dict[str, Any] = {
            "agreement": id_of(proposal),
            "sequence": sequence,
            "total": total,
            "invoiceHash": invoice.hash,
        }
        new = world.say("SettlementRecord", participant=word("manu"), **members)
        world.chain.mine(world.moved("SettlementRecorded", new))
    listed = world.store.agreements.list_settlements
    rows = listed(agreement=id_of(proposal)).items
    assert [(row.sequence, row.quantity, row.total) for row in rows] == [(2, 25, 35), (1, 10, 10)]
    assert (rows[0].invoice, rows[0].decimals, rows[0].settled_at) == ({"number": "7"}, 1, world.chain.time())
    assert (find(world, proposal).settled, find(world, proposal).settlements) == (35, 2)
    assert len(listed(participant=word("util")).items) == 2
    assert listed(participant=word("stranger")).items == ()
    page = listed(limit=1)
    assert [row.sequence for row in listed(limit=1, cursor=page.next).items] == [1]


def test_an_agreement_that_came_past_this_gateway(world: World) -> None:
    proposal = world.proposal("manu", "util")
    world.chain.mine(world.proposed(proposal))
    row = find(world, proposal)
    assert row.parties == tuple(sorted((word("manu"), word("util"))))
    assert [each.id for each in world.store.agreements.list(participant=word("util")).items] == [row.id]
