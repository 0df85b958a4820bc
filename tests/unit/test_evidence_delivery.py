"""Accusations about a delivery: what the vectors do not show of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import MalformedError
from ledger.evidence import Delivery, Silence, Verdict, Verifier, format_sentence, to_document
from ledger.evidence.silence import compute_root_after
from ledger.merkle import complete_subtrees, compute_root, leaf_hash
from tests.support.delivery_story import DeliveryStory, changed
from tests.support.evidence_world import World, make_event, salt, word


class Told:
    """The story and a verifier of it."""

    def __init__(self) -> None:
        self.story = DeliveryStory()
        self.policy = self.story.policy()
        self.verifier = Verifier(self.policy)
        self.wrong = self.story.released("another-key")
        self.silent = self.story.silence(self.story.not_from_provider)

    def verdict(self, delivery: Delivery | bytes) -> Verdict:
        raw = delivery if isinstance(delivery, bytes) else delivery.to_bytes()
        return self.verifier.verify(raw).verdict

    def since(self) -> Silence:
        assert isinstance(self.silent.shown, Silence)
        return self.silent.shown


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


def test_facts_name_the_transfer_and_both_sides(told: Told) -> None:
    report = told.verifier.verify(told.wrong.to_bytes())
    claim: Any = to_document(report)["claim"]
    story = told.story
    assert claim["facts"]["provider"] == str(story.utility.id)
    assert claim["facts"]["consumer"] == str(story.analytics.id)
    assert claim["facts"]["receipt"] == str(story.digest_of(story.receipt))
    assert claim["facts"]["kind"] == "wrong-key"
    assert "did not deliver the key" in format_sentence(report)


def test_rests_on_every_block_that_it_leans_on(told: Told) -> None:
    report = told.verifier.verify(told.silent.to_bytes())
    assert report.rests_on == (f"the pin of blocks 0 to {len(told.story.world.blocks) - 1} in your policy",)
    assert "Whether the grant was in force" in format_sentence(report)


def test_says_whose_log_it_is(told: Told) -> None:
    story = told.story
    cases = ((told.silent, "gateway"), (story.silence_in(story.of_provider), "utility"))
    for delivery, operator in cases:
        report = told.verifier.verify(delivery.to_bytes())
        claim: Any = to_document(report)["claim"]
        assert claim["facts"]["log_operator"] == str(story.world.members[operator].id)
        assert ("That log is its own" in format_sentence(report)) == (operator == "utility")


@pytest.mark.parametrize("kind", ["wrong", "silent"])
def test_bytes_flipped_are_refuted(told: Told, kind: str) -> None:
    raw = getattr(told, kind).to_bytes()
    for at in range(0, len(raw), 1 + len(raw) // 250):
        flipped = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert told.verdict(flipped) is Verdict.REFUTED, (at, raw[max(0, at - 40) : at + 1])


@pytest.mark.parametrize("member", ["private_key", "receipt", "sealing", "release", "kind"])
def test_no_member_may_be_missing(told: Told, member: str) -> None:
    assert told.verdict(changed(told.wrong, lambda each: each.pop(member))) is Verdict.REFUTED


def test_a_part_of_an_unknown_type_is_left_open(told: Told) -> None:
    unknown = changed(told.wrong, lambda each: each["receipt"]["statement"].update(type="TransferReceiptToo"))
    assert told.verdict(unknown) is Verdict.REFUTED  # the entry shows what it was
    other: Any = told.story.world.prove_stated(told.story.receipt).to_document()
    other["statement"] = {"type": "Novelty", "message": {"participant": "0x00"}}
    novel = changed(told.wrong, lambda each: each.update(receipt=other))
    report = told.verifier.verify(novel)
    assert report.verdict is Verdict.UNDETERMINED
    assert [step.number for step in report.steps if step.leaves_open] == [2]


def test_a_part_that_fails_names_itself(told: Told) -> None:
    release = told.wrong.to_document()
    signature = str(release["release"]["signature"])  # type: ignore[index, call-overload]  # an object
    false = changed(told.wrong, lambda each: each["release"].update(signature=signature[:-1] + "d"))
    report = told.verifier.verify(false)
    assert report.verdict is Verdict.REFUTED
    assert "release:" in format_sentence(report)


def test_the_checkpoint_of_another_log_shows_nothing_of_this_one() -> None:
    story = DeliveryStory()
    world = story.world
    delivery = story.silence(story.not_from_provider)
    own = world.log_id
    stranger = _other_log(world, story)
    assert world.log_id == own
    since = delivery.shown
    assert isinstance(since, Silence)
    foreign = replace(delivery, shown=replace(since, chain=world.pin(stranger)))
    report = Verifier(story.policy()).verify(foreign.to_bytes())
    assert report.verdict is Verdict.REFUTED
    assert "another log" in format_sentence(report)


def _other_log(world: World, story: DeliveryStory) -> Any:
    size, root = story.not_from_provider.size, story.not_from_provider.root
    data = word(size) + root + word(world.blocks[-1].time + 10) + word(0) + bytes(32) + word(0) + world.head()
    block = world.mine([make_event("CheckpointPublished", [salt(98)], data)])
    return world.prove(block, 0, 0)


def test_an_event_that_tells_no_size_stops_there(told: Told) -> None:
    since = told.since()
    opened = told.story.world.pin(told.story.world.prove(told.story.world.opened, 0, 0))
    report = told.verifier.verify(replace(told.silent, shown=replace(since, chain=opened)).to_bytes())
    assert report.verdict is Verdict.REFUTED


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_the_root_after_any_entry_is_the_trees(size: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    for index in range(size):
        parts = complete_subtrees(0, index) if index else []
        left = [compute_root(leaves[place << level : place + 1 << level]) for level, place in parts]
        assert compute_root_after(index, left, leaves[index:]) == compute_root(leaves)
        with pytest.raises(MalformedError, match="complete subtrees"):
            compute_root_after(index, [*left, bytes(32)], leaves[index:])


def test_no_leaf_is_no_tree() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compute_root_after(1, [bytes(32)], [])
