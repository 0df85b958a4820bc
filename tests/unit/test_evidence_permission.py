"""Whether a grant was permitted: boundaries, what is missing, and which attestation answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import MalformedError
from ledger.evidence import (
    Attestation,
    HistoryRecord,
    PermissionQuestion,
    Report,
    Verdict,
    Verifier,
    Window,
    compute_windows,
    format_sentence,
    judge_permission,
    to_document,
)
from ledger.evidence.history import History
from ledger.evidence.permission import find_hindrance, parse_moment, parse_rights
from ledger.statements import HistoryKind, Right
from ledger.types import Bytes32
from tests.support.evidence_world import salt
from tests.support.format_vectors import Spoiler

PROVIDER, CONSUMER, OTHER = salt(1), salt(2), salt(3)


def record(kind: HistoryKind, participant: Bytes32, time: int) -> HistoryRecord:
    return HistoryRecord(kind, participant, Bytes32(bytes(32)), time, time)


ADMITTED = tuple(record(HistoryKind.ADMITTED, each, 10) for each in (OTHER, PROVIDER, CONSUMER))
SLOT = Attestation(salt(9), PROVIDER, CONSUMER, 100, 200, 90, 0, 0, 1000, History(ADMITTED), salt(40))


def words_at(slot: Attestation, at: int) -> str:
    hindrance = find_hindrance(slot, at)
    return "" if hindrance is None else hindrance.words


@pytest.mark.parametrize(
    ("changes", "at", "words"),
    [
        ({}, 89, "it was granted only at 1970-01-01T00:01:30Z"),
        ({}, 90, "it was valid only from 1970-01-01T00:01:40Z"),
        ({}, 99, "it was valid only from"),
        ({}, 100, ""),
        ({}, 199, ""),
        ({}, 200, "it expired at 1970-01-01T00:03:20Z"),
        ({"granted_at": 150}, 149, "it was granted only at"),
        ({"granted_at": 150}, 150, ""),
        ({"revoked_at": 150}, 149, ""),
        ({"revoked_at": 150}, 150, "it was revoked at 1970-01-01T00:02:30Z"),
        ({"retired_at": 150}, 149, ""),
        ({"retired_at": 150}, 150, "the dataset was retired at"),
        ({"granted_at": 0, "valid_from": 0, "valid_until": 0}, 150, "it was not granted by 1970-01-01T00:16:40Z"),
        ({"granted_at": 0, "valid_from": 0, "valid_until": 0, "revoked_at": 50}, 150, "it was never granted, and"),
        ({"granted_at": 0, "valid_from": 0, "valid_until": 0, "revoked_at": 50}, 20, "it was never granted, and"),
        ({"provider": salt(4)}, 150, "was never admitted"),
    ],
)
def test_boundaries(changes: dict[str, Any], at: int, words: str) -> None:
    slot = replace(SLOT, **changes)
    assert words_at(slot, at).startswith(words) if "never" not in words else words in words_at(slot, at)
    assert bool(words) is (words_at(slot, at) != "")
    assert any(each.start <= at < each.until for each in compute_windows(slot)) is not bool(words)


def test_a_suspension_masks_for_as_long_as_it_lasts() -> None:
    changes = (
        record(HistoryKind.SUSPENDED, OTHER, 105),
        record(HistoryKind.SUSPENDED, CONSUMER, 110),
        record(HistoryKind.SUSPENDED, PROVIDER, 115),
        record(HistoryKind.REINSTATED, CONSUMER, 120),
        record(HistoryKind.REINSTATED, PROVIDER, 130),
        record(HistoryKind.SUSPENDED, PROVIDER, 140),
        record(HistoryKind.REINSTATED, PROVIDER, 140),
        record(HistoryKind.RETIRED, CONSUMER, 150),
    )
    slot = replace(SLOT, history=History(ADMITTED + changes))
    assert compute_windows(slot) == (Window(100, 110, False), Window(130, 140, False), Window(140, 150, False))
    assert "the consumer" in words_at(slot, 110)
    assert words_at(slot, 120) == f"the provider {PROVIDER} was suspended"
    assert words_at(slot, 150) == f"the consumer {CONSUMER} was retired"
    for at in range(95, 205):
        assert any(each.start <= at < each.until for each in compute_windows(slot)) is (words_at(slot, at) == "")


def test_what_the_attestation_does_not_reach() -> None:
    assert compute_windows(replace(SLOT, attested_at=150)) == (Window(100, 150, True),)
    assert compute_windows(replace(SLOT, attested_at=200)) == (Window(100, 200, False),)
    assert compute_windows(replace(SLOT, granted_at=0, valid_from=0, valid_until=0)) == ()


class Asked:
    """The story's attestations as reports."""

    def __init__(self) -> None:
        self.story = story = Spoiler()
        self.verifier = Verifier(story.world.policy())
        self.raws = {name: each.to_bytes() for name, each in story.attestations().items()}
        self.grant = story.world.prove_stated(story.grant).to_bytes()

    def report(self, name: str) -> Report:
        return self.verifier.verify(self.raws[name], source=name)


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


