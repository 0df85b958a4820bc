"""Bundles and links to later checkpoints: what the vectors do not show of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical, parse_canonical
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence import (
    HistoryRecord,
    PinnedLog,
    Verdict,
    Verifier,
    build_bundle,
    bundle_parts,
    export_tlog_proof,
    format_sentence,
    opening,
    parse_bundle,
    read_bundle,
    to_document,
    verify_all,
)
from ledger.evidence.history import HistoryFold
from ledger.evidence.tree import TreeLine, draw_lineage
from ledger.evidence.upgrading import link_evidence
from ledger.log import Checkpoint, SignedNote, TlogProof
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.statements import HistoryKind
from tests.support.evidence_world import CONTRACTS, ORIGIN, make_event, salt, word
from tests.support.told import Told, failing, tiles, told

__all__ = ["told"]


def test_members_come_back_byte_for_byte(told: Told) -> None:
    members = [*told.story.members(), told.story.upgraded().to_bytes(), told.story.events()["log-opened"].to_bytes()]
    raw = build_bundle([*members, members[0]])
    assert sorted(parse_bundle(raw)) == sorted(members)
    assert build_bundle(reversed(members)) == raw
    assert len(raw) < sum(map(len, members))
    reports = verify_all(told.verifier, [("b.json", raw)])
    assert [report.source for report in reports] == [f"b.json#{number}" for number in range(1, 8)]
    assert {report.verdict for report in reports} == {Verdict.VERIFIED}


def test_what_no_bundle_holds(told: Told) -> None:
    members = told.story.members()
    with pytest.raises(MalformedError, match="found 0"):
        build_bundle([])
    with pytest.raises(MalformedError, match="not 'concord-breach/1'"):
        build_bundle([told.story.breaches()["missed"].to_bytes()])
    other = told.story.pinned(told.story.middle)
    assert other.history is not None
    forged = replace(other, history=(HistoryRecord(1, salt(1), salt(2), 3, 4), *other.history[1:]))
    with pytest.raises(MalformedError, match="contradict each other"):
        build_bundle([*members, forged.to_bytes()])


def test_a_bundle_is_no_evidence_of_one_fact(told: Told) -> None:
    report = told.verify(told.story.bundle)
    assert report.verdict is Verdict.REFUTED
    assert "a bundle, where the evidence of one fact belongs" in format_sentence(report)


def test_parts_are_of_their_kind(told: Told) -> None:
    for spoil in ({"pins": "none"}, {"headers": [1]}, {"manifests": ["none"]}):
        document: Any = parse_canonical(told.story.bundle)
        with pytest.raises(MalformedError):
            parse_bundle(encode_canonical(document | spoil))


@pytest.mark.parametrize(
    ("bound", "value", "words"),
    [
        ("_MAX_EXPANDED_BYTES", 10_000, "more than 10000 bytes in all"),
        ("_MAX_RECORDS", 3, "more than 3 records of history in all"),
        ("MAX_SIZE_BYTES", 5_000, "the bundle has more than 5000 bytes"),
        ("MAX_MEMBERS", 2, "more than 2 members"),
    ],
)
def test_a_bundle_that_is_too_large_is_left_open_and_not_made(
    told: Told, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, words: str
) -> None:
    """What one verifier does not take may be good evidence all the same."""
    members = parse_bundle(told.story.bundle)
    monkeypatch.setattr(bundle_parts, bound, value)
    with pytest.raises(UnavailableError, match=words):
        parse_bundle(told.story.bundle)
    (report,) = verify_all(told.verifier, [("b.json", told.story.bundle)])
    assert report.verdict is Verdict.UNDETERMINED
    assert "make it in parts" in format_sentence(report)
    with pytest.raises(MalformedError, match=f"{words}.*several bundles of fewer members"):
        build_bundle(members)


def test_a_file_beyond_all_bounds_is_left_open(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_MAX_SIZE_BYTES", 100)
    (report,) = verify_all(told.verifier, [("b.json", told.story.bundle)])
    assert report.verdict is Verdict.UNDETERMINED
    assert "more than 100 bytes: give what is in it in parts" in format_sentence(report)


def test_a_history_counts_once_in_memory_and_for_each_member_as_work(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference to many records is a few bytes: what it stands for is bounded like any other part."""
    bundle = told.story.bundle
    members = read_bundle(bundle)
    histories = [each.history for each in members if each.history is not None]
    assert len({id(each) for each in histories}) == len(set(map(len, histories))) < len(histories)
    in_all = sum(map(len, histories))
    monkeypatch.setattr(bundle_parts, "_MAX_RECORDS", in_all)
    assert read_bundle(bundle) == members
    assert build_bundle(each.to_bytes() for each in members) == bundle
    document: Any = parse_canonical(bundle)
    document["history"] *= 2
    for member in document["evidence"]:
        member["history"] = str(2 * int(member["history"]))
    with pytest.raises(UnavailableError, match="records of history in all"):
        read_bundle(encode_canonical(document))
    # Prefixes of different lengths are as many tuples: their places count.
    monkeypatch.setattr(bundle_parts, "_PLACE_BYTES", 1 << 30)
    with pytest.raises(UnavailableError, match="bytes in all"):
        read_bundle(bundle)


