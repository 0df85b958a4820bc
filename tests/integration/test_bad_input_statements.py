"""Statements that must not be taken: refused by service or contract with a reason, and nothing of them stays."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

import pytest
from coincurve import PrivateKey

from ledger.client import Identity, LocalKey
from ledger.statements import Domains, Statement, generate_private_key
from ledger.types import Bytes32, parse_hex
from tests.support.asking import Asking, assert_problem, registration, soon
from tests.support.bad_statements import identity_of, service, submit, terms

__all__ = ["service"]

HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def prepared_grant(service: Asking) -> dict[str, Any]:
    return service.prepare("utility", "AccessGrant", terms(consumer="factory"))


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
