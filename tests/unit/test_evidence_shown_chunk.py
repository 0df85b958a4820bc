"""A chunk that was delivered and is not what was registered: what the vectors do not show of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.content import Manifest, compute_content_hash, hash_bytes
from ledger.content.sealing import SealingDescriptor
from ledger.errors import MalformedError, VerificationError
from ledger.evidence import (
    Delivery,
    Verdict,
    Verifier,
    build_event_evidence,
    format_sentence,
    parse_delivery,
    parse_shown_chunk,
)
from ledger.evidence import show_chunk as show
from ledger.evidence.shown_chunk import find_sides
from ledger.merkle import compute_root, leaf_hash, node_hash, prove_inclusion
from tests.support.delivery_story import DeliveryStory, changed
from tests.support.evidence_world import salt
from tests.support.wrong_data_story import SALT, WrongDataStory, scan, seal, wrap_as_kept


class Told:
    """The story and a verifier of it."""

    def __init__(self) -> None:
        self.story = WrongDataStory(DeliveryStory(wrap_as_kept))
        self.verifier = Verifier(self.story.policy())
        self.good = self.story.accuse(self.story.other_bytes, 0)

    def verdict(self, delivery: Delivery | bytes) -> Verdict:
        raw = delivery if isinstance(delivery, bytes) else delivery.to_bytes()
        return self.verifier.verify(raw).verdict


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13])
def test_the_sides_are_those_of_the_inclusion_proof(size: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    seen = set()
    for index in range(size):
        sides, root = find_sides(index, size), leaves[index]
        for side, each in zip(sides, prove_inclusion(leaves, index, size), strict=True):
            root = node_hash(each, root) if side == "l" else node_hash(root, each)
        assert root == compute_root(leaves)
        seen.add(sides)
    assert len(seen) == size, "each place has its own"


def test_facts_and_sentence_name_what_was_delivered(told: Told) -> None:
    report = told.verifier.verify(told.good.to_bytes())
    claim = report.claim
    assert claim is not None
    assert claim.question == "did the provider deliver something else than it registered"
    assert (claim.facts["path"], claim.facts["chunk"], claim.facts["kind"]) == ("a.csv", "0", "wrong-data")
    assert claim.facts["registration"] == str(told.story.story.digest_of(told.story.registration))
    sentence = format_sentence(report)
    assert "did not deliver what it registered: sealed chunk 0 of a.csv opens to other bytes" in sentence
    damaged = told.verifier.verify(told.story.accuse(told.story.unopenable, 2).to_bytes())
    assert "sealed chunk 1 of b.bin does not open with the sealing's key" in format_sentence(damaged)


def test_a_whole_chunk_is_shown_as_well_as_a_short_one(told: Told) -> None:
    shown = told.story.accuse(told.story.other_bytes, 1)
    assert told.verdict(shown) is Verdict.VERIFIED
    assert len(shown.to_bytes()) < 1_600_000
    assert told.verdict(told.story.accuse(told.story.honest, 1)) is Verdict.REFUTED


def test_bytes_flipped_are_refuted(told: Told) -> None:
    raw = told.good.to_bytes()
    place = raw.index(b'"chunk":')
    inner = range(place, raw.index(b'"format"', place))
    for at in [*inner, *range(0, len(raw), 1 + len(raw) // 100)]:
        flipped = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert told.verdict(flipped) is Verdict.REFUTED, (at, raw[max(0, at - 40) : at + 1])


@pytest.mark.parametrize("member", ["release", "registration", "chunk", "private_key"])
def test_no_member_may_be_missing(told: Told, member: str) -> None:
    assert told.verdict(changed(told.good, lambda each: each.pop(member))) is Verdict.REFUTED


def test_what_is_no_text_is_no_format_and_no_kind(told: Told) -> None:
    for name in ("format", "kind"):
        assert told.verdict(changed(told.good, lambda each, name=name: each.update({name: 2}))) is Verdict.REFUTED  # type: ignore[misc]  # a default of a lambda


@pytest.mark.parametrize("form", ["concord-delivery/3", 2, None])
def test_another_format_is_refused(told: Told, form: Any) -> None:
    with pytest.raises(MalformedError, match="not concord-delivery/1 or concord-delivery/2"):
        parse_delivery(changed(told.good, lambda each: each.update(format=form)))


def test_a_sealed_file_of_another_size_is_seen_before_a_receipt(told: Told) -> None:
    """And so nobody is accused of it: the place of one file is shown with what was sealed in another's."""
    story = told.story
    chunk = story.chunk(story.honest, 0)
    manifest, sealed = Manifest((hash_bytes("a.csv", b"short")[0], *scan()[0].files[1:])), story.honest.sealed
    other = show(SALT, manifest, None, sealed.descriptor, sealed.leaves, 0, sealed.chunks[0])
    root = story.honest.sealed.descriptor.ciphertext_root
    with pytest.raises(VerificationError, match="not of its entry's size"):
        other.verify(compute_content_hash(SALT, manifest.content_root), root)
    chunk.verify(compute_content_hash(SALT, scan()[0].content_root), root)


