"""Events, breaches and forks: what the vectors do not show of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import ledger.evidence
from ledger.errors import MalformedError
from ledger.evidence import (
    EventEvidence,
    PinnedLog,
    PinnedRange,
    Verdict,
    Verifier,
    build_event_evidence,
    format_sentence,
    parse_breach,
    parse_event_evidence,
    parse_evidence,
    to_document,
)
from ledger.evidence.fork import parse_fork
from ledger.log import NoteSigner, SignedNote
from ledger.types import Bytes32
from tests.support.evidence_world import ORIGIN, make_event, salt, word
from tests.support.format_vectors import changed
from tests.support.told import Told, failing, told

__all__ = ["told"]


def test_every_public_name_is_there() -> None:
    for name in ledger.evidence.__all__:
        assert getattr(ledger.evidence, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Forgery'"):
        ledger.evidence.Forgery  # noqa: B018 - read for what it raises


def test_what_is_read_is_written_again(told: Told) -> None:
    for event in told.story.events().values():
        assert parse_event_evidence(event.to_bytes()) == event
    for breach in told.story.breaches().values():
        assert parse_breach(breach.to_bytes()) == breach
    assert parse_fork(told.story.fork.to_bytes()) == told.story.fork
    upgraded = told.story.upgraded()
    assert parse_evidence(upgraded.to_bytes()) == upgraded


def test_an_event_says_what_the_contract_recorded(told: Told) -> None:
    events = told.story.events()
    report = told.verify(events["access-granted"].to_bytes())
    sentence = format_sentence(report)
    assert "The contract AccessGrants recorded AccessGranted in block" in sentence
    assert "It is about the AccessGrant of participant" in sentence
    assert "It is in force since block" in sentence
    assert "whether the grant was revoked since" in sentence
    document: Any = to_document(report)
    assert document["shown"]["members"]["signer"] == events["access-granted"].members["signer"]
    assert document["in_force"]["event"] == "AccessGranted"
    attested = told.verify(events["grant-attested"].to_bytes())
    assert attested.in_force is None
    assert "in force" not in format_sentence(attested)
    proposed = format_sentence(told.verify(events["agreement-proposed"].to_bytes()))
    assert '"parties":["0x' in proposed
    bare: Any = to_document(told.verify(events["agreement-activated-without-terms"].to_bytes()))
    assert bare["digest"] == bare["shown"]["members"]["proposal"]
    assert "statement" not in bare


def test_an_event_that_nobody_knows_is_left_open() -> None:
    told = Told()
    unknown = make_event("LogClosed", [1, 2], word(3)) | {"topics": ["0x" + "77" * 32]}
    chain = told.story.chain(told.story.with_event(unknown))
    with pytest.raises(MalformedError, match="does not know"):
        build_event_evidence(chain)
    event = EventEvidence(chain, "CheckpointLog", "LogFrozen", {})
    verifier = Verifier(told.world.policy())
    report = verifier.verify(replace(event, chain=told.world.pin(chain)).to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert "a newer verifier is needed" in format_sentence(report)
    known = verifier.verify(replace(event, name="LogClosed", chain=told.world.pin(chain)).to_bytes())
    assert failing(known) == [7]


def test_a_position_beyond_the_receipt_is_malformed(told: Told) -> None:
    chain = told.story.chain(told.story.revoked)
    with pytest.raises(MalformedError, match="none at position 9"):
        build_event_evidence(replace(chain, log_position=9))


def test_a_history_with_a_record_of_a_newer_kind_is_left_open() -> None:
    told = Told()
    told.world.extend_history((99, told.story.utility.id, 0))  # type: ignore[arg-type]  # a kind of tomorrow
    event = told.story.pinned(told.story.attest())
    report = Verifier(told.world.policy()).verify(event.to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert report.attestation is None


def test_a_breach_names_the_log_and_its_promise(told: Told) -> None:
    report = told.verify(told.story.breaches()["missed"].to_bytes())
    assert report.claim is not None
    assert report.claim.question == "did the log break its promise"
    assert {"digest", "index", "anchor_by", "log", "time"} <= set(report.claim.facts)
    assert ORIGIN in format_sentence(report)
    assert report.statement is None  # it is no evidence of the statement


def test_a_receipt_under_the_name_of_an_unknown_type(told: Told) -> None:
    missed = told.story.breaches()["missed"]
    renamed = changed(missed, lambda each: each["statement"].update(type="AccessWithdrawal"))
    report = told.verify(renamed)
    assert failing(report) == [2]
    assert "of another type" in format_sentence(report)
    unknown = changed(renamed, lambda each: each["statement"]["message"].update(urgency="1"))
    report = told.verify(unknown)
    assert report.verdict is Verdict.UNDETERMINED


def test_a_log_that_the_policy_does_not_know(told: Told) -> None:
    policy = replace(told.policy, logs=())
    for raw in (told.story.fork.to_bytes(), told.story.breaches()["forked"].to_bytes()):
        report = Verifier(policy).verify(raw)
        assert report.verdict is Verdict.UNDETERMINED
        assert "does not know the log" in format_sentence(report)


def test_a_log_of_a_known_origin_that_the_policy_does_not_know(told: Told) -> None:
    """Another operator's log of the same origin is no reason to refute what an unknown one signed."""
    twin = PinnedLog(Bytes32(salt(70)), ORIGIN, (NoteSigner(ORIGIN, bytes(32)).verifier_key,))
    verifier = Verifier(replace(told.policy, logs=(twin,)))
    raws = (told.story.members()[0], *(each.to_bytes() for each in told.story.breaches().values()))
    for raw in raws:
        report = verifier.verify(raw)
        assert report.verdict is Verdict.UNDETERMINED
        assert "your policy knows no key" in format_sentence(report)


