"""Registrations that came in bulk are lifted onto the chain: by the route and by `concord dataset lift`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from ledger.chain import Call, encode_register_from_log
from ledger.client import Identity, LocalKey, lifting, participants, statements
from ledger.errors import ConflictError, RefusedError, VerificationError
from ledger.evidence import Verdict, Verifier, summarize, verify_all
from ledger.evidence.node import Node
from ledger.evidence.pinning import create_policy
from ledger.statements import compute_dataset_id, generate_private_key
from ledger.types import Bytes32
from tests.support.asking import Asking, asking, assert_problem
from tests.support.bulk import Said, Sayer
from tests.support.console import Console
from tests.support.world import Member, World


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("lifting"), "utility", "analyst") as world:
        yield world


@pytest.fixture
def world(asked: Asking) -> World:
    return asked.world


def say(asked: Asking, member: Member, key: LocalKey | None = None, **members: object) -> Said:
    """A registration that came in bulk and is anchored."""
    said = Sayer(member.id, key or member.signing, asked.world.domains).register(**members)
    headers = {"Authorization": f"Bearer {member.token}", "Content-Type": "application/x-ndjson"}
    answer = asked.http.post("/v1/statements:batch", content=said.line, headers=headers)
    assert json.loads(answer.content.splitlines()[-1])["accepted"] == 1, answer.text
    followed = member.client.run(statements.wait(said.digest))
    assert (followed.state, followed.in_force) == ("final", "not-applicable")
    return said


def place_of(said: Said) -> dict[str, object]:
    message = said.statement.message
    salt = message["datasetSalt"]
    assert isinstance(salt, Bytes32)
    dataset = compute_dataset_id(said.statement.participant, salt)
    return {"dataset": dataset, "version": message["version"], "registration": said.digest}


def path_of(said: Said) -> str:
    place = place_of(said)
    return f"/v1/datasets/{place['dataset']}/versions/{place['version']}/lift"


def post(asked: Asking, who: str, said: Said, body: Mapping[str, Any] | None = None) -> httpx.Response:
    headers = asked.headers(who) | {"Prefer": "wait=30"}
    return asked.http.post(path_of(said), json=body, headers=headers)


def test_a_lifted_registration_is_in_force_and_its_evidence_verifies(asked: Asking) -> None:
    utility = asked.world.members["utility"]
    said = say(asked, utility)
    assert_problem(asked.get("analyst", path_of(said)), 404, "not-found", "POST asks")
    answer = post(asked, "utility", said)
    assert (answer.status_code, answer.json()["state"]) == (201, "final"), answer.text
    assert answer.headers["location"] == path_of(said)
    place = place_of(said)
    kept = asked.world.gateway.parts.reader.registration_of(Bytes32.parse(str(place["dataset"])), 1)
    assert kept == said.digest
    assert asked.get("analyst", path_of(said)).json() == answer.json() | {
        "as_of_block": asked.get("analyst", path_of(said)).json()["as_of_block"]
    }
    view = asked.get("utility", f"/v1/statements/{said.digest}").json()
    assert (view["in_force"], view["state"], view["block"]) == ("yes", "final", answer.json()["block"])
    policy = create_policy(Node(asked.world.url + "/rpc"), asked.world.founded.contracts)
    evidence = utility.client.run(statements.evidence(said.digest, last=policy.epochs[-1].last))
    assert json.loads(evidence)["effect"] is not None
    found = verify_all(Verifier(policy, None), [("evidence.json", evidence)], None)
    assert summarize(found) is Verdict.VERIFIED


def test_lifting_again_sends_nothing_more(asked: Asking) -> None:
    said = say(asked, asked.world.members["utility"])
    first, again = post(asked, "utility", said), post(asked, "utility", said)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["transaction"] == again.json()["transaction"]
    outbox = asked.world.gateway.parts.store.outbox
    assert outbox.find(f"lift:{said.digest}:0") is not None
    assert outbox.find(f"lift:{said.digest}:1") is None


def test_parents_and_the_version_before_come_first_and_are_named(asked: Asking) -> None:
    utility = asked.world.members["utility"]
    parent = say(asked, utility)
    first = say(asked, utility)
    salt = first.statement.message["datasetSalt"]
    child = say(asked, utility, datasetSalt=salt, version=2, parents=(place_of(parent),))
    problem = assert_problem(post(asked, "utility", child), 409, "lift-first", "lift first")
    for said in (parent, first):
        assert f"{place_of(said)['dataset']}@1" in problem["detail"]
    assert problem["first"] == [{"dataset": str(place_of(said)["dataset"]), "version": "1"} for said in (first, parent)]
    assert [post(asked, "utility", said).status_code for said in (parent, first, child)] == [201, 201, 201]


def test_only_the_provider_lifts_and_only_what_came_in_bulk(asked: Asking) -> None:
    said = say(asked, asked.world.members["utility"])
    assert_problem(post(asked, "analyst", said), 403, "not-yours")
    assert_problem(post(asked, "audit", said), 403, "missing-scope")
    missing = path_of(said).replace("/1/lift", "/2/lift")
    assert_problem(asked.post("utility", missing, {}), 422, "malformed")
    assert_problem(asked.http.post(missing, headers=asked.headers("utility")), 404, "not-found", "no version 2")
    for body in ({"signer": "0x"}, {"signature": "0x00", "signer": "0x" + "11" * 20, "more": 1}):
        assert_problem(post(asked, "utility", said, body), 422, "malformed")
    utility = asked.world.members["utility"]
    wrong = {"signer": str(utility.signing.address), "signature": "0x" + utility.control.sign(said.digest).hex()}
    assert_problem(post(asked, "utility", said, wrong), 422, "verification-failed")
    theirs = {"signer": str(utility.control.address), "signature": "0x" + utility.control.sign(said.digest).hex()}
    assert_problem(post(asked, "utility", said, theirs), 409, "key-not-active")


def test_what_no_checkpoint_covers_yet_is_asked_for_again(asked: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    said = say(asked, asked.world.members["utility"])
    with monkeypatch.context() as patched:
        patched.setattr(type(asked.world.gateway.parts.store.chain), "last_checkpoint", lambda *_: None)
        answer = post(asked, "utility", said)
    assert_problem(answer, 409, "not-anchored", "ask again")
    assert post(asked, "utility", said).status_code == 201


@pytest.mark.slow
def test_while_the_index_is_behind_the_chain_one_comes_back(asked: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    said = say(asked, asked.world.members["utility"])

    def refuse(*_: object) -> bytes:
        raise RefusedError("not among the last 64", code="checkpoint-log-not-kept")

    for answer_of in (refuse, lambda *_: bytes(32)):
        with monkeypatch.context() as patched:
            patched.setattr(asked.world.gateway.parts.edge, "simulate", answer_of)
            assert_problem(post(asked, "utility", said), 503, "unavailable", "ask again")
    retired = RefusedError("the data set is retired", code="dataset-registry-retired")
    with monkeypatch.context() as patched:
        patched.setattr(asked.world.gateway.parts.edge, "simulate", Mock(side_effect=retired))
        assert_problem(post(asked, "utility", said), 409, "dataset-registry-retired")
    assert post(asked, "utility", said).status_code == 201


@pytest.mark.slow
def test_a_lift_whose_transaction_failed_is_asked_for_again(asked: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    utility = asked.world.members["utility"]
    said = say(asked, utility)

    def starve(*given: Any) -> Call:
        return replace(encode_register_from_log(*given), gas_limit=60_000)

    with monkeypatch.context() as patched:
        patched.setattr("ledger.exchange.lifting.encode_register_from_log", starve)
        patched.setattr(asked.world.gateway.parts.edge, "simulate", lambda *_: b"\x01")
        with pytest.raises(RefusedError, match="it was not lifted") as failed:
            utility.client.run(lifting.lift_registration(said.digest))
    assert failed.value.code == "transaction-reverted"
    assert asked.get("utility", path_of(said)).json()["state"] == "failed"
    assert post(asked, "utility", said).status_code == 201
    assert asked.world.gateway.parts.store.outbox.find(f"lift:{said.digest}:1") is not None


@pytest.mark.slow
def test_a_key_that_ended_is_followed_by_one_that_is_active(asked: Asking, concord: Console) -> None:
    member = asked.world.enroll("mill")
    said, other = say(asked, member), say(asked, member)
    fresh = LocalKey(generate_private_key())
    adding = Identity(member.control, member.domains, fresh)
    for flow in (
        participants.add_key(adding, wait_s=30),
        participants.revoke_key(member.signing.address, member.control_identity, wait_s=30),
    ):
        assert member.client.run(flow).state == "final"
    assert_problem(post(asked, "mill", said), 409, "no-active-key", "concord dataset lift", "--key")
    with pytest.raises(ConflictError, match="not active any more"):
        member.client.run(lifting.lift_registration(said.digest))
    foreign = Identity(fresh, type(member.domains)(member.domains.chain_id + 1, member.domains.contracts))
    with pytest.raises(VerificationError, match="nothing was signed"):
        member.client.run(lifting.lift_registration(said.digest, foreign))
    view = member.client.run(lifting.lift_registration(said.digest, Identity(fresh, member.domains)))
    assert (view.registration, view.state) == (said.digest, "final")
    policy = create_policy(Node(asked.world.url + "/rpc"), asked.world.founded.contracts)
    evidence = member.client.run(statements.evidence(said.digest, last=policy.epochs[-1].last))
    assert summarize(verify_all(Verifier(policy, None), [("e.json", evidence)], None)) is Verdict.VERIFIED
    told = concord.ok(member, "dataset", "lift", other.digest, "--key", concord.key_file(fresh, "fresh"))
    assert told.startswith(f"in force: {other.digest}, version 1 (block ")


def test_the_command_lifts_by_digest_or_by_name_and_show_says_that_one_can(asked: Asking, concord: Console) -> None:
    utility = asked.world.members["utility"]
    said, named = say(asked, utility), say(asked, utility)
    assert f"concord dataset lift {said.digest}" in concord.ok(utility, "statement", "show", said.digest)
    assert concord.answer(utility, "dataset", "lift", said.digest)["state"] == "final"
    assert "dataset lift" not in concord.ok(utility, "statement", "show", said.digest)
    told = concord.ok(utility, "dataset", "lift", f"{place_of(named)['dataset']}@1")
    assert str(named.digest) in told
    child = say(asked, utility, parents=(place_of(parent := say(asked, utility)),))
    concord.fail(utility, 1, f"lift first {place_of(parent)['dataset']}@1", "dataset", "lift", child.digest)
    concord.fail(utility, 4, "no", "dataset", "lift", "0x" + "ab" * 32)


@pytest.mark.slow
def test_the_gateway_signs_anew_with_a_custodial_key(asked: Asking, concord: Console) -> None:
    member = asked.world.enroll("plant")
    said = say(asked, member)
    for flow in (
        participants.add_key(member.control_identity, custody="custodial", wait_s=30),
        participants.revoke_key(member.signing.address, member.control_identity, wait_s=30),
    ):
        assert member.client.run(flow).state == "final"
    answer = post(asked, "plant", said)
    assert (answer.status_code, answer.json()["state"]) == (201, "final"), answer.text
    concord.fail(member, 3, "is no id", "dataset", "lift", "0x12")
