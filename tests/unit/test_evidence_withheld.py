"""Registrations whose text is withheld: the tree and step 12 go by the contract's event, where it is verified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.content import scan_folder
from ledger.evidence import (
    Outcome,
    Report,
    Verdict,
    Verifier,
    build_bundle,
    build_event_evidence,
    format_sentence,
    verify_all,
)
from ledger.evidence.tree import TreeLine, draw_lineage
from ledger.statements import compute_dataset_id
from ledger.types import Bytes32
from tests.support.evidence_world import Block, Stated, World, make_event, salt, word

Parent = dict[str, Any]


class Withheld:
    """Power, steel made with it, and wire made of steel and of something unknown; each registered on chain."""

    def __init__(self, folder: Path) -> None:
        (folder / "rows.csv").write_text("1")
        self.manifest = scan_folder(folder).manifest
        self.world = World()
        for seed, handle in enumerate(("utility", "mill", "factory"), start=2):
            self.world.admit(handle, seed)
        unknown = {"dataset": salt(60), "version": 4, "registration": salt(61)}
        self.power = self._register("utility", [])
        self.steel = self._register("mill", [self.name(self.power)])
        self.wire = self._register("factory", [self.name(self.steel), unknown])
        self.wrong = self._register("factory", [self.name(self.steel) | {"version": 7}], version=2)
        self.world.publish()
        self.mined = [self._emit(each) for each in (self.power, self.steel, self.wire)]
        self.lifted = self.world.mine(
            [make_event("RegistrationLifted", [self.digest(self.power), self.world.log_id], word(0))]
        )
        self.verifier = Verifier(self.world.policy())

    def _register(self, handle: str, parents: list[Parent], version: int = 1) -> Stated:
        return self.world.register(handle, version, self.manifest, parents=parents, slug=handle)

    def digest(self, stated: Stated) -> Bytes32:
        return stated.statement.digest(self.world.domains)

    def name(self, stated: Stated) -> Parent:
        dataset = compute_dataset_id(stated.statement.participant, salt(40))
        return {"dataset": dataset, "version": 1, "registration": self.digest(stated)}

    def _emit(self, stated: Stated) -> Block:
        message: Any = stated.statement.message
        parents = [word(each[name]) for each in message["parents"] for name in ("dataset", "version", "registration")]
        values = [b"\x11" * 20, message["version"], message["contentHash"], message["metadataHash"], 160]
        data = b"".join(map(word, [*values, len(message["parents"])])) + b"".join(parents)
        dataset = compute_dataset_id(stated.statement.participant, salt(40))
        indexed: list[int | bytes] = [self.digest(stated), dataset, stated.statement.participant]
        return self.world.mine([make_event("DatasetRegistered", indexed, data)])

    def text(self, stated: Stated) -> bytes:
        return self.world.prove_stated(stated).to_bytes()

    def event(self, block: Block, *, is_pinned: bool = True) -> bytes:
        evidence = build_event_evidence(self.world.prove(block, 0, 0))
        return (replace(evidence, chain=self.world.pin(evidence.chain)) if is_pinned else evidence).to_bytes()

    def verify(self, *files: bytes) -> tuple[Report, ...]:
        return verify_all(self.verifier, [(f"{at}.json", raw) for at, raw in enumerate(files)])


@pytest.fixture(scope="module")
def withheld(tmp_path_factory: pytest.TempPathFactory) -> Withheld:
    return Withheld(tmp_path_factory.mktemp("withheld"))


def told(lines: tuple[TreeLine, ...]) -> list[tuple[int, str]]:
    return [(line.depth, str(line.to_document()["verdict"])) for line in lines]


def test_a_withheld_parent_is_shown_by_its_event(withheld: Withheld) -> None:
    power, steel, _ = withheld.mined
    reports = withheld.verify(withheld.text(withheld.wire), withheld.event(steel), withheld.event(power))
    assert {each.verdict for each in reports} == {Verdict.VERIFIED}
    step = reports[0].steps[11]
    assert step.outcome is Outcome.NOT_CHECKED
    assert f"(registration {withheld.digest(withheld.steel)}) is withheld; it is in force by its event (1.json)" in (
        step.detail
    )
    assert "was not given" in step.detail  # the unknown one
    assert "is withheld; it is in force by its event (1.json)" in format_sentence(reports[0])
    lines = draw_lineage(reports)
    assert told(lines) == [(0, "verified"), (1, "withheld"), (2, "withheld"), (1, "not given")]
    dataset = str(withheld.name(withheld.steel)["dataset"])[:18]
    assert lines[1].to_text() == (f"   └─ text withheld, in force by its event: dataset {dataset}… version 1 (1.json)")
    assert [line.sources for line in lines] == [("0.json",), ("1.json",), ("2.json",), ()]


def test_in_a_bundle_it_has_the_number_of_its_event(withheld: Withheld) -> None:
    raw = build_bundle([withheld.text(withheld.wire), withheld.event(withheld.mined[1])])
    reports = verify_all(withheld.verifier, [("wire.json", raw)])
    at = next(number for number, each in enumerate(reports, start=1) if each.shown is not None)
    (line,) = (each for each in draw_lineage(reports) if each.is_withheld)
    assert line.sources == (f"wire.json#{at}",)


def test_events_alone_draw_the_lineage(withheld: Withheld) -> None:
    reports = withheld.verify(*map(withheld.event, withheld.mined))
    lines = draw_lineage(reports)
    assert told(lines) == [(0, "withheld"), (1, "withheld"), (2, "withheld"), (1, "not given")]
    both = withheld.verify(
        withheld.text(withheld.wire), withheld.text(withheld.wrong), *map(withheld.event, withheld.mined)
    )
    assert [(line.depth, line.is_repeated) for line in draw_lineage(both) if line.is_withheld] == [
        (1, False),
        (2, False),
        (1, True),
    ]


def test_the_text_outranks_its_event(withheld: Withheld) -> None:
    power, steel, _ = withheld.mined
    files = withheld.text(withheld.wire), withheld.text(withheld.steel), withheld.event(steel), withheld.event(power)
    reports = withheld.verify(*files)
    assert told(draw_lineage(reports)) == [(0, "verified"), (1, "verified"), (2, "withheld"), (1, "not given")]


def test_an_event_of_another_version_refutes_the_child(withheld: Withheld) -> None:
    reports = withheld.verify(withheld.text(withheld.wrong), withheld.event(withheld.mined[1]))
    assert reports[0].steps[11].outcome is Outcome.FAIL
    assert "is no registration of version 7" in reports[0].steps[11].detail


def test_what_is_not_verified_or_another_event_shows_no_parent(withheld: Withheld) -> None:
    unpinned = withheld.event(withheld.mined[0], is_pinned=False)
    for other in (unpinned, withheld.event(withheld.lifted)):
        reports = withheld.verify(withheld.text(withheld.steel), other)
        assert "was not given" in reports[0].steps[11].detail
        assert told(draw_lineage(reports)) == [(0, "verified"), (1, "not given")]
