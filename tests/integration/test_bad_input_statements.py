"""Statements that must not be taken: refused by service or contract with a reason, and nothing of them stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest
from coincurve import PrivateKey

from ledger.client import Identity, LocalKey, participants
from ledger.statements import Domains, Statement, generate_private_key
from ledger.surface.outcomes import SignedStatement
from ledger.types import Bytes32, parse_hex
from tests.support.asking import Asking, asking, assert_problem, registration, soon

HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DATA: Final = b"plant,mwh\nA,1\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("bad-statements"), "utility", "factory") as service:
        service.world.register(service.world.members["utility"], "power", {"a.csv": DATA})
        yield service


def terms(**members: object) -> dict[str, Any]:
    return {
        "dataset": "utility/power",
        "purpose": "ResearchAndDevelopment",
        "rights": ["read"],
        "valid_until": soon(days=1),
        **members,
    }


def identity_of(service: Asking, who: str = "utility") -> Identity:
    return service.world.members[who].identity


def prepared_grant(service: Asking) -> dict[str, Any]:
    return service.prepare("utility", "AccessGrant", terms(consumer="factory"))


def submit(service: Asking, body: dict[str, Any], who: str = "utility") -> httpx.Response:
    return service.post(who, "/v1/statements", body)


def test_an_expired_deadline(service: Asking) -> None:
    message = prepared_grant(service) | {"deadline": str(int(time.time()) - 1)}
    with service.unchanged():
        answer = submit(service, service.signed(identity_of(service), "AccessGrant", message))
        facts = assert_problem(answer, 409, "deadline-passed", "prepare and sign it again")
        assert str(facts["deadline"]) == message["deadline"]


def test_a_deadline_too_far_ahead(service: Asking) -> None:
    with service.unchanged():
        for deadline in (int(time.time()) + 400 * 24 * 3600, 2**64 - 1):
            message = prepared_grant(service) | {"deadline": str(deadline)}
            answer = submit(service, service.signed(identity_of(service), "AccessGrant", message))
            assert_problem(answer, 422, "malformed", "31 days")


def test_a_signature_of_another_key(service: Asking) -> None:
    stranger = Identity(LocalKey(generate_private_key()), service.world.domains)
    message = prepared_grant(service)
    with service.unchanged():
        body = service.signed(stranger, "AccessGrant", message)
        assert_problem(submit(service, body), 409, "key-not-active", "not an active signing key")
        member = str(service.world.members["utility"].signing.address)
        assert_problem(submit(service, body | {"signer": member}), 422, "verification-failed")
        factory = service.signed(identity_of(service, "factory"), "AccessGrant", message)
        assert_problem(submit(service, factory), 409, "key-not-active")
        control = service.signed(service.world.members["utility"].control_identity, "AccessGrant", message)
        assert_problem(submit(service, control), 409, "key-not-active")
        signed = service.signed(identity_of(service), "AccessGrant", message)
        changed = signed | {"message": message | {"rights": "3"}}
        assert_problem(submit(service, changed), 422, "verification-failed")


def test_a_high_s_signature(service: Asking) -> None:
    body = service.signed(identity_of(service), "AccessGrant", prepared_grant(service))
    raw = parse_hex(body["signature"])
    s = int.from_bytes(raw[32:64], "big")
    assert s <= HALF_ORDER
    high = raw[:32] + (ORDER - s).to_bytes(32, "big") + bytes([55 - raw[64]])
    with service.unchanged():
        answer = submit(service, body | {"signature": "0x" + high.hex()})
        assert_problem(answer, 422, "malformed", "s")


@pytest.mark.parametrize("size", [0, 1, 64, 66, 5000])
def test_a_signature_of_another_length(service: Asking, size: int) -> None:
    body = service.signed(identity_of(service), "AccessGrant", prepared_grant(service))
    answer = submit(service, body | {"signature": "0x" + "11" * size})
    assert_problem(answer, 422, "malformed")


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_a_signature_with_another_recovery_byte(service: Asking, v: int) -> None:
    body = service.signed(identity_of(service), "AccessGrant", prepared_grant(service))
    answer = submit(service, body | {"signature": body["signature"][:-2] + f"{v:02x}"})
    assert_problem(answer, 422, "malformed")


def test_a_surplus_and_a_missing_cosignature(service: Asking) -> None:
    body = service.signed(identity_of(service), "AccessGrant", prepared_grant(service))
    member = service.world.members["utility"]
    new = LocalKey(generate_private_key())
    intent = {"key": str(new.address), "custody": "own"}
    addition = service.prepare("utility", "KeyAddition", intent)
    lone = service.signed(member.control_identity, "KeyAddition", addition)
    with service.unchanged():
        surplus = submit(service, body | {"cosignature": body["signature"]})
        assert_problem(surplus, 422, "malformed", "takes no co-signature")
        assert_problem(submit(service, lone), 422, "malformed", "needs the co-signature")
        forged = submit(service, lone | {"cosignature": lone["signature"]})
        assert_problem(forged, 422, "verification-failed")


def test_a_statement_of_another_consortium(service: Asking) -> None:
    ours = service.world.domains
    message = prepared_grant(service)
    elsewhere = dict.fromkeys(ours.contracts, ours.contracts["CheckpointLog"])
    with service.unchanged():
        for domains in (Domains(ours.chain_id + 1, ours.contracts), Domains(ours.chain_id, elsewhere)):
            body = service.signed(identity_of(service), "AccessGrant", message, domains=domains)
            assert_problem(submit(service, body), 422, "verification-failed")


def test_a_replayed_statement_is_the_same_statement(service: Asking) -> None:
    body = service.signed(identity_of(service), "AccessGrant", prepared_grant(service))
    first = service.final(submit(service, body))
    with service.unchanged():
        for _ in range(3):
            again = submit(service, body)
            assert again.status_code == 201
            assert (again.json()["digest"], again.json()["index"]) == (first["digest"], first["index"])
        stolen = submit(service, body, who="factory")
        assert_problem(stolen, 403, "not-yours")
    revoked = service.final(service.state("utility", "AccessRevocation", {"grant": first["digest"]}))
    assert revoked["in_force"] == "yes"
    assert submit(service, body).json()["index"] == first["index"]
    assert service.get("utility", f"/v1/grants/{first['digest']}").json()["state"] == "revoked"


def test_what_a_message_can_not_be(service: Asking) -> None:
    message = prepared_grant(service)
    signature = {"signature": "0x" + "11" * 65, "signer": "0x" + "22" * 20, "type": "AccessGrant"}
    wrong: tuple[dict[str, object], ...] = (
        {name: value for name, value in message.items() if name != "salt"},
        message | {"surplus": "1"},
        message | {"firstVersion": 1},
        message | {"firstVersion": "-1"},
        message | {"firstVersion": "01"},
        message | {"firstVersion": str(2**64)},
        message | {"rights": str(2**256)},
        message | {"rights": "9" * 5000},
        message | {"consumer": "0x12"},
        message | {"consumer": message["consumer"].upper()},
        message | {"consumer": None},
        message | {"validFrom": "1e3"},
    )
    with service.unchanged():
        for given in wrong:
            assert_problem(submit(service, signature | {"message": given}), 422, "malformed")
        unknown = submit(service, signature | {"type": "King", "message": message})
        assert unknown.status_code in (404, 422)
        other = submit(service, signature | {"type": "AccessRequest", "message": message})
        assert_problem(other, 422, "malformed")


def test_a_grant_to_oneself_and_of_what_is_not_ones_own(service: Asking) -> None:
    with service.unchanged():
        to_itself = service.state("utility", "AccessGrant", terms(consumer="utility"))
        assert_problem(to_itself, 409, "access-grants-to-provider")
        others = {"type": "AccessGrant", "intent": terms(consumer="chamber")}
        answer = service.post("factory", "/v1/statements:prepare", others)
        assert_problem(answer, 409, "not-provider", "another provider's")
        own = service.post("utility", "/v1/statements:prepare", {"type": "AccessRequest", "intent": terms()})
        assert own.status_code == 200
        assert_problem(service.state("utility", "AccessRequest", terms()), 409, "own-dataset")


def test_a_window_that_is_over_or_empty(service: Asking) -> None:
    windows = (
        {"valid_until": soon(days=-1)},
        {"valid_from": soon(days=-3), "valid_until": soon(days=-2)},
        {"valid_from": soon(days=3), "valid_until": soon(days=2)},
    )
    with service.unchanged():
        for window in windows:
            grant = service.state("utility", "AccessGrant", terms(consumer="factory", **window))
            facts = assert_problem(grant, 409, "access-grants-window-closed")
            assert facts["validUntil"] <= max(facts["time"], facts["validFrom"])
            request = service.state("factory", "AccessRequest", terms(**window))
            assert_problem(request, 422, "malformed", "window")


@pytest.mark.slow
def test_a_grant_to_a_stranger_is_refused_by_the_contract(service: Asking) -> None:
    message = prepared_grant(service) | {"consumer": "0x" + "77" * 32}
    with service.unchanged():
        answer = submit(service, service.signed(identity_of(service), "AccessGrant", message))
        assert answer.status_code == 409
        assert answer.json()["code"].startswith(("access-grants-", "participant-registry-"))


def test_an_unknown_parent_and_a_wrong_version_in_a_signed_statement(service: Asking) -> None:
    message = service.prepare("factory", "DatasetRegistration", registration("steel", {"a": b"1"}))
    parent = {"dataset": "0x" + "11" * 32, "version": "1", "registration": "0x" + "22" * 32}
    identity = identity_of(service, "factory")
    with service.unchanged():
        orphan = service.signed(identity, "DatasetRegistration", message | {"parents": [parent]})
        answer = submit(service, orphan, who="factory")
        assert answer.status_code == 409
        assert "parent" in answer.json()["code"]
        for version in ("0", "2", str(2**63)):
            late = service.signed(identity, "DatasetRegistration", message | {"version": version})
            answer = submit(service, late, who="factory")
            assert answer.status_code == 409
            assert "version" in answer.json()["code"]


def agreement(**members: object) -> dict[str, Any]:
    return {
        "parties": ["utility", "factory"],
        "supplier": "utility",
        "user": "factory",
        "resource": "capacity",
        "terms": {"title": "Capacity"},
        "valid_from": soon(hours=-1),
        "valid_until": soon(days=1),
        "quota": "10",
        "unit": "MW.h",
        **members,
    }


@pytest.mark.slow
def test_an_agreement_without_the_other_party(service: Asking) -> None:
    with service.unchanged():
        for members in (
            {"parties": ["utility"], "user": "utility"},
            {"parties": ["utility"]},
            {"supplier": "chamber"},
            {"user": "utility"},
            {"parties": ["factory", "chamber"], "supplier": "factory", "user": "factory"},
        ):
            answer = service.state("utility", "AgreementProposal", agreement(**members))
            assert answer.status_code == 409, (members, answer.text)
            assert answer.json()["code"].startswith("sharing-agreements-")
    proposed = service.final(service.state("utility", "AgreementProposal", agreement()))
    named = proposed["ids"]["agreement"]
    period = {"period_from": soon(hours=-1), "period_until": soon()}
    with service.unchanged():
        early = service.state("utility", "UsageReport", {"agreement": named, "quantity": "1", **period})
        assert_problem(early, 409, "agreement-proposed", "while it is active")
        ended = service.state("utility", "AgreementTermination", {"agreement": named})
        assert ended.status_code == 409
    assert service.get("utility", f"/v1/agreements/{named}").json()["state"] == "proposed"


@pytest.fixture(scope="module")
def active(service: Asking) -> str:
    proposed = service.final(service.state("utility", "AgreementProposal", agreement()))
    named: str = proposed["ids"]["agreement"]
    service.final(service.state("factory", "AgreementAcceptance", {"agreement": named}))
    return named


def test_usage_beyond_the_quota(service: Asking, active: str) -> None:
    period = {"agreement": active, "period_from": soon(hours=-1), "period_until": soon()}
    over = {"type": "UsageReport", "intent": period | {"quantity": "10.001"}}
    with service.unchanged():
        facts = assert_problem(
            service.post("utility", "/v1/statements:prepare", over), 409, "quota-exceeded", "10 MW.h remain"
        )
        assert facts["quota"] == "10"
        message = service.prepare("utility", "UsageReport", period | {"quantity": "10"}) | {"quantity": "10001"}
        body = service.signed(identity_of(service), "UsageReport", message)
        assert_problem(submit(service, body), 409, "quota-exceeded", "agree on a new quota")
        huge = service.signed(identity_of(service), "UsageReport", message | {"quantity": str(2**256 - 1)})
        assert_problem(submit(service, huge), 409, "quota-exceeded")
        foreign = service.prepare("factory", "UsageReport", period | {"quantity": "1"})
        answer = submit(service, service.signed(identity_of(service, "factory"), "UsageReport", foreign), "factory")
        assert_problem(answer, 409, "not-supplier")
    report = service.final(service.state("utility", "UsageReport", period | {"quantity": "6"}))
    confirmation = service.prepare("factory", "UsageConfirmation", {"report": report["digest"]})
    with service.unchanged():
        more = {"type": "UsageReport", "intent": period | {"quantity": "4.001"}}
        assert_problem(service.post("utility", "/v1/statements:prepare", more), 409, "quota-exceeded", "4 MW.h remain")
        swollen = confirmation | {"total": "10001"}
        answer = submit(
            service, service.signed(identity_of(service, "factory"), "UsageConfirmation", swollen), "factory"
        )
        assert answer.status_code == 409
        assert answer.json()["code"].startswith("sharing-agreements-")


def at_once(service: Asking, who: str, type_name: str, messages: list[dict[str, Any]]) -> list[httpx.Response]:
    bodies = [service.signed(identity_of(service, who), type_name, message) for message in messages]
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: submit(service, body, who), bodies))


@pytest.mark.slow
def test_reports_and_disputes_at_once_are_counted_one_after_the_other(service: Asking) -> None:
    proposed = service.final(service.state("utility", "AgreementProposal", agreement()))
    named = proposed["ids"]["agreement"]
    service.final(service.state("factory", "AgreementAcceptance", {"agreement": named}))
    report = {"agreement": named, "quantity": "6", "period_from": soon(hours=-1), "period_until": soon()}
    reports = [service.prepare("utility", "UsageReport", report) for _ in range(6)]
    answers = at_once(service, "utility", "UsageReport", reports)
    assert sorted(answer.status_code for answer in answers) == [202, *[409] * 5]
    (taken,) = (answer.json() for answer in answers if answer.status_code == 202)
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "quota-exceeded", "4 MW.h remain")
    dispute = {"report": taken["digest"], "reason": "the meter was down"}
    disputes = [service.prepare("factory", "UsageDispute", dispute) for _ in range(6)]
    answers = at_once(service, "factory", "UsageDispute", disputes)
    assert sorted(answer.status_code for answer in answers) == [202, *[409] * 5]
    assert {answer.json().get("code") for answer in answers} == {None, "report-disputed"}
    listed = service.get("factory", f"/v1/usage?agreement={named}").json()["items"]
    assert [(each["digest"], each["state"]) for each in listed] == [(taken["digest"], "disputed")]


@pytest.mark.slow
def test_denials_at_once_are_one(service: Asking) -> None:
    request = service.final(service.state("factory", "AccessRequest", terms()))
    denials = [
        service.prepare("utility", "AccessDenial", {"request": request["digest"], "reason": "no"}) for _ in range(4)
    ]
    answers = at_once(service, "utility", "AccessDenial", denials)
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]


def test_a_suspended_participant_may_only_revoke(service: Asking) -> None:
    world = service.world
    lender = world.enroll("lender")
    world.register(lender, "loans", {"a.csv": DATA})
    granted = world.grant(lender, world.members["factory"], "lender/loans")
    path = "/v1/datasets/lender~loans/versions/1/files/a.csv"
    assert service.get("factory", path).content == DATA
    held = service.prepare("lender", "AccessGrant", terms(dataset="lender/loans", consumer="utility"))
    for governor in ("chamber", "regulator"):
        client = world.client(world.founded.api_keys[governor])
        client.run(participants.propose("suspend", "lender", world.governor(governor), wait_s=30))
    assert service.get("utility", "/v1/participants/lender").json()["status"] == "suspended"
    with service.unchanged():
        for kind, intent in (
            ("AccessGrant", terms(dataset="lender/loans", consumer="utility")),
            ("DatasetRegistration", registration("more", {"a": b"1"})),
            ("ProfileUpdate", {"profile": {"handle": "lender", "name": "Lender"}}),
        ):
            answer = service.post("lender", "/v1/statements:prepare", {"type": kind, "intent": intent})
            assert_problem(answer, 409, "participant-suspended", "suspended")
        answer = submit(service, service.signed(lender.identity, "AccessGrant", held), "lender")
        assert_problem(answer, 409, "participant-suspended", "suspended")
        assert_problem(service.get("factory", path), 403, "participant-suspended")
    revoked = service.final(service.state("lender", "AccessRevocation", {"grant": str(granted)}))
    assert revoked["in_force"] == "yes"
    assert service.get("lender", f"/v1/grants/{granted}").json()["state"] == "revoked"


@pytest.mark.slow
def test_a_vote_after_the_subject_changed(service: Asking) -> None:
    world = service.world
    _, applied = world.apply("late")
    held = {}
    for governor in ("chamber", "regulator", "datatrust"):
        client = world.client(world.founded.api_keys[governor])
        held[governor] = service.prepare(governor, "GovernanceVote", {"proposal": str(applied.digest)})
        assert client is not None
    for governor in ("chamber", "regulator"):
        body = service.signed(world.governor(governor), "GovernanceVote", held[governor])
        service.final(service.post(governor, "/v1/statements", body))
    assert service.get("utility", "/v1/participants/late").json()["status"] == "active"
    with service.unchanged():
        body = service.signed(world.governor("datatrust"), "GovernanceVote", held["datatrust"])
        answer = service.post("datatrust", "/v1/statements", body)
        assert answer.status_code == 409
        assert answer.json()["code"].startswith("participant-registry-")
        intent = {"type": "GovernanceVote", "intent": {"proposal": str(applied.digest)}}
        again = service.post("datatrust", "/v1/statements:prepare", intent)
        assert_problem(again, 409, "proposal-executed", "no votes")


@pytest.mark.slow
def test_who_is_no_governor_has_no_vote(service: Asking) -> None:
    _, applied = service.world.apply("hopeful")
    member = service.world.members["utility"]
    message = service.prepare("utility", "GovernanceVote", {"proposal": str(applied.digest)})
    with service.unchanged():
        answer = submit(service, service.signed(member.control_identity, "GovernanceVote", message))
        assert answer.status_code == 409
        assert "governor" in answer.json()["code"]
        by_signing_key = submit(service, service.signed(member.identity, "GovernanceVote", message))
        assert_problem(by_signing_key, 409, "not-control-key")


@pytest.mark.slow
def test_a_taken_handle(service: Asking) -> None:
    key = LocalKey(generate_private_key())
    client = service.world.api_key("apply")
    intent = {
        "control_key": str(key.address),
        "signing_key": str(LocalKey(generate_private_key()).address),
        "profile": {"handle": "utility", "name": "Impostor"},
    }
    with service.unchanged():
        answer = service.http.post(
            "/v1/statements:prepare",
            json={"type": "ParticipantApplication", "intent": intent},
            headers={"Authorization": f"Bearer {client}"},
        )
        assert_problem(answer, 409, "handle-taken", "choose one")
        renamed = {"type": "ProfileUpdate", "intent": {"profile": {"handle": "utility", "name": "Impostor"}}}
        assert_problem(service.post("factory", "/v1/statements:prepare", renamed), 409, "handle-taken")


def test_a_raw_type_is_checked_like_the_others(service: Asking) -> None:
    world = service.world
    version = service.get("utility", "/v1/datasets/utility~power/versions/1").json()
    members = {
        "dataset": version["dataset"],
        "version": "1",
        "registration": version["registration"],
        "keyCommitment": "0x" + "11" * 32,
        "ciphertextRoot": "0x" + "11" * 32,
        "ciphertextSize": "16",
    }
    with service.unchanged():
        foreign = service.state("factory", "Sealing", members)
        assert_problem(foreign, 409, "not-provider")
        other = service.state("utility", "Sealing", members | {"registration": "0x" + "22" * 32})
        assert_problem(other, 409, "other-registration")
        absent = service.state("utility", "Sealing", members | {"version": "9"})
        assert_problem(absent, 404, "not-found")
    stranger = replace(world.members["utility"].identity, signer=LocalKey(PrivateKey().secret))
    message = service.prepare("utility", "Sealing", members)
    with service.unchanged():
        assert_problem(submit(service, service.signed(stranger, "Sealing", message)), 409, "key-not-active")
    digest = Statement.parse("Sealing", message).digest(world.domains)
    assert service.get("utility", f"/v1/statements/{digest}").status_code == 404
    assert Bytes32(digest) == digest


def log_only(service: Asking, who: str, type_name: str, message: dict[str, Any]) -> httpx.Response:
    return submit(service, service.signed(identity_of(service, who), type_name, message), who)


@pytest.mark.slow
def test_requests_denials_and_disputes_are_stated_by_whom_they_concern(service: Asking, active: str) -> None:
    world = service.world
    factory, chamber = (str(world.members["factory"].id), str(world.founded.participants["chamber"]))
    request = service.prepare("factory", "AccessRequest", terms())
    period = {"agreement": active, "period_from": soon(hours=-1), "period_until": soon(), "quantity": "0.001"}
    report = service.final(service.state("utility", "UsageReport", period))
    dispute = service.prepare("factory", "UsageDispute", {"report": report["digest"], "reason": "no"})
    made = service.final(service.state("factory", "AccessRequest", terms()))
    denial = service.prepare("utility", "AccessDenial", {"request": made["digest"], "reason": "no"})
    usage = service.prepare("utility", "UsageReport", period)
    utility = request["provider"]
    wrong = (
        ("factory", "AccessRequest", request | {"provider": chamber}, 409, "not-provider"),
        ("factory", "AccessRequest", request | {"dataset": "0x" + "11" * 32}, 404, "not-found"),
        ("factory", "AccessRequest", request | {"rights": "0"}, 422, "malformed"),
        ("factory", "AccessRequest", request | {"validUntil": request["validFrom"]}, 422, "malformed"),
        ("factory", "AccessDenial", denial | {"participant": factory}, 409, "not-provider"),
        ("utility", "AccessDenial", denial | {"consumer": chamber}, 409, "not-consumer"),
        ("utility", "AccessDenial", denial | {"request": "0x" + "11" * 32}, 404, "not-found"),
        ("utility", "UsageDispute", dispute | {"participant": utility}, 409, "not-user"),
        ("factory", "UsageDispute", dispute | {"supplier": chamber}, 409, "not-user"),
        ("utility", "UsageReport", usage | {"user": chamber}, 409, "not-supplier"),
        ("utility", "UsageReport", usage | {"quantity": "0"}, 422, "malformed"),
        ("utility", "UsageReport", usage | {"periodUntil": usage["periodFrom"]}, 422, "malformed"),
    )
    with service.unchanged():
        for who, type_name, message, status, code in wrong:
            answer = log_only(service, who, type_name, message)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (type_name, message, answer.text)


def log_receipt(service: Asking, receipt: dict[str, Any]) -> str:
    """Put a receipt into the log as a transfer's own route does, whatever it can be answered with."""
    identity = identity_of(service, "factory")
    statement = Statement.parse("TransferReceipt", service.prepare("factory", "TransferReceipt", receipt))
    signature = identity.signer.sign(statement.digest(identity.domains))
    signed = SignedStatement(statement, signature, identity.signer.address)
    return str(service.world.gateway._intake.take(signed, of_transfer=True).digest)


