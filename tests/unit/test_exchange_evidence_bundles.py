"""Bundles and upgrades of evidence by a running gateway: what is in them, what is left out, who may ask."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import ConflictError, NotFoundError
from ledger.evidence import (
    Verdict,
    Verifier,
    parse_bundle,
    parse_evidence,
    verify_all,
)
from ledger.exchange import Paging
from ledger.exchange.evidence import Pin, bundling
from ledger.exchange.intents import (
    AccessGrantIntent,
)
from ledger.types import Bytes32
from tests.support.exchange import Consortium, registration, soon
from tests.support.proving import AUDITOR, FILES, STRANGER, consortium, grant, pins_of, policy_of, relay_past

__all__ = ["consortium"]


def test_a_bundle_has_all_ancestors_and_says_by_an_event_what_may_not_be_read(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    policy = policy_of(consortium)
    pins = pins_of(policy)
    whole = parse_bundle(evidence.bundle(AUDITOR, "manufacturer/wire", 1, pins=pins, grants=False))
    assert [json.loads(each)["format"] for each in whole] == ["concord-evidence/1"] * 3
    raw = evidence.bundle(AUDITOR, "manufacturer/wire", 1, pins=pins)
    reports = verify_all(Verifier(policy), [("wire.json", raw)])
    assert {report.verdict for report in reports} == {Verdict.VERIFIED}, reports
    asker = consortium.asker("manufacturer")
    theirs = parse_bundle(evidence.bundle(asker, "manufacturer/wire", 1, pins=pins, grants=False))
    formats = sorted(json.loads(each)["format"] for each in theirs)
    assert formats == ["concord-event/1", "concord-evidence/1", "concord-evidence/1"]
    stranger = parse_bundle(evidence.bundle(STRANGER, "manufacturer/wire", 1, pins=pins, chunks=False, grants=False))
    assert {json.loads(each)["format"] for each in stranger} == {"concord-event/1"}
    with pytest.raises(NotFoundError, match="no version 9"):
        evidence.bundle(AUDITOR, "manufacturer/wire", 9)


def test_a_bundle_brings_grants_and_their_attestations(consortium: Consortium) -> None:
    gateway = consortium.gateway
    digest = grant(consortium, last_version=3)
    gateway.evidence.attest_grant(AUDITOR, digest, wait_s=20)
    policy = policy_of(consortium)
    raw = gateway.evidence.bundle(AUDITOR, "utility/power", 1, pins=pins_of(policy), grants=True)
    members = [json.loads(each) for each in parse_bundle(raw)]
    names = [each["event"]["name"] if "event" in each else each["statement"]["type"] for each in members]
    assert names.count("GrantAttested") >= 1
    assert names.count("AccessGrant") >= 1
    assert names.count("DatasetRegistration") == 1
    reports = verify_all(Verifier(policy), [("power.json", raw)])
    assert {report.verdict for report in reports} == {Verdict.VERIFIED}
    without = gateway.evidence.bundle(STRANGER, "utility/power", 1, pins=pins_of(policy), grants=True)
    assert len(parse_bundle(without)) == 1


def test_a_bundle_takes_grants_that_came_past_and_leaves_out_what_is_not_final(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = consortium.gateway
    signer = consortium.key_of("analyst", "signing")
    made = consortium.sign("analyst", registration("shared", FILES), signer)
    consortium.finish(gateway.statements.submit(consortium.asker("analyst"), made))
    terms: dict[str, Any] = {
        "dataset": "analyst/shared",
        "consumer": "utility",
        "purpose": "ResearchAndDevelopment",
        "rights": ("read",),
        "valid_until": soon(days=1),
    }
    digest, statement = relay_past(consortium, "analyst", AccessGrantIntent(**terms))
    gateway.evidence.attest_grant(AUDITOR, digest, message=statement.to_json(), wait_s=20)
    monkeypatch.setattr(gateway._publishing, "_step", lambda: False)
    fresh = consortium.sign("analyst", AccessGrantIntent(**terms, last_version=4), signer)
    accepted = gateway.statements.submit(consortium.asker("analyst"), fresh)
    raw = gateway.evidence.bundle(AUDITOR, "analyst/shared", 1, grants=True)
    monkeypatch.undo()
    gateway._publishing.wake()
    names = sorted(
        each["event"]["name"] if "event" in each else each["statement"]["type"]
        for each in map(json.loads, parse_bundle(raw))
    )
    assert names == ["AccessGranted", "DatasetRegistration", "GrantAttested"]
    consortium.finish(accepted)


def test_of_what_only_another_log_took_a_bundle_has_nothing(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = consortium.gateway.parts.store
    found = store.datasets.find_registration
    steel = consortium.gateway.parts.directory.registration(
        consortium.gateway.parts.directory.dataset("manufacturer/steel").id, 1
    )
    monkeypatch.setattr(store.datasets, "find_registration", lambda each: None if each == steel else found(each))
    raw = consortium.gateway.evidence.bundle(AUDITOR, "manufacturer/wire", 1, grants=False)
    assert len(parse_bundle(raw)) == 1  # what is above it is not known here
    monkeypatch.undo()
    monkeypatch.setattr(store.chain, "find_effect", lambda _: None)
    with pytest.raises(NotFoundError, match="no evidence of this version"):
        consortium.gateway.evidence.bundle(STRANGER, "manufacturer/wire", 1, grants=False)
    raw = consortium.gateway.evidence.bundle(consortium.asker("manufacturer"), "manufacturer/wire", 1, grants=False)
    assert len(parse_bundle(raw)) == 2
    monkeypatch.setattr(bundling, "_MOST_MEMBERS", 1)
    with pytest.raises(ConflictError, match="more than 1 versions"):
        consortium.gateway.evidence.bundle(AUDITOR, "manufacturer/wire", 1, grants=False)


def test_old_evidence_is_linked_to_a_newer_checkpoint_and_keeps_its_first(consortium: Consortium) -> None:
    gateway = consortium.gateway
    items = gateway.statements.list(AUDITOR, Paging(limit=200)).items
    oldest = min(items, key=lambda each: each.outcome.index).outcome.digest
    newest = max(items, key=lambda each: each.outcome.index).outcome.digest
    policy = policy_of(consortium)
    plain = parse_evidence(gateway.statements.evidence(AUDITOR, oldest, pins=pins_of(policy)))
    raw = gateway.statements.evidence(AUDITOR, oldest, pins=pins_of(policy), upgrade=True)
    upgraded = parse_evidence(raw)
    assert upgraded.later is not None
    assert replace(upgraded, later=None, history=plain.history) == plain
    assert Verifier(policy).verify(raw).verdict is Verdict.VERIFIED
    same = gateway.statements.evidence(AUDITOR, newest, pins=pins_of(policy), upgrade=True)
    assert parse_evidence(same).later is None
    assert plain.anchor.block is not None
    within = [Pin(0, _block_of(gateway, oldest))]
    assert parse_evidence(gateway.statements.evidence(AUDITOR, oldest, pins=within, upgrade=True)).later is None


def _block_of(gateway: Any, digest: Bytes32) -> int:
    row = gateway.parts.store.statements.find(digest)
    return int(max(row.anchor.block, row.effect.block))
