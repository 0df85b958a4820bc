"""Requests and grants: their states as of a moment, who sees them, filters and pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import MalformedError
from ledger.statements import compute_dataset_id
from ledger.store.rows import AccessRequestRow, GrantRow, NewStatement
from tests.support.store_world import GENESIS_S, NOW, ZERO, World, open_world, word

POWER = compute_dataset_id(word("util"), word("util/power"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        opened.found("util", "firm")
        opened.accept(opened.registration("util", "power"))
        yield opened


def ask(world: World, *, at_s: int = 0, **terms: object) -> NewStatement:
    members = {"provider": word("util"), "dataset": POWER, **world.terms(**terms)}
    return world.say("AccessRequest", participant=word("firm"), at_s=at_s, **members)


def grant_of(world: World, request: NewStatement | None = None, *, at_s: int = 0, **terms: object) -> NewStatement:
    names = ("firstVersion", "lastVersion", "purpose", "rights", "validFrom", "validUntil", "policyHash")
    taken = world.terms(**terms) if request is None else {name: request.statement.message[name] for name in names}
    members = {"participant": word("util"), "datasetSalt": word("util/power"), "consumer": word("firm"), **taken}
    return world.say("AccessGrant", at_s=at_s, **members)


def request_row(world: World, new: NewStatement, after_s: int = 0) -> AccessRequestRow:
    row = world.store.access.find_request(new.digest, NOW + timedelta(seconds=after_s))
    assert row is not None
    return row


def grant_row(world: World, new: NewStatement, after_s: int = 0) -> GrantRow:
    row = world.store.access.find_grant(new.digest, NOW + timedelta(seconds=after_s))
    assert row is not None
    return row


def test_a_request_is_open_then_granted(world: World) -> None:
    request = ask(world)
    row = request_row(world, request)
    assert (row.state, row.grant, row.denial, row.stated_at) == ("open", None, None, request.received_at)
    assert (row.consumer, row.consumer_handle, row.provider_handle) == (word("firm"), "firm", "util")
    assert (row.dataset, row.dataset_slug) == (POWER, "power")
    assert row.terms.policy_hash == request.statement.message["policyHash"]
    assert isinstance(row.terms.policy, dict)
    grant = grant_of(world, request)
    assert (request_row(world, request).state, request_row(world, request).grant) == ("granted", grant.digest)
    world.store.statements.refuse(grant.digest, {"code": "no"})
    assert request_row(world, request).state == "open"
    world.chain.mine(world.granted(grant))
    assert request_row(world, request).grant == grant.digest
    assert grant_row(world, grant).request == request.digest


def test_a_request_is_denied_by_its_provider_alone(world: World) -> None:
    request = ask(world)
    reason = world.document("reason", {"reason": "No."})
    answer: dict[str, Any] = {"consumer": word("firm"), "request": request.digest, "reasonHash": reason.hash}
    world.say("AccessDenial", participant=word("stranger"), **answer)
    assert request_row(world, request).state == "open"
    denial = world.say("AccessDenial", participant=word("util"), **answer)
    assert (request_row(world, request).state, request_row(world, request).denial) == ("denied", denial.digest)


def test_a_request_expires_with_its_window(world: World) -> None:
    request = ask(world, validUntil=GENESIS_S + 10)
    assert request_row(world, request, 9).state == "open"
    assert request_row(world, request, 10).state == "expired"


def test_another_s_grant_answers_no_request(world: World) -> None:
    request = ask(world)
    names = ("firstVersion", "lastVersion", "purpose", "rights", "validFrom", "validUntil", "policyHash")
    taken: dict[str, Any] = {name: request.statement.message[name] for name in names}
    world.say("AccessGrant", participant=word("stranger"), datasetSalt=word("x"), consumer=word("firm"), **taken)
    assert request_row(world, request).state == "open"
    assert world.store.access.find_request(word("unknown"), NOW) is None


def test_a_grant_s_state(world: World) -> None:
    grant = grant_of(world, validFrom=GENESIS_S + 20, validUntil=GENESIS_S + 40)
    assert (grant_row(world, grant, 30).state, grant_row(world, grant, 30).granted_at) == ("pending", None)
    world.store.statements.refuse(grant.digest, {"code": "no"})
    assert grant_row(world, grant, 30).state == "refused"
    world.chain.mine(world.granted(grant))
    assert [grant_row(world, grant, after_s).state for after_s in (19, 20, 39, 40)] == [
        "pending",
        "active",
        "active",
        "expired",
    ]
    row = grant_row(world, grant)
    assert (row.granted_at, row.granted_block, row.dataset_salt) == (world.chain.time(), 2, word("util/power"))
    retired = {"digest": word("r"), "dataset": POWER, "participant": word("util"), "signer": bytes(20)}
    world.chain.mine(("DatasetRegistry", "DatasetRetired", retired))
    row = grant_row(world, grant, 30)
    assert (row.state, row.retired_at) == ("retired", world.chain.time())
    revocation = world.say("AccessRevocation", participant=word("util"), grant=grant.digest)
    world.chain.mine(world.revoked(revocation))
    row = grant_row(world, grant, 30)
    assert (row.state, row.revoked_block, row.revocation) == ("revoked", 4, revocation.digest)
    assert row.revoked_at == world.chain.time()
    found = world.store.access.find_revocation(word("util"), grant.digest)
    assert found is not None
    assert (found.digest, found.block) == (revocation.digest, 4)
    assert world.store.access.find_revocation(word("firm"), grant.digest) is None


def test_a_revocation_reaches_only_its_signer_s_grants(world: World) -> None:
    grant = grant_of(world)
    world.chain.mine(world.granted(grant))
    revocation = world.say("AccessRevocation", participant=word("stranger"), grant=grant.digest)
    world.chain.mine(world.revoked(revocation))
    assert grant_row(world, grant).state == "active"


def test_a_grant_that_came_past_this_gateway(world: World) -> None:
    new = world.new("AccessGrant", participant=word("x"), datasetSalt=word("s"), consumer=word("firm"), **world.terms())
    world.chain.mine(world.granted(new))
    row = grant_row(world, new)
    assert (row.state, row.dataset_salt, row.dataset_slug, row.provider_handle) == ("active", None, None, None)
    assert row.stated_at == row.granted_at == world.chain.time()
    assert world.store.access.find_grant(word("unknown"), NOW) is None


def test_lists_are_for_the_parties(world: World) -> None:
    request, grant = ask(world, at_s=1), grant_of(world, at_s=2)
    access = world.store.access
    for participant, role, seen in (
        (word("util"), "provider", True),
        (word("util"), "consumer", False),
        (word("util"), None, True),
        (word("firm"), "consumer", True),
        (word("firm"), "provider", False),
        (word("stranger"), None, False),
        (None, None, True),
    ):
        requests = access.list_requests(now=NOW, participant=participant, role=role).items
        grants = access.list_grants(now=NOW, participant=participant, role=role).items
        assert [row.digest for row in requests] == ([request.digest] if seen else [])
        assert [row.digest for row in grants] == ([grant.digest] if seen else [])


def test_lists_are_filtered(world: World) -> None:
    early, late = ask(world, at_s=1), ask(world, at_s=60)
    grant = grant_of(world, early, at_s=70)
    access = world.store.access

    def requests(**filters: object) -> list[object]:
        return [row.digest for row in access.list_requests(now=NOW, **filters).items]  # type: ignore[arg-type]  # filters

    def grants(**filters: object) -> list[object]:
        return [row.digest for row in access.list_grants(now=NOW, **filters).items]  # type: ignore[arg-type]  # filters

    assert requests() == [late.digest, early.digest]
    assert requests(state="open") == [late.digest]
    assert requests(state="granted") == [early.digest]
    assert requests(since=NOW + timedelta(seconds=60)) == [late.digest]
    assert requests(dataset=POWER, text="POW") == [late.digest, early.digest]
    assert requests(dataset=ZERO) == requests(text="gas") == []
    assert grants(state="pending") == grants(dataset=POWER) == [grant.digest]
    assert grants(state="active") == grants(dataset=ZERO) == grants(since=NOW + timedelta(seconds=100)) == []
    world.chain.mine(world.granted(grant))
    assert grants(state="active") == [grant.digest]
    assert [row.digest for row in access.grants_for(POWER, word("firm"), NOW)] == [grant.digest]
    assert access.grants_for(POWER, word("util"), NOW) == ()
    for filters in ({"state": "strange"}, {"role": "strange"}, {"role": "provider"}, {"cursor": "AAAA"}):
        with pytest.raises(MalformedError):
            requests(**filters)
        with pytest.raises(MalformedError):
            grants(**filters)


def test_lists_page(world: World) -> None:
    requests = [ask(world, at_s=number // 2).digest for number in range(7)]
    grants = [grant_of(world, at_s=number // 2).digest for number in range(7)]
    access = world.store.access
    for digests, lists in ((requests, access.list_requests), (grants, access.list_grants)):
        seen: list[object] = []
        cursor: str | None = None
        for turn in range(4):
            page = lists(now=NOW + timedelta(seconds=turn), limit=2, cursor=cursor)
            seen += [row.digest for row in page.items]
            cursor = page.next
        assert cursor is None
        assert len(seen) == 7
        assert set(seen) == set(digests)
