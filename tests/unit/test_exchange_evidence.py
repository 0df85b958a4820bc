"""Events and attestations of a running gateway: what the verifier says of them, and who may ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError, RefusedError, UnavailableError
from ledger.evidence import (
    Verdict,
    Verifier,
    parse_event_evidence,
    verify_all,
)
from ledger.evidence.permission import PermissionQuestion, judge_permission
from ledger.exchange import Paging
from ledger.exchange.intents import (
    AccessGrantIntent,
    AccessRevocationIntent,
)
from ledger.store.rows import OutboxState
from ledger.surface.attestations import AttestationState
from ledger.types import Bytes32
from tests.support.exchange import Consortium, found_in, open_gateway, registration, soon
from tests.support.proving import AUDITOR, FILES, STRANGER, consortium, grant, pins_of, policy_of, relay_past

__all__ = ["consortium"]

NONE = Bytes32(bytes(32))


def ask_permitted(consortium: Consortium, digest: Bytes32, at: datetime) -> Any:
    policy = policy_of(consortium)
    raw = consortium.gateway.evidence.grant_attestation_evidence(AUDITOR, digest, pins=pins_of(policy))
    reports = verify_all(Verifier(policy), [("attestation.json", raw)])
    (report,) = judge_permission(reports, PermissionQuestion(int(at.timestamp()), grant=digest))
    assert report.claim is not None
    return report.claim


def test_a_grant_was_permitted_until_it_was_revoked(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    digest = grant(consortium)
    view = evidence.attest_grant(consortium.asker("manufacturer"), digest, wait_s=20)
    assert (view.state, view.kind, view.subject) == (AttestationState.FINAL, "grant", digest)
    assert view.time is not None
    parts = consortium.gateway.parts
    granted = parts.store.access.find_grant(digest, parts.now())
    assert granted is not None
    assert granted.granted_at is not None
    claim = ask_permitted(consortium, digest, granted.granted_at)
    # In the attestation's own second later transactions could still change it: only what is before is told.
    expected = Verdict.VERIFIED if view.time > granted.granted_at else Verdict.UNDETERMINED
    assert claim.verdict is expected, claim
    consortium.state("utility", AccessRevocationIntent(grant=digest))
    later = evidence.attest_grant(AUDITOR, digest, wait_s=20)
    assert later.transaction != view.transaction
    revoked = parts.store.access.find_grant(digest, parts.now())
    assert revoked is not None
    assert revoked.revoked_at is not None
    assert replace(evidence.grant_attestation(AUDITOR, digest), as_of_block=later.as_of_block) == later
    before = ask_permitted(consortium, digest, granted.granted_at - timedelta(seconds=1))
    assert before.verdict is Verdict.REFUTED, before


def test_the_newest_attestation_answers_where_it_is_late_enough(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    digest = grant(consortium, last_version=7)
    first = evidence.attest_grant(AUDITOR, digest, wait_s=20)
    assert first.time is not None
    again = evidence.attest_grant(AUDITOR, digest, after=first.time - timedelta(seconds=1), wait_s=20)
    assert again.transaction == first.transaction
    newer = evidence.attest_grant(AUDITOR, digest, after=first.time, wait_s=20)
    assert newer.transaction != first.transaction
    with pytest.raises(MalformedError, match="future"):
        evidence.attest_grant(AUDITOR, digest, after=datetime.now(UTC) + timedelta(hours=1))


def test_what_is_on_its_way_is_not_asked_for_twice(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = consortium.gateway.evidence
    digest = grant(consortium, last_version=8)
    outbox = consortium.gateway.parts.store.outbox
    monkeypatch.setattr(consortium.gateway._submitter, "step", lambda: False)
    submitting = consortium.gateway._submitting
    monkeypatch.setattr(submitting, "_step", lambda: False)
    first = evidence.attest_grant(AUDITOR, digest)
    second = evidence.attest_grant(AUDITOR, digest)
    assert first.state is second.state is AttestationState.PENDING
    assert first.transaction == second.transaction
    assert (first.block, first.time) == (None, None)
    with pytest.raises(NotFoundError, match="is final here"):
        evidence.grant_attestation_evidence(AUDITOR, digest)
    monkeypatch.undo()
    submitting.wake()
    done = evidence.attest_grant(AUDITOR, digest, after=datetime(2020, 1, 1, tzinfo=UTC), wait_s=20)
    assert (done.transaction, done.state) == (first.transaction, AttestationState.FINAL)
    row = outbox.find(f"attestation:grant:{digest}:0")
    assert row is not None
    assert row.state is OutboxState.DONE


def test_what_was_asked_for_comes_though_the_gateway_died_before_it_was_sent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    founded = found_in(home)
    with open_gateway(home, founded) as consortium:
        submitting = consortium.gateway._submitting
        consortium.gateway._publishing.stop()
        submitting.stop()
        asked = consortium.gateway.evidence.attest_log(AUDITOR)
        assert asked.state is AttestationState.PENDING
    with open_gateway(home, founded) as consortium:
        done = consortium.gateway.evidence.attest_log(AUDITOR, after=datetime(2020, 1, 1, tzinfo=UTC), wait_s=20)
        assert (done.state, done.transaction) == (AttestationState.FINAL, asked.transaction)
        again = consortium.gateway.evidence.attest_log(AUDITOR, wait_s=20)
        assert again.transaction != asked.transaction


def test_the_log_is_attested_as_it_stands(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    parts = consortium.gateway.parts
    view = evidence.attest_log(AUDITOR, wait_s=20)
    assert (view.kind, view.subject, view.state) == ("log", parts.log, AttestationState.FINAL)
    assert replace(evidence.log_attestation(), as_of_block=view.as_of_block) == view
    policy = policy_of(consortium)
    raw = evidence.log_attestation_evidence(pins=pins_of(policy))
    shown = parse_event_evidence(raw)
    last = parts.store.chain.last_checkpoint(parts.log)
    assert last is not None
    assert shown.name == "LogAttested"
    assert shown.members["size"] == str(last.size)
    assert shown.history
    assert Verifier(policy).verify(raw).verdict is Verdict.VERIFIED


def test_only_parties_and_auditors_ask_about_a_grant(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    digest = grant(consortium, last_version=9)
    for asker in (STRANGER, consortium.asker("analyst")):
        for ask in (evidence.attest_grant, evidence.grant_attestation, evidence.grant_attestation_evidence):
            with pytest.raises(NotFoundError):
                ask(asker, digest)
    with pytest.raises(NotFoundError, match="POST asks for one"):
        evidence.grant_attestation(consortium.asker("utility"), digest)
    with pytest.raises(NotFoundError):
        evidence.attest_grant(AUDITOR, NONE)


def test_what_came_past_the_gateway_is_proved_by_its_event(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    digest, _ = relay_past(consortium, "analyst", registration("private", FILES))
    policy = policy_of(consortium)
    raw = evidence.event(STRANGER, digest, pins=pins_of(policy))
    shown = parse_event_evidence(raw)
    assert (shown.name, shown.members["digest"]) == ("DatasetRegistered", str(digest))
    assert shown.statement is None
    report = Verifier(policy).verify(raw)
    assert report.verdict is Verdict.VERIFIED, report
    with pytest.raises(NotFoundError, match="no contract's event"):
        evidence.event(AUDITOR, NONE)


def test_a_grant_that_came_past_is_attested_by_its_text(consortium: Consortium) -> None:
    gateway = consortium.gateway
    consortium.finish(
        gateway.statements.submit(
            consortium.asker("analyst"),
            consortium.sign("analyst", registration("own", FILES), consortium.key_of("analyst", "signing")),
        )
    )
    intent = AccessGrantIntent(
        dataset="analyst/own",
        consumer="utility",
        purpose="ResearchAndDevelopment",
        rights=("read",),
        valid_until=soon(days=1),
    )
    digest, statement = relay_past(consortium, "analyst", intent)
    utility = consortium.asker("utility")
    with pytest.raises(ConflictError) as needed:
        gateway.evidence.attest_grant(utility, digest)
    assert needed.value.code == "grant-text-needed"
    with pytest.raises(MalformedError, match="another grant"):
        gateway.evidence.attest_grant(utility, NONE, message=statement.to_json())
    with pytest.raises(NotFoundError):
        gateway.evidence.attest_grant(consortium.asker("manufacturer"), digest, message=statement.to_json())
    view = gateway.evidence.attest_grant(utility, digest, message=statement.to_json(), wait_s=20)
    assert view.state is AttestationState.FINAL
    shown = parse_event_evidence(gateway.evidence.grant_attestation_evidence(utility, digest))
    assert (shown.name, shown.statement) == ("GrantAttested", None)


def test_an_invented_grant_is_not_worth_a_transaction(consortium: Consortium) -> None:
    gateway = consortium.gateway
    utility = consortium.asker("utility")
    prepared = gateway.statements.prepare(
        utility,
        AccessGrantIntent(
            dataset="utility/power",
            consumer="manufacturer",
            purpose="ResearchAndDevelopment",
            rights=("read",),
            valid_until=soon(days=3),
        ),
    ).statement
    digest = prepared.digest(gateway.parts.domains)
    with pytest.raises(NotFoundError, match="no grant"):
        gateway.evidence.attest_grant(utility, digest, message=prepared.to_json())
    assert gateway.parts.store.outbox.find(f"attestation:grant:{digest}:0") is None
    known = grant(consortium, last_version=11)
    row = gateway.parts.store.statements.find(known)
    assert row is not None
    view = gateway.evidence.attest_grant(utility, known, message=dict(row.message), wait_s=20)
    assert view.state is AttestationState.FINAL


def test_attestations_find_room_beside_statements(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, outbox = consortium.gateway.evidence, consortium.gateway.parts.store.outbox
    depths = {"": 1000, "attestation:": 64}
    monkeypatch.setattr(outbox, "depth", lambda prefix="": depths[prefix])
    spent = evidence._allowance._spent
    with pytest.raises(UnavailableError, match="too many attestations"):
        evidence.attest_log(STRANGER)
    assert not spent["stranger"]
    depths["attestation:"] = 63
    evidence.attest_log(STRANGER)
    monkeypatch.undo()
    assert len(spent["stranger"]) == 1


def test_a_party_reads_the_statement_beside_the_event(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    digest = grant(consortium, last_version=5)
    policy = policy_of(consortium)
    for asker, sees in ((AUDITOR, True), (consortium.asker("manufacturer"), True), (STRANGER, False)):
        raw = evidence.event(asker, digest, pins=pins_of(policy))
        assert (parse_event_evidence(raw).statement is not None) is sees
        assert Verifier(policy).verify(raw).verdict is Verdict.VERIFIED
    with pytest.raises(NotFoundError, match="it emitted AccessGranted"):
        evidence.event(AUDITOR, digest, name="DecisionExecuted")
    assert parse_event_evidence(evidence.event(AUDITOR, digest, name="AccessGranted")).name == "AccessGranted"


def test_another_event_of_the_transaction_is_proved_by_its_name(consortium: Consortium) -> None:
    gateway = consortium.gateway
    votes = gateway.statements.list(AUDITOR, Paging(limit=200), type_name="ParticipantApplication").items
    digest = votes[0].outcome.digest
    policy = policy_of(consortium)
    raw = gateway.evidence.event(AUDITOR, digest, name="HistoryExtended", pins=pins_of(policy))
    shown = parse_event_evidence(raw)
    assert (shown.name, shown.statement) == ("HistoryExtended", None)
    assert shown.history
    assert Verifier(policy).verify(raw).verdict is Verdict.VERIFIED


def test_an_event_that_is_not_final_or_not_indexed_asks_to_come_back(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = consortium.gateway
    digest = grant(consortium, last_version=12)
    gateway.evidence.attest_grant(AUDITOR, digest, wait_s=20)
    parts = gateway.parts
    first = parts.edge.header(1)
    monkeypatch.setattr(parts.edge, "final_head", lambda: first)
    with pytest.raises(ConflictError, match="not final yet"):
        gateway.evidence.event(AUDITOR, digest)
    monkeypatch.undo()
    monkeypatch.setattr(parts.edge, "receipt", lambda _: None)
    with pytest.raises(UnavailableError, match="no longer shows the event"):
        gateway.evidence.event(AUDITOR, digest, name="HistoryExtended")
    with pytest.raises(UnavailableError, match="no longer shows the attestation"):
        gateway.evidence.grant_attestation_evidence(AUDITOR, digest)
    monkeypatch.undo()

    def missing(_: object) -> None:
        raise NotFoundError("not indexed")

    gateway.evidence._events._heads._kept.clear()
    monkeypatch.setattr(parts.store.chain, "history_until", missing)
    with pytest.raises(UnavailableError, match="not indexed up to this event"):
        gateway.evidence.grant_attestation_evidence(AUDITOR, digest)


def test_a_log_that_is_empty_or_not_open_is_attested_as_such(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    attestations, chain = consortium.gateway.evidence._attestations, consortium.gateway.parts.store.chain
    monkeypatch.setattr(chain, "last_checkpoint", lambda _: None)
    assert attestations._encode_log().function == "attest"
    monkeypatch.setattr(chain, "find_log", lambda _: None)
    with pytest.raises(NotFoundError, match="not open"):
        attestations._encode_log()


def test_who_asks_too_often_is_told_when_to_come_back(consortium: Consortium) -> None:
    evidence = consortium.gateway.evidence
    asker = replace(AUDITOR, api_key="impatient")
    evidence.attest_log(asker, wait_s=20)
    early = datetime(2020, 1, 1, tzinfo=UTC)
    for _ in range(59):
        evidence.attest_log(asker, after=early)
    with pytest.raises(UnavailableError, match="within a minute") as refused:
        evidence.attest_log(asker, after=early)
    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 60


def test_an_index_behind_the_chain_asks_to_come_back(consortium: Consortium, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise RefusedError("not current", code=code)

    code = "checkpoint-log-not-current"
    monkeypatch.setattr(consortium.gateway.parts.edge, "simulate", refuse)
    with pytest.raises(UnavailableError, match="just published"):
        consortium.gateway.evidence.attest_log(AUDITOR)
    code = "evm-reverted"
    with pytest.raises(RefusedError):
        consortium.gateway.evidence.attest_log(AUDITOR)