def test_the_newest_attestation_answers(asked: Asked) -> None:
    reports = [asked.report(name) for name in ("late", "unknown", "middle")]
    question = PermissionQuestion(asked.story.valid_from, 1, Right.READ | Right.DERIVE)
    late, unknown, middle = judge_permission(reports, question)
    assert unknown.claim is middle.claim is None
    assert late.claim is not None
    assert late.claim.verdict is late.verdict is Verdict.VERIFIED
    assert late.claim.question.endswith("for version 1, to read, derive")
    assert "It was permitted at" in format_sentence(late)
    claim = to_document(late)["claim"]
    assert isinstance(claim, dict)
    assert claim["verdict"] == "verified"
    assert "shown" in to_document(late)


def granted(report: Report) -> Bytes32:
    assert report.attestation is not None
    return report.attestation.grant


def test_windows_are_told_where_no_moment_is_asked(asked: Asked) -> None:
    (late,) = judge_permission([asked.report("late")], PermissionQuestion())
    (early,) = judge_permission([asked.report("early")], PermissionQuestion(grant=granted(asked.report("early"))))
    (vague,) = judge_permission([asked.report("early")], PermissionQuestion())
    (middle,) = judge_permission([asked.report("middle")], PermissionQuestion())
    assert late.claim is not None
    assert late.claim.sentence.count("until") == 2
    assert early.claim is not None
    assert early.claim.verdict is Verdict.VERIFIED
    assert early.claim.sentence.startswith(f"The grant {granted(early)} permitted it at no moment before")
    assert vague.verdict is Verdict.UNDETERMINED
    assert vague.claim is not None
    assert vague.claim.sentence == f"{early.claim.sentence}; another grant may have"
    assert middle.claim is not None
    assert "Z on, as far" in middle.claim.sentence


def test_rights_that_are_not_granted(asked: Asked) -> None:
    for right in (0, 1 << 200, Right.ARCHIVE, Right.READ | Right.ARCHIVE):
        (late,) = judge_permission([asked.report("late")], PermissionQuestion(None, None, right))
        assert late.claim is not None
        assert late.claim.verdict is Verdict.UNDETERMINED
        assert "it grants to read, derive, not to" in late.claim.sentence
        assert late.claim.sentence.endswith("; another grant may have")
        (named,) = judge_permission([late], PermissionQuestion(None, None, right, granted(late)))
        assert named.claim is not None
        assert named.claim.verdict is Verdict.REFUTED
        assert named.claim.sentence + "; another grant may have" == late.claim.sentence


def test_terms_come_from_any_file_that_has_them(asked: Asked) -> None:
    bare = replace(asked.story.attestations()["late"], statement=None)
    report = asked.verifier.verify(bare.to_bytes())
    question = PermissionQuestion(asked.story.valid_from, 1)
    (judged,) = judge_permission([report], question)
    assert judged.claim is not None
    assert judged.claim.verdict is Verdict.UNDETERMINED
    assert "the terms of the grant" in judged.claim.sentence
    judged, _ = judge_permission([report, asked.verifier.verify(asked.grant)], question)
    assert judged.claim is not None
    assert judged.claim.verdict is Verdict.VERIFIED


def test_without_an_attestation_that_stands_it_is_open(asked: Asked) -> None:
    bare = replace(asked.story.attestations()["late"], history=None)
    (judged,) = judge_permission([asked.verifier.verify(bare.to_bytes())], PermissionQuestion(1))
    assert judged.verdict is Verdict.UNDETERMINED
    assert "no attestation of a grant that stands" in format_sentence(judged)
    breach = asked.verifier.verify(asked.story.breaches()["missed"].to_bytes())
    (kept,) = judge_permission([breach], PermissionQuestion(1))
    assert kept.claim == breach.claim
    unreadable = asked.verifier.verify(b"{}")
    (refuted,) = judge_permission([unreadable], PermissionQuestion(1))
    assert refuted.verdict is Verdict.REFUTED