def test_two_operators_with_one_origin_do_not_make_a_fork(told: Told) -> None:
    """Each signed one of the two checkpoints, as is their right."""
    (log,) = told.policy.logs
    stranger = told.story.open_forks()["of-an-unknown-log-key"]
    line = SignedNote.parse(stranger.larger).signatures[0]
    other = PinnedLog(Bytes32(salt(70)), ORIGIN, (_key_of(line.key_id),))
    policy = replace(told.policy, logs=tuple(sorted((log, other), key=lambda each: each.operator)))
    assert Verifier(policy).verify(stranger.to_bytes()).verdict is not Verdict.VERIFIED
    assert Verifier(policy).verify(told.story.fork.to_bytes()).verdict is Verdict.VERIFIED


def test_one_key_of_two_operators_tells_no_log(told: Told) -> None:
    """Whoever opens a log may name any key, and any origin."""
    (log,) = told.policy.logs
    logs = sorted((log, replace(log, operator=Bytes32(salt(70)))), key=lambda each: each.operator)
    report = Verifier(replace(told.policy, logs=tuple(logs))).verify(told.story.fork.to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert "more than one of them has the key" in format_sentence(report)


def test_one_key_of_two_operators_charges_neither_with_a_breach(told: Told) -> None:
    """A member that opened a log with the gateway's origin and key can show that this one anchored nothing."""
    (log,) = told.policy.logs
    clone = replace(log, operator=Bytes32(salt(70)))
    verifier = Verifier(replace(told.policy, logs=tuple(sorted((log, clone), key=lambda each: each.operator))))
    for breach in told.story.breaches().values():
        report = verifier.verify(breach.to_bytes())
        assert report.verdict is Verdict.UNDETERMINED
        assert f"of operator {clone.operator} too: make it anew" in format_sentence(report)
    for breach in told.story.kept_promises().values():
        assert verifier.verify(breach.to_bytes()).verdict is Verdict.REFUTED


def with_later_key(told: Told) -> Verifier:
    (log,) = told.policy.logs
    later = NoteSigner(ORIGIN, b"later".ljust(32, b"\0")).verifier_key
    return Verifier(replace(told.policy, logs=(replace(log, keys=(*log.keys, later)),)))


def test_an_older_key_breaks_no_promise(told: Told) -> None:
    """Whoever has it since the rotation can sign receipts and histories that the log never did."""
    verifier = with_later_key(told)
    for raw in (told.story.fork.to_bytes(), *(each.to_bytes() for each in told.story.breaches().values())):
        report = verifier.verify(raw)
        assert report.verdict is Verdict.UNDETERMINED
        assert "an older key of the log" in format_sentence(report)
    for breach in told.story.kept_promises().values():
        assert verifier.verify(breach.to_bytes()).verdict is Verdict.REFUTED


def test_the_newest_key_of_several_breaks_promises(told: Told) -> None:
    (log,) = told.policy.logs
    earlier = NoteSigner(ORIGIN, b"earlier".ljust(32, b"\0")).verifier_key
    verifier = Verifier(replace(told.policy, logs=(replace(log, keys=(earlier, *log.keys)),)))
    for raw in (told.story.fork.to_bytes(), *(each.to_bytes() for each in told.story.breaches().values())):
        assert verifier.verify(raw).verdict is Verdict.VERIFIED


def test_a_place_that_was_taken_in_time_keeps_no_promise(told: Told) -> None:
    report = told.verify(told.story.open_promises()["another-entry-in-time"].to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert "whether it is this one, the event does not show" in format_sentence(report)


def _key_of(key_id: bytes) -> Any:
    key = NoteSigner(ORIGIN, bytes(32)).verifier_key
    assert key.key_id == key_id
    return key


def test_a_policy_of_another_range_leaves_events_open(told: Told) -> None:
    epoch = PinnedRange(0, 1, salt(1))
    policy = replace(told.policy, epochs=(epoch,))
    report = Verifier(policy).verify(told.story.events()["access-granted"].to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert report.shown is None
    assert Verifier(policy).verify(told.story.breaches()["missed"].to_bytes()).claim is None
