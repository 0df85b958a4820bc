"""What the verifier finds in data, at a node and in what it reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.content import scan_folder
from ledger.evidence import (
    Content,
    Node,
    Outcome,
    PinnedRange,
    Report,
    Verdict,
    Verifier,
    format_sentence,
)
from ledger.evidence.signing import format_time
from ledger.types import Bytes32
from tests.support.evidence_node import serve, serve_world
from tests.support.evidence_world import (
    CONTRACTS,
    START,
    World,
    salt,
)
from tests.support.verified_case import Case, failed, left_open, outcomes


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("case") / "data")


def test_content_that_is_not_the_registered_one(case: Case) -> None:
    content = case.evidence.content
    assert isinstance(content, Content)
    assert content.metadata is not None
    for changed in (
        replace(content, version_salt=salt(1)),
        replace(content, metadata=replace(content.metadata, salt=salt(1))),
        replace(content, metadata=replace(content.metadata, document={"slug": "other"})),
        replace(content, chunks={"format": "concord-chunks/1", "files": []}),
        replace(content, manifest={}),
    ):
        report = case.check(replace(case.evidence, content=changed), data=case.folder)
        assert failed(report) == {11}
        assert report.dataset is None
    assert case.check(replace(case.evidence, content=replace(content, metadata=None))).dataset is None


def test_data_that_changed_are_named(case: Case, tmp_path: Path) -> None:
    raw = bytearray((case.folder / "big.bin").read_bytes())
    raw[2_097_000] ^= 1
    (tmp_path / "big.bin").write_bytes(raw)
    (tmp_path / "small.csv").write_bytes(b"a,b")
    (tmp_path / "extra.txt").write_bytes(b"?")
    report = case.check(case.evidence, data=tmp_path)
    assert failed(report) == {11}
    assert "big.bin differs in chunk 1 (bytes 1048576 to 2097151)" in report.steps[10].detail
    assert "surplus: extra.txt" in report.steps[10].detail


def test_data_that_are_missing_leave_it_open(case: Case, tmp_path: Path) -> None:
    report = case.check(case.evidence, data=tmp_path)
    assert (failed(report), left_open(report)) == (set(), {11})
    assert "big.bin is not there" in report.steps[10].detail
    assert left_open(case.check(case.evidence, data=tmp_path / "nowhere")) == {11}
    bare = replace(case.evidence, content=None)
    assert left_open(case.check(bare, data=tmp_path)) == {11}


def test_many_findings_are_shortened(tmp_path: Path) -> None:
    for number in range(15):
        (tmp_path / f"{number:02}.csv").write_bytes(b"x")
    world = World()
    stated = world.register("gateway", 1, scan_folder(tmp_path).manifest, metadata={"title": "no names"})
    world.publish()
    raw = world.prove_stated(stated).to_bytes()
    for path in tmp_path.iterdir():
        path.unlink()
    report = Verifier(world.policy()).verify(raw, data=tmp_path)
    assert "and 5 more" in report.steps[10].detail
    assert report.dataset is None


# With a node


def test_a_node_knows_what_the_policy_does_not(case: Case) -> None:
    with serve_world(case.world) as url:
        raw = case.evidence.to_bytes()
        report = Verifier(case.policy, Node(url)).verify(raw)
        assert report.verdict is Verdict.VERIFIED
        assert "and the node 127.0.0.1" in report.rests_on[0]
        unpinned = replace(case.policy, epochs=())
        report = Verifier(unpinned, Node(url)).verify(raw)
        assert report.verdict is Verdict.VERIFIED
        assert report.rests_on[0].startswith("the node 127.0.0.1")
        other = replace(case.policy, chain_id=99)
        report = Verifier(other, Node(url)).verify(raw)
        assert outcomes(report)[1] is Outcome.NOT_CHECKED


def test_a_node_with_another_history(case: Case) -> None:
    forged = [block.form | {"hash": str(salt(1))} if block.number == 5 else block.form for block in case.world.blocks]
    original = case.world.blocks[5].form
    with serve_world(case.world) as url:
        case.world.blocks[5].form = forged[5]
        try:
            pinned = Verifier(case.policy, Node(url)).verify(case.evidence.to_bytes())
            unpinned = Verifier(replace(case.policy, epochs=()), Node(url)).verify(case.evidence.to_bytes())
        finally:
            case.world.blocks[5].form = original
    assert (failed(pinned), left_open(pinned)) == (set(), {9})
    assert "that chain was rewritten since" in pinned.steps[8].detail
    assert failed(unpinned) == {9}


def test_a_node_that_is_away(case: Case) -> None:
    with serve(lambda _: (200, b"")) as url:
        pass
    report = Verifier(case.policy, Node(url, timeout_s=2)).verify(case.evidence.to_bytes())
    assert (left_open(report), failed(report)) == ({1}, set())


def test_reports_of_nothing_verified_have_no_sentence() -> None:
    with pytest.raises(ValueError, match="a statement and a time"):
        format_sentence(Report("x", ()))


def test_pins_describe_themselves() -> None:
    assert str(PinnedRange(0, 812, Bytes32(bytes(32)))) == "blocks 0 to 812"
    assert CONTRACTS


def test_times_beyond_the_calendar() -> None:
    assert format_time(2**64 - 1) == "second 18446744073709551615"
    assert format_time(START) == "2027-01-15T08:00:00Z"