def test_what_is_kept_is_what_was_received() -> None:
    sealed = seal(b"kept")
    manifest, chunks = scan()
    with pytest.raises(VerificationError, match="not what was received"):
        show(SALT, manifest, chunks, sealed.descriptor, sealed.leaves, 0, bytes(33))
    for number in (0, 2, 3, 4):
        shown = show(SALT, manifest, chunks, sealed.descriptor, sealed.leaves, number, sealed.chunks[number])
        assert parse_shown_chunk(shown.to_bytes()) == shown
        assert shown.find_wrong(sealed.key) is None
        assert (shown.demanded is None) == (number == 3)


def test_no_list_of_chunk_hashes_is_needed_where_no_file_has_two() -> None:
    sealed, manifest = seal(b"small"), scan()[0]
    small = SealingDescriptor(sealed.key.commitment, sealed.descriptor.files[:1])
    shown = show(SALT, Manifest(manifest.files[:1]), None, small, sealed.leaves[:1], 0, sealed.chunks[0])
    assert shown.sides == ""
    assert shown.find_wrong(sealed.key) is None


def test_a_chunk_too_large_is_not_read(told: Told) -> None:
    large = changed(told.good, lambda each: each["chunk"].update(ciphertext="AAAA" * 349_536))
    report = told.verifier.verify(large)
    assert report.verdict is Verdict.REFUTED
    assert "at most 1048592 bytes" in format_sentence(report)
    with pytest.raises(MalformedError):
        parse_shown_chunk(b"[]")
    with pytest.raises(MalformedError):
        parse_shown_chunk(b'{"demanded":{}}')


def test_nothing_is_demanded_of_an_empty_file(told: Told) -> None:
    delivery, other = told.story.accuse(told.story.empty, 3), told.story.chunk(told.story.honest, 0)
    demanded = other.to_document()["demanded"]
    surplus: Any = changed(delivery, lambda each: each["chunk"].update(demanded=demanded))
    assert told.verdict(surplus) is Verdict.REFUTED


def test_another_event_is_no_registration(told: Told) -> None:
    story, world = told.story, told.story.world
    opened = build_event_evidence(world.pin(world.prove(world.opened, 0, 0)))
    report = told.verifier.verify(story.accuse(story.other_bytes, 0, registration=opened).to_bytes())
    assert report.verdict is Verdict.REFUTED
    assert "the registration is a LogOpened, not a DatasetRegistration or DatasetRegistered" in format_sentence(report)


def test_an_event_that_is_not_what_it_says_is_refuted(told: Told) -> None:
    shown = told.story.by_event()
    false = replace(shown, members=shown.members | {"contentHash": str(salt(1))})
    report = told.verifier.verify(told.story.accuse(told.story.honest, 0, registration=false).to_bytes())
    assert report.verdict is Verdict.REFUTED
    assert "registration: the evidence says something else than the event does" in format_sentence(report)


def test_evidence_of_another_receipt_leaves_the_chunk_aside(told: Told) -> None:
    """A part of another type fails in step 2, and nothing is asked of the chunk then."""
    story = told.story
    false = replace(told.good, receipt=story.story.prove(story.other_bytes.sealing))
    report = told.verifier.verify(false.to_bytes())
    assert report.verdict is Verdict.REFUTED
    assert "the receipt is a Sealing" in format_sentence(report)
