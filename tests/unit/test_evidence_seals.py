"""Step 9 on a sealed chain: whose seals count for which block, with recorded blocks and with a chain of our own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence import (
    ChainProof,
    Header,
    Node,
    PinnedRange,
    Policy,
    Receipt,
    Verdict,
    Verifier,
    encode_header,
    format_sentence,
    prove_block,
    prove_event,
)
from ledger.evidence.proven_event import ProvenEvent, verify_block
from ledger.types import Address, Bytes32
from tests.support.evidence_node import serve_world
from tests.support.evidence_world import World
from tests.support.measuring import in_steps
from tests.support.qbft_vectors import SealedStory
from tests.support.qbft_world import extra_of, with_seals

VECTORS = Path(__file__).parents[1] / "vectors" / "qbft"
NETWORKS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json"))}
WITH_EVENTS = [(name, block) for name, each in NETWORKS.items() for block in each["blocks"] if block["receipts"]]
IDS = [f"{name}-{int(block['number'], 16)}" for name, block in WITH_EVENTS]
SET_CHANGED = {"besu_london": 104, "besu_cancun": 18, "goquorum_4": 27}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def story() -> SealedStory:
    return SealedStory()


def policy_of(name: str, number: int) -> Policy:
    """A policy whose open epoch is the recorded network's at this block."""
    network, changed = NETWORKS[name], SET_CHANGED[name]
    validators = [each for each in network["validators_at_genesis"] if number < changed or each != network["removed"]]
    first = changed if number >= changed else 0
    return replace(
        World().policy(),
        chain_id=1337,
        genesis_hash=Bytes32.parse(network["genesis"]["hash"]),
        epochs=(PinnedRange(first, None, None, tuple(map(Address.parse, validators))),),
    )


def event_of(block: Json) -> ProvenEvent:
    at = next(at for at, receipt in enumerate(block["receipts"]) if receipt["logs"])
    return ProvenEvent("anchor", prove_event(block, block["receipts"], at, 0, None))


@pytest.mark.parametrize(("name", "block"), WITH_EVENTS, ids=IDS)
def test_recorded_events_by_their_seals(name: str, block: Json) -> None:
    event, policy = event_of(block), policy_of(name, int(block["number"], 16))
    event.verify_receipt()
    assert event.proof.header == encode_header(block)
    assert event.event == Receipt.parse(event.proof.receipt).logs[0]
    sealed, count = len(extra_of(event.header)[4]), len(policy.epochs[0].validators)
    words = f"the seals of {sealed} of {count} validators that your policy pins"
    assert event.verify_block(policy, None) == words


@pytest.mark.parametrize("name", NETWORKS)
def test_recorded_blocks_under_the_epoch_of_others(name: str) -> None:
    for block in (NETWORKS[name]["blocks"][0], NETWORKS[name]["blocks"][-1]):
        number = int(block["number"], 16)
        other = policy_of(name, 0 if number >= SET_CHANGED[name] else SET_CHANGED[name])
        epoch = replace(other.epochs[0], first=0)
        with pytest.raises(VerificationError, match="other validators"):
            event_of(block).verify_block(replace(other, epochs=(epoch,)), None)


@pytest.mark.parametrize("name", NETWORKS)
def test_recorded_receipts_of_another_block(name: str) -> None:
    first, *_, last = [block for each, block in WITH_EVENTS if each == name]
    proof = event_of(first).proof
    with pytest.raises(VerificationError):
        ProvenEvent("anchor", replace(proof, header=encode_header(last))).verify_receipt()


@pytest.mark.parametrize(("name", "block"), WITH_EVENTS, ids=IDS)
def test_recorded_seals_left_out_doubled_or_with_another_round(name: str, block: Json) -> None:
    event, policy = event_of(block), policy_of(name, int(block["number"], 16))
    raw = event.proof.header
    extra = extra_of(event.header)
    seals: Any = extra[4]
    other_round = b"" if extra[3] else b"\1"

    def verify(header: bytes) -> None:
        ProvenEvent("anchor", replace(event.proof, header=header)).verify_block(policy, None)

    for wrong in (seals[:-1], [*seals, seals[0]], [*seals[:-1], seals[0]]):
        with pytest.raises(VerificationError):
            verify(with_seals(raw, wrong))
    with pytest.raises(VerificationError):
        verify(with_seals(raw, seals, round=other_round))
    with pytest.raises(MalformedError, match="no seals"):
        verify(with_seals(raw, []))