def ask_slots(*slots: Attestation, at: int, grant: Bytes32 | None = None) -> tuple[Report, ...]:
    reports = [Report(source=str(slot.grant), steps=(), attestation=slot) for slot in slots]
    return judge_permission(reports, PermissionQuestion(at, grant=grant))


def test_any_of_several_grants_permits() -> None:
    revoked, other = replace(SLOT, revoked_at=120), replace(SLOT, grant=salt(10))
    for slots in ((revoked, other), (other, revoked)):
        reports = ask_slots(*slots, at=150)
        assert {each.verdict for each in reports} == {Verdict.VERIFIED}
    claim = reports[1].claim
    assert claim is not None
    assert claim.sentence.startswith("It was permitted at 1970-01-01T00:02:30Z")
    assert f"the grant {SLOT.grant} alone would not do: The grant {SLOT.grant} did not permit" in claim.sentence
    assert "revoked at" in claim.sentence
    later = replace(other, attested_at=110)
    assert {each.verdict for each in ask_slots(revoked, later, at=150)} == {Verdict.UNDETERMINED}
    both = (revoked, replace(other, revoked_at=130))
    assert {each.verdict for each in ask_slots(*both, at=150)} == {Verdict.UNDETERMINED}


def test_that_nothing_permitted_is_not_shown_by_the_grants_that_are_given() -> None:
    """The one that permitted may be left out; a grant that is named answers for itself."""
    (report,) = ask_slots(replace(SLOT, revoked_at=120), at=150)
    assert report.claim is not None
    assert report.verdict is Verdict.UNDETERMINED
    assert report.claim.sentence == (
        f"The grant {SLOT.grant} did not permit it at 1970-01-01T00:02:30Z: it was revoked at 1970-01-01T00:02:00Z; "
        "another grant may have"
    )
    slots = replace(SLOT, revoked_at=120), replace(SLOT, grant=salt(10))
    revoked, other = ask_slots(*slots, at=150, grant=SLOT.grant)
    assert (revoked.verdict, other.claim) == (Verdict.REFUTED, None)
    assert revoked.claim is not None
    assert revoked.claim.question.endswith(f"by grant {SLOT.grant}")
    (missing,) = ask_slots(slots[0], at=150, grant=salt(10))
    assert missing.verdict is Verdict.UNDETERMINED
    assert f"no attestation of the grant {salt(10)} that stands" in format_sentence(missing)


@pytest.mark.parametrize("grant", [None, SLOT.grant])
def test_a_grant_that_the_contract_does_not_know_says_nothing(grant: Bytes32 | None) -> None:
    """Anyone can have terms attested that nobody signed."""
    (report,) = ask_slots(replace(SLOT, granted_at=0, valid_from=0, valid_until=0), at=150, grant=grant)
    assert report.verdict is Verdict.UNDETERMINED
    assert f"of grant {SLOT.grant} the contract knew nothing at 1970-01-01T00:16:40Z" in format_sentence(report)
    slot = replace(SLOT, granted_at=0, valid_from=0, valid_until=0, revoked_at=50)
    (revoked,) = ask_slots(slot, at=150, grant=grant)
    assert revoked.verdict is (Verdict.UNDETERMINED if grant is None else Verdict.REFUTED)


@pytest.mark.parametrize("change", [{"consumer": OTHER}, {"dataset": salt(41)}])
def test_a_grant_to_another_or_of_another_dataset_permits_nothing(change: dict[str, Any]) -> None:
    mine, theirs = ask_slots(replace(SLOT, revoked_at=120), replace(SLOT, grant=salt(10), **change), at=150)
    assert (mine.verdict, theirs.verdict) == (Verdict.UNDETERMINED, Verdict.VERIFIED)


def test_moments_and_rights_are_read_strictly() -> None:
    assert parse_moment("1970-01-01T00:01:40Z") == parse_moment("1970-01-01T02:01:40.9+02:00") == 100
    for text in ("1970-01-01T00:01:40", "1969-12-31T23:59:59Z", "soon", "2026-13-01T00:00:00Z"):
        with pytest.raises(MalformedError):
            parse_moment(text)
    assert parse_rights(["read", "archive"]) == Right.READ | Right.ARCHIVE
    with pytest.raises(MalformedError, match="no right is named 'use', only read"):
        parse_rights(["use"])
