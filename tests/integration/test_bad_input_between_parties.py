"""Statements about what is between parties: refused by service or contract with a reason, and nothing of them stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from ledger.client import LocalKey, participants
from ledger.statements import Statement, generate_private_key
from ledger.surface.outcomes import SignedStatement
from tests.support.asking import Asking, assert_problem, registration, soon
from tests.support.bad_statements import DATA, identity_of, service, submit, terms

__all__ = ["service"]


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