def test_each_version_is_drawn_out_once() -> None:
    told = Told()
    world, story = told.world, told.story
    parent = {"dataset": story.dataset, "version": 1, "registration": story.digest_of(story.registration)}
    unknown = {"dataset": salt(60), "version": 4, "registration": salt(61)}
    middle = {"dataset": salt(62), "version": 1, "registration": story.digest_of(story.derived)}
    manifest = _manifest()
    second = world.register("analytics", 2, manifest, parents=[parent, unknown], slug="nowcast")
    third = world.register("utility", 3, manifest, parents=[middle, parent], metadata={"slug": "?"})
    world.publish()
    stated = [story.registration, story.derived, second, third, story.grant]
    files = [(f"{at}.json", world.prove_stated(each).to_bytes()) for at, each in enumerate(stated)]
    lines = draw_lineage(verify_all(Verifier(world.policy()), files))
    assert [(line.depth, line.is_repeated, line.verdict) for line in lines] == [
        (0, False, Verdict.VERIFIED),
        (1, False, Verdict.VERIFIED),
        (1, False, None),
        (0, False, Verdict.REFUTED),
        (1, False, Verdict.VERIFIED),
        (2, True, Verdict.VERIFIED),
        (1, True, Verdict.VERIFIED),
    ]
    texts = [line.to_text() for line in lines]
    assert texts[1] == "   └─ verified: utility/power@1 (0.json); AccessGrant verified (4.json)"
    assert texts[2].endswith("… version 4")
    assert texts[2].startswith("   └─ not given: dataset 0x")
    assert texts[3].startswith("refuted: dataset 0x")
    assert texts[5] == "      └─ verified: utility/power@1 (0.json), see above"
    assert lines[2].to_document()["verdict"] == "not given"
    assert lines[5].to_document()["repeated"] is True


def test_a_long_line_of_versions_is_not_indented_without_end() -> None:
    """With a place for each generation the text would grow with the square of their number."""
    texts = [TreeLine(depth, salt(1), "x", None, ()).to_text() for depth in (1, 20, 21, 100_000)]
    assert texts[0] == "   └─ not given: x"
    assert texts[1:] == [f"{'   ' * 20}└─ {mark}not given: x" for mark in ("", "[21] ", "[100000] ")]


def _manifest() -> Any:
    from tests.support.evidence_vectors import _scan

    return _scan()


def test_a_link_says_that_the_log_went_on(told: Told) -> None:
    report = told.verify(told.story.upgraded().to_bytes())
    assert report.existed == told.story.last.time
    assert "continues the one that covers it" in format_sentence(report)
    assert "existed_no_later_than" in to_document(report)


def test_without_the_first_block_the_entry_still_existed(told: Told) -> None:
    report = told.verify(told.story.upgraded(last=8).to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert report.time is None
    assert "the entry existed no later than" in format_sentence(report)


def test_without_the_later_block_nothing_is_said_of_it(told: Told) -> None:
    first = told.world.policy(8)
    old = told.world.prove_stated(told.story.registration, last=8)
    late = replace(told.story.upgraded(), anchor=old.anchor, effect=old.effect)
    report = Verifier(first).verify(late.to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert report.existed is None


def test_a_later_checkpoint_of_another_log_is_refuted() -> None:
    told = Told()
    world, last, before = told.world, told.story.last, told.story.tardy_by
    (log,) = told.policy.logs
    other = PinnedLog(salt(1), ORIGIN, log.keys)  # of another operator, with the same keys even
    data = word(last.size) + last.root + word(world.blocks[-1].time + 10)
    data += word(before.size) + before.root + word(before.time) + world.head()
    block = world.mine([make_event("CheckpointPublished", [other.id], data)])
    good = told.story.upgraded()
    assert good.later is not None
    later = replace(good.later, anchor=told.story.chain(block))
    logs = tuple(sorted((log, other), key=lambda each: each.operator))
    policy = replace(world.policy(), logs=logs)
    assert Verifier(policy).verify(good.to_bytes()).verdict is Verdict.VERIFIED
    report = Verifier(policy).verify(replace(good, later=later, history=tuple(world.history)).to_bytes())
    assert failing(report) == [7]
    assert "of another log" in format_sentence(report)


def test_evidence_is_linked_with_the_tiles_of_its_log(told: Told, tmp_path: Path) -> None:
    world, story = told.world, told.story
    reader = tiles(world.entries, tmp_path)
    old = world.prove_stated(story.registration)
    newer = world.prove_stated(story.tardy)
    linked = link_evidence(old, newer, reader)
    assert told.verify(linked.to_bytes()).verdict is Verdict.VERIFIED
    again = link_evidence(old, story.upgraded(story.derived), reader)
    assert again == story.upgraded()
    with pytest.raises(VerificationError, match="no larger checkpoint"):
        link_evidence(newer, old, reader)
    note = SignedNote.parse(newer.log.checkpoint)
    stranger = replace(note, text=note.text.replace(ORIGIN, "other.example/log"))
    foreign = replace(newer, log=replace(newer.log, checkpoint=stranger.to_bytes()))
    with pytest.raises(VerificationError, match="of another log"):
        link_evidence(old, foreign, reader)


def test_an_inclusion_proof_is_exported(told: Told) -> None:
    evidence = told.world.prove_stated(told.story.grant)
    proof = TlogProof.parse(export_tlog_proof(evidence))
    checkpoint = Checkpoint.parse(proof.note.text)
    leaf = leaf_hash(told.world.entries[proof.index])
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    assert proof.extra is None
    assert checkpoint.anchor_by is None


def test_a_history_that_begins_otherwise_is_folded_anew() -> None:
    registry = CONTRACTS["ParticipantRegistry"]
    records = [HistoryRecord(HistoryKind.ADMITTED, salt(at), salt(at), at, at) for at in range(5)]
    fold = HistoryFold(1, registry)
    expected = [HistoryFold(1, registry).heads(records[:count])[-1] for count in range(6)]
    for count in (3, 5, 2, 0, 5):
        assert list(fold.heads(records[:count])) == expected[: count + 1]
    other = [*records[:1], records[2]]
    assert fold.heads(other)[-1] == HistoryFold(1, registry).heads(other)[-1]
    assert list(fold.heads(records)) == expected
