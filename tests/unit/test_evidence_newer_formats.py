"""Events, breaches, forks, bundles and links to later checkpoints: what the vectors do not show of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ledger.evidence
from ledger.canonical import encode_canonical, parse_canonical
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence import (
    EventEvidence,
    HistoryRecord,
    PinnedLog,
    PinnedRange,
    Report,
    Verdict,
    Verifier,
    build_bundle,
    build_event_evidence,
    bundle_parts,
    export_tlog_proof,
    format_sentence,
    opening,
    parse_breach,
    parse_bundle,
    parse_event_evidence,
    parse_evidence,
    read_bundle,
    to_document,
    verify_all,
)
from ledger.evidence.fork import parse_fork
from ledger.evidence.history import HistoryFold
from ledger.evidence.tree import TreeLine, draw_lineage
from ledger.evidence.upgrading import link_evidence
from ledger.log import Checkpoint, NoteSigner, SignedNote, TileReader, TlogProof
from ledger.log.tiles import ENTRIES, TILE_HEIGHT, Tile
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.statements import HistoryKind
from ledger.types import Bytes32
from tests.support.evidence_world import CONTRACTS, ORIGIN, make_event, salt, word
from tests.support.format_vectors import Spoiler, changed


class Told:
    """The story and a verifier of it."""

    def __init__(self) -> None:
        self.story = Spoiler()
        self.world = self.story.world
        self.policy = self.world.policy()
        self.verifier = Verifier(self.policy)

    def verify(self, raw: bytes) -> Report:
        return self.verifier.verify(raw)


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


def failing(report: Report) -> list[int]:
    return [step.number for step in report.steps if step.outcome == "FAIL"]


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


# Events


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


# Breaches and forks


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


# Bundles


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


# The lineage as a tree


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


# Links to later checkpoints


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


def tiles(entries: list[bytes], folder: Path) -> TileReader:
    """The entries as a log's folder holds them."""
    assert len(entries) < 1 << TILE_HEIGHT
    hashes = b"".join(leaf_hash(entry) for entry in entries)
    bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
    for tile, raw in ((Tile(0, 0, len(entries)), hashes), (Tile(ENTRIES, 0, len(entries)), bundle)):
        path = folder / tile.path
        path.parent.mkdir(parents=True)
        path.write_bytes(raw)
    return TileReader(folder, lambda: len(entries))


def test_an_inclusion_proof_is_exported(told: Told) -> None:
    evidence = told.world.prove_stated(told.story.grant)
    proof = TlogProof.parse(export_tlog_proof(evidence))
    checkpoint = Checkpoint.parse(proof.note.text)
    leaf = leaf_hash(told.world.entries[proof.index])
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    assert proof.extra is None
    assert checkpoint.anchor_by is None


# What is remembered between evidence files


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


def test_a_policy_of_another_range_leaves_events_open(told: Told) -> None:
    epoch = PinnedRange(0, 1, salt(1))
    policy = replace(told.policy, epochs=(epoch,))
    report = Verifier(policy).verify(told.story.events()["access-granted"].to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert report.shown is None
    assert Verifier(policy).verify(told.story.breaches()["missed"].to_bytes()).claim is None
