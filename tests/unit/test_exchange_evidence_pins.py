"""Under which of an auditor's pins each block is shown, and that what comes of it verifies: by seals, or by a root."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.chain import Block
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.evidence import PinnedRange, Verdict, Verifier, parse_evidence, prove_block
from ledger.evidence.proven_event import ProvenEvent
from ledger.exchange.evidence import EventProver, EvidenceAssembly, Pin, parse_pins
from ledger.exchange.evidence.block_tree import BlockTree
from ledger.exchange.evidence.pins import check_pins, choose_pin
from ledger.store.rows import EffectRow
from ledger.types import Address, Bytes32
from tests.support.evidence_world import World, salt
from tests.support.qbft_vectors import SealedStory
from tests.support.sealed_gateway import NodeOfBlocks, NodeOfWorld, parts_of

VECTORS = Path(__file__).parents[1] / "vectors" / "qbft"
NETWORKS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json"))
}
RECORDED = [
    pytest.param(name, block, id=f"{name}-{int(block['number'], 16)}")
    for name, network in NETWORKS.items()
    for block in network["blocks"]
    if any(receipt["logs"] for receipt in block["receipts"])
]


@pytest.fixture(scope="module")
def story() -> SealedStory:
    return SealedStory()


def digests(story: SealedStory) -> tuple[Bytes32, Bytes32]:
    """Of the statement in the closed epoch of five validators, and of the one in the open epoch of four."""
    early, late = (Bytes32.parse(str(_digest(story, each))) for each in (story.closed, story.sealed))
    return early, late


def _digest(story: SealedStory, evidence: Any) -> Bytes32:
    from ledger.statements import Statement

    return Statement.parse(evidence.type_name, evidence.message).digest(story.world.domains)


def assembly_of(story: SealedStory) -> tuple[EvidenceAssembly, EventProver]:
    parts = parts_of(story.world, story.early, story.late)
    prover = EventProver(parts.edge)
    return EvidenceAssembly(parts, prover), prover


def test_each_block_of_a_sealed_chain_is_shown_under_the_epoch_that_holds_it(story: SealedStory) -> None:
    assembly, prover = assembly_of(story)
    pins = [Pin(each.first, each.last) for each in story.policy.epochs]
    assert [pin.last is None for pin in pins] == [False, True]
    early, late = (assembly.assemble(each, prover.open_pins(pins)) for each in digests(story))
    for evidence in (early, late):
        report = Verifier(story.policy).verify(evidence.to_bytes())
        assert report.verdict is Verdict.VERIFIED, report
    assert early.anchor.block is not None  # its epoch is closed: a root, and a header without seals, round 0
    assert late.anchor.block is None  # its epoch is open: seals
    assert late.effect is not None
    assert late.effect.block is None
    assert early == story.closed
    assert late == story.sealed


def test_without_pins_a_sealed_chain_shows_seals_and_another_all_blocks_up_to_the_head(story: SealedStory) -> None:
    assembly, prover = assembly_of(story)
    early, late = (assembly.assemble(each, prover.open_pins()) for each in digests(story))
    assert (early.anchor.block, late.anchor.block) == (None, None)
    assert early == story.closed_by_seals
    plain = World()
    plain.admit("utility", 2)
    stated = plain.state("utility", "AccessRevocation", grant=salt(9))
    plain.publish()
    plain.mine()
    parts = parts_of(plain, stated)
    prover = EventProver(parts.edge)
    evidence = EvidenceAssembly(parts, prover).assemble(stated.statement.digest(plain.domains), prover.open_pins())
    assert evidence.anchor.block is not None
    assert (evidence.anchor.block.first, evidence.anchor.block.last) == (0, len(plain.blocks) - 1)
    assert Verifier(plain.policy()).verify(evidence.to_bytes()).verdict is Verdict.VERIFIED
    assert parse_evidence(evidence.to_bytes()) == evidence


def test_a_statement_that_is_not_here_has_no_evidence(story: SealedStory) -> None:
    assembly, prover = assembly_of(story)
    with pytest.raises(NotFoundError):
        assembly.assemble(salt(77), prover.open_pins())


@pytest.mark.parametrize(("name", "form"), RECORDED)
def test_an_event_of_a_recorded_network_verifies_down_to_its_seals(name: str, form: dict[str, Any]) -> None:
    number = int(form["number"], 16)
    hashes = [Bytes32.parse(form["hash"]) if at == number else salt(at) for at in range(number + 1)]
    prover = EventProver(NodeOfBlocks([form], hashes))
    block = Block.parse(form, form["receipts"])
    validators = tuple(sorted(map(Address.parse, _validators(form))))
    policy = replace(World().policy(), epochs=(PinnedRange(0, None, None, validators),))
    proved = 0
    for receipt in block.receipts:
        for log in receipt.logs:
            place = EffectRow(salt(1), "", "", number, log.index_in_block, receipt.transaction_hash, None)  # type: ignore[arg-type]
            event = ProvenEvent("effect", prover.prove(place, prover.open_pins([Pin(0)])))
            event.verify_receipt()
            assert "seals of" in event.verify_block(policy, None)
            assert (event.event.address, event.event.data) == (log.address, log.data)
            under_root = prover.prove(place, prover.open_pins([Pin(0, number)]))
            assert under_root.block is not None
            root = PinnedRange(0, number, under_root.block.root)
            closed = replace(policy, epochs=(root,))
            assert "pin" in ProvenEvent("effect", under_root).verify_block(closed, None)
            proved += 1
    assert proved, name


def _validators(form: dict[str, Any]) -> list[str]:
    from ledger.evidence import Header, encode_header
    from ledger.evidence.qbft import ExtraData

    return [str(each) for each in ExtraData.of(Header.parse(encode_header(form))).validators]


def test_what_the_chain_no_longer_shows_can_not_be_found_out(story: SealedStory) -> None:
    world = World()
    node = NodeOfWorld(world)
    prover = EventProver(node)
    pins = prover.open_pins()
    block = node.block(1)
    assert block is not None
    at = EffectRow(salt(1), "", "", 1, 0, block.receipts[0].transaction_hash, None)  # type: ignore[arg-type]
    assert prover.prove(at, pins).log_position == 0
    for gone in (replace(at, block=99), replace(at, transaction=salt(5)), replace(at, position=40)):
        with pytest.raises(UnavailableError, match="no longer shows"):
            prover.prove(gone, pins)
    prover._hashes[1] = salt(3)
    with pytest.raises(UnavailableError, match="no longer shows"):
        prover.prove(at, pins)
    short = EventProver(NodeOfBlocks([], [salt(0)]))
    with pytest.raises(UnavailableError, match="no block 1"):
        short._read_up_to(3)


def test_block_hashes_are_read_once_and_in_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    node = NodeOfBlocks([], [salt(at) for at in range(500)])
    prover = EventProver(node)
    prover._read_up_to(449)
    prover._read_up_to(449)
    assert node.asked == 3
    for first in (7, 8, 9, 10, 11, 7):
        tree = prover._tree(first)
        assert len(tree) == 450 - first
    assert list(prover._parts) == [9, 10, 11, 7]


def test_a_tree_that_grows_proves_as_one_that_is_built_at_once() -> None:
    hashes = [salt(at) for at in range(40)]
    for first in (0, 3):
        tree = BlockTree(first)
        tree.extend(hashes[first:17])
        tree.extend(hashes[17:])
        for last in (first, 4, 5, 16, 30, 39):
            for number in range(first, last + 1):
                assert tree.prove(number, last) == prove_block(hashes[first : last + 1], number, first=first)
        with pytest.raises(ValueError, match="asked for"):
            tree.prove(first, 40)


@pytest.mark.parametrize(
    ("texts", "pins"),
    [
        (["0-581"], [(0, 581)]),
        (["0-581,582-"], [(0, 581), (582, None)]),
        (["0-1", "2-3"], [(0, 1), (2, 3)]),
        ([], []),
    ],
)
def test_ranges_are_read_as_a_query_names_them(texts: list[str], pins: list[tuple[int, int | None]]) -> None:
    assert [(pin.first, pin.last) for pin in parse_pins(texts)] == pins


@pytest.mark.parametrize("text", ["", "-", "-1", "1", "a-b", "1-2-3", "0x1-2", "1 - 2", "1-2,", "9" * 19 + "-"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="no range of blocks"):
        parse_pins([text])


def test_more_ranges_than_a_policy_has_are_refused() -> None:
    assert len(parse_pins(["0-1," * 255 + "0-1"])) == 256
    for texts in (["0-1," * 256 + "0-1"], ["0-1"] * 257):
        with pytest.raises(MalformedError, match="more than 256"):
            parse_pins(texts)


def test_a_range_is_of_final_blocks() -> None:
    prover = EventProver(NodeOfBlocks([], [salt(at) for at in range(10)]))
    assert prover.open_pins([Pin(0, 9), Pin(9)]).final == 9
    assert prover.open_pins([Pin(0, 9), Pin(0, 10)]).final == 9  # the auditor's node is a block ahead
    for pins in ([Pin(0, 10)], [Pin(5, 2)], [Pin(0, 9), Pin(-1, 3)], [Pin(0, 10), Pin(0, 11)]):
        with pytest.raises(MalformedError, match="final blocks, 0 to 9"):
            prover.open_pins(pins)


def test_a_range_of_blocks_that_are_there_waits_until_they_are_final() -> None:
    there = {10, 11}
    check_pins([Pin(0, 9), Pin(0, 11)], 9, there.__contains__)
    with pytest.raises(UnavailableError, match="range 0-10 reaches beyond the final block here, 9 now"):
        check_pins([Pin(0, 11), Pin(0, 10)], 9, there.__contains__)
    with pytest.raises(MalformedError, match="0-12 is not"):
        check_pins([Pin(0, 12)], 9, there.__contains__)


def test_the_pin_is_the_open_one_of_a_sealed_chain_else_the_last_that_holds_the_block() -> None:
    pins = [Pin(0, 5), Pin(0, 9), Pin(6)]
    assert choose_pin(pins, 3, final=30, is_sealed=True) == Pin(0, 9)
    assert choose_pin(pins, 7, final=30, is_sealed=True) == Pin(6)
    assert choose_pin(pins[::-1], 7, final=30, is_sealed=True) == Pin(6)
    assert choose_pin(pins[:2], 7, final=30, is_sealed=True) == Pin(0, 9)
    assert choose_pin(pins, 20, final=30, is_sealed=False) == Pin(6)
    with pytest.raises(ConflictError, match="outside the pinned range 0-5, 0-9") as refused:
        choose_pin(pins[:2], 20, final=30, is_sealed=True)
    assert (refused.value.code, refused.value.facts["block"]) == ("outside-range", 20)


def test_a_range_that_ends_beyond_the_final_block_waits_for_it() -> None:
    pins = [Pin(0, 5), Pin(0, 12)]
    assert choose_pin(pins, 4, final=10, is_sealed=False) == Pin(0, 5)
    with pytest.raises(UnavailableError, match="beyond the final block here, 10 now") as refused:
        choose_pin(pins, 7, final=10, is_sealed=False)
    assert refused.value.retry_after_s == 1.0
    assert choose_pin(pins, 7, final=12, is_sealed=False) == Pin(0, 12)
