"""Events of the real contracts, as the kept demo has them: each is evidence of its own, and all fit into one bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.evidence import (
    EventEvidence,
    Evidence,
    Verdict,
    Verifier,
    build_bundle,
    build_event_evidence,
    format_sentence,
    parse_bundle,
    parse_evidence,
    parse_policy,
    verify_all,
)
from ledger.statements import Statement

VECTORS = Path(__file__).parent.parent / "vectors"
KEPT = sorted(VECTORS.glob("demo-*"))


def events_of(evidence: Evidence) -> list[EventEvidence]:
    """The anchor with its history, and the effect with its statement."""
    events = [build_event_evidence(evidence.anchor, history=evidence.history)]
    if evidence.effect is not None:
        statement = Statement.parse(evidence.type_name, evidence.message)
        events.append(build_event_evidence(evidence.effect, statement=statement))
    return events


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_every_event_of_a_real_chain_is_evidence_of_its_own(kept: Path) -> None:
    verifier = Verifier(parse_policy((kept / "policy.json").read_bytes()))
    names = set()
    for path in sorted((kept / "evidence").glob("*.json")):
        for event in events_of(parse_evidence(path.read_bytes())):
            report = verifier.verify(event.to_bytes())
            assert report.verdict is Verdict.VERIFIED, (path.name, format_sentence(report))
            assert (report.in_force is None) is (event.name == "CheckpointPublished")
            names.add(event.name)
    assert {
        "CheckpointPublished",
        "DatasetRegistered",
        "AccessGranted",
        "AgreementProposed",
        "SettlementRecorded",
    } <= names


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_a_whole_demo_fits_into_one_bundle(kept: Path) -> None:
    members = [path.read_bytes() for path in sorted((kept / "evidence").glob("*.json"))]
    raw = build_bundle(members)
    assert sorted(parse_bundle(raw)) == sorted(members)
    assert 3 * len(raw) < 2 * sum(map(len, members))
    reports = verify_all(Verifier(parse_policy((kept / "policy.json").read_bytes())), [("demo.json", raw)])
    assert {report.verdict for report in reports} == {Verdict.VERIFIED}


def test_sealed_evidence_fits_into_a_bundle_down_to_its_seals() -> None:
    sealed = VECTORS / "evidence" / "sealed"
    members = [path.read_bytes() for path in sorted((sealed / "good").glob("*.json"))]
    raw = build_bundle(members)
    assert sorted(parse_bundle(raw)) == sorted(members)
    reports = verify_all(Verifier(parse_policy((sealed / "policy.json").read_bytes())), [("sealed.json", raw)])
    assert {report.verdict for report in reports} == {Verdict.VERIFIED}
    assert any("the seals of" in basis for report in reports for basis in report.rests_on)
    event = build_event_evidence(parse_evidence(members[-1]).anchor)
    assert event.chain.block is None or event.chain.block.proof