@pytest.mark.slow
def test_sealings_receipts_and_key_releases_belong_together(service: Asking) -> None:
    version = service.get("utility", "/v1/datasets/utility~power/versions/1").json()
    mark = "0x" + "11" * 32
    sealing = {name: version[name] for name in ("dataset", "registration")} | {
        "version": "1", "keyCommitment": mark, "ciphertextRoot": mark, "ciphertextSize": "14",
    }  # fmt: skip
    sealed = service.final(service.state("utility", "Sealing", sealing))
    granted = service.final(service.state("utility", "AccessGrant", terms(consumer="factory")))
    utility, factory = sealed["participant"], granted["message"]["consumer"]
    receipt = {
        "provider": utility, "transferSalt": mark, "grant": granted["digest"], "sealing": sealed["digest"],
        "ciphertextRoot": mark, "recipientKey": "0x" + "22" * 32,
    }  # fmt: skip
    receipted = log_receipt(service, receipt)
    release = {
        "consumer": factory, "transfer": mark, "grant": granted["digest"], "receipt": receipted,
        "wrappedKey": "0x" + "33" * 80,
    }  # fmt: skip
    other = service.final(service.state("utility", "AccessGrant", terms(consumer="factory")))
    with service.unchanged():
        assert_problem(service.state("factory", "Sealing", sealing), 409, "not-provider")
        away = service.state("factory", "TransferReceipt", receipt)
        assert_problem(away, 409, "transfers-only", "POST /v1/transfers/{id}/receipt")
        assert_problem(service.state("factory", "KeyRelease", release), 409, "not-provider")
        absent = service.state("utility", "KeyRelease", release | {"receipt": granted["digest"]})
        assert_problem(absent, 404, "not-found")
        mixed = service.state("utility", "KeyRelease", release | {"grant": other["digest"]})
        assert_problem(mixed, 409, "other-transfer")
    service.final(service.state("utility", "KeyRelease", release))
    service.final(service.state("utility", "AccessRevocation", {"grant": granted["digest"]}))
    with service.unchanged():
        assert_problem(service.state("utility", "KeyRelease", release), 409, "grant-revoked", "no key is released")