def test_the_sentence_says_on_what_it_rests(story: SealedStory) -> None:
    verifier = Verifier(story.policy)
    report = verifier.verify(story.sealed.to_bytes())
    assert report.verdict is Verdict.VERIFIED
    assert report.rests_on == ("the seals of 3 of 4 validators that your policy pins",)
    assert verifier.verify(story.closed.to_bytes()).rests_on == ("the pin of blocks 0 to 8 in your policy",)


def test_what_the_policy_pinned_while_an_epoch_was_open_counted_by_seals(story: SealedStory) -> None:
    before = story.world.policy(8)
    assert before.epochs[0].last is None
    assert Verifier(before).verify(story.closed_by_seals.to_bytes()).verdict is Verdict.VERIFIED
    report = Verifier(before).verify(story.closed.to_bytes())
    assert report.verdict is Verdict.UNDETERMINED
    assert "pins the validators of the blocks from 0 on: ask for the evidence with their seals" in format_sentence(
        report
    )


def anchor_of(story: SealedStory) -> tuple[Header, ChainProof]:
    chain = story.sealed.anchor
    return Header.parse(chain.header), chain


def test_seals_where_the_policy_names_no_validators(story: SealedStory) -> None:
    header, chain = anchor_of(story)
    policy = replace(story.policy, epochs=())
    with pytest.raises(UnavailableError, match="is sealed, and your policy pins no range"):
        verify_block(header, None, policy, None)
    seals: Any = extra_of(header)[4]
    broken = Header.parse(with_seals(chain.header, [*seals[:-1], seals[-1][:5] + bytes(1) + seals[-1][6:]]))
    with pytest.raises((VerificationError, MalformedError)):
        verify_block(broken, None, policy, None)


def test_a_range_without_validators_counts_beside_an_open_epoch(story: SealedStory) -> None:
    world = story.world
    hashes = [block.hash for block in world.blocks]
    number = Header.parse(story.sealed.anchor.header).number
    header = Header.parse(with_seals(story.sealed.anchor.header, [], round=b""))
    proof = prove_block(hashes, number)
    pinned = PinnedRange(0, proof.last, proof.root)
    policy = replace(story.policy, epochs=tuple(sorted((pinned, *story.policy.epochs), key=lambda each: each.order)))
    assert verify_block(header, proof, policy, None) == f"the pin of blocks 0 to {proof.last} in your policy"


def test_a_node_beside_the_seals(story: SealedStory) -> None:
    header, _ = anchor_of(story)
    with serve_world(story.world) as url:
        node = Node(url)
        words = f"the seals of 3 of 4 validators that your policy pins and the node {node.name}"
        assert verify_block(header, None, story.policy, node) == words
        assert verify_block(header, None, replace(story.policy, epochs=()), node) == f"the node {node.name}"
    other = dict(story.world.blocks[header.number].form) | {"hash": "0x" + "ab" * 32}
    with serve_world(story.world, eth_getBlockByNumber=other) as url:
        with pytest.raises(UnavailableError, match="rewritten"):
            verify_block(header, None, story.policy, Node(url))
        with pytest.raises(VerificationError, match="knows another block"):
            verify_block(header, None, replace(story.policy, epochs=()), Node(url))


def test_every_part_of_a_sealed_proof_dropped_or_taken_from_another_is_refuted(story: SealedStory) -> None:
    verifier = Verifier(story.policy)
    document: Any = story.sealed.to_document()
    other: Any = story.closed_by_seals.to_document()
    for proof in ("anchor", "effect"):
        for member in document[proof]:
            less = {name: value for name, value in document[proof].items() if name != member}
            assert verifier.verify(encode_canonical(document | {proof: less})).verdict is Verdict.REFUTED, member
            if document[proof][member] != other[proof][member]:
                mixed = document[proof] | {member: other[proof][member]}
                assert verifier.verify(encode_canonical(document | {proof: mixed})).verdict is Verdict.REFUTED, member
        assert verifier.verify(encode_canonical(document | {proof: other[proof]})).verdict is Verdict.REFUTED


@in_steps
def test_every_byte_of_a_sealed_header_flipped_is_refuted(story: SealedStory, step: int) -> None:
    raw = story.sealed.to_bytes()
    start = raw.index(b'"header":')
    verifier = Verifier(story.policy)
    for at in range(start, raw.index(b'"log_position"', start), step):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert verifier.verify(changed).verdict is Verdict.REFUTED, at
