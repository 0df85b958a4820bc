"""The evidence file's form: round trip, and whatever is missing, surplus, mistyped or spelt otherwise refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical, parse_canonical
from ledger.content import scan_folder
from ledger.errors import MalformedError
from ledger.evidence import Evidence, build_content, parse_evidence, prove_block, prove_event
from ledger.types import Bytes32
from tests.support.evidence_world import World, as_json, salt


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("data")
    (folder / "a.csv").write_bytes(b"1,2,3")
    content = scan_folder(folder)
    world = World()
    member = world.admit("utility", 2)
    stated = world.register("utility", 1, content.manifest, chunks=content.chunks)
    stated.cosignature = b"\x05" * 65
    world.publish()
    world.take_effect(stated, "DatasetRegistered", [salt(1), member.id])
    return world.prove_stated(stated)


def test_round_trip(evidence: Evidence) -> None:
    raw = as_json(evidence)
    assert parse_evidence(raw) == evidence
    assert evidence.to_bytes() == raw


def test_the_least_evidence(evidence: Evidence) -> None:
    least = Evidence(
        type_name=evidence.type_name,
        message=evidence.message,
        signature=evidence.signature,
        log=evidence.log,
        anchor=evidence.anchor,
        history=(),
        content=None,
    )
    assert parse_evidence(as_json(least)) == least


def _paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [prefix] if prefix else []
    if isinstance(value, dict):
        for name in value:
            found += _paths(value[name], (*prefix, name))
    elif isinstance(value, list) and value:
        found += _paths(value[0], (*prefix, 0))
    return found


FREE = {"message", "manifest", "document", "chunks"}  # objects that other modules read
OPTIONAL = {"cosignature", "effect", "content", "block", "chunks", "metadata"}


def _holder(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        document = document[step]
    return document


def test_each_member_is_needed_and_typed(evidence: Evidence) -> None:
    document = parse_canonical(as_json(evidence))
    for path in _paths(document):
        if FREE.intersection(path[:-1]):
            continue
        if path[-1] not in OPTIONAL and isinstance(path[-1], str):
            changed: Any = copy.deepcopy(document)
            del _holder(changed, path)[path[-1]]
            with pytest.raises(MalformedError):
                parse_evidence(encode_canonical(changed))
        for value in (None, 5, True, ["x"], {"surplus": "x"}, "Z"):
            is_read_elsewhere = path[-1] in FREE and isinstance(value, dict)
            if is_read_elsewhere or (path[-1] in {"type", "checkpoint"} and value == "Z"):
                continue
            changed = copy.deepcopy(document)
            _holder(changed, path)[path[-1]] = value
            with pytest.raises(MalformedError):
                parse_evidence(encode_canonical(changed))


def test_surplus_members_are_refused(evidence: Evidence) -> None:
    for path in ((), ("statement",), ("log",), ("anchor",), ("anchor", "block"), ("history", 0), ("content",)):
        changed: Any = parse_canonical(as_json(evidence))
        holder = changed
        for step in path:
            holder = holder[step]
        holder["note"] = "surplus"
        with pytest.raises(MalformedError, match="unknown member 'note'"):
            parse_evidence(encode_canonical(changed))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("log", "index"), "01"),
        (("log", "index"), str(2**63)),
        (("anchor", "receipt_index"), str(2**32)),
        (("anchor", "header"), "0xAB"),
        (("anchor", "block", "root"), "0x00"),
        (("anchor", "block", "last"), "-1"),
        (("history", 0, "kind"), "256"),
        (("log", "proof"), ["AA=="]),
        (("log", "proof"), [5]),
        (("format",), "concord-evidence/2"),
        (("statement", "type"), "accessGrant"),
    ],
)
def test_other_spellings_are_refused(evidence: Evidence, path: tuple[Any, ...], value: Any) -> None:
    changed: Any = parse_canonical(as_json(evidence))
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(MalformedError):
        parse_evidence(encode_canonical(changed))


def test_a_range_that_ends_before_it_begins(evidence: Evidence) -> None:
    changed: Any = parse_canonical(as_json(evidence))
    changed["anchor"]["block"] |= {"first": "5", "last": "4"}
    with pytest.raises(MalformedError, match="blocks 5 to 4"):
        parse_evidence(encode_canonical(changed))


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'"x"', b"{}", b"\xff", b'{"a": 1}'])
def test_other_files_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_evidence(raw)


def test_events_are_proved_only_from_what_belongs_together() -> None:
    world = World()
    block = world.blocks[1]
    proof = prove_block([each.hash for each in world.blocks], 1)
    assert prove_event(block.form, block.receipts, 0, 2, proof).log_position == 2
    for receipt, position in ((1, 0), (-1, 0), (0, 3), (0, -1)):
        with pytest.raises(MalformedError):
            prove_event(block.form, block.receipts, receipt, position, proof)
    for form, receipts in (
        (block.form | {"gasUsed": "0x5"}, block.receipts),
        (block.form, [block.receipts[0] | {"status": "0x0"}]),
    ):
        with pytest.raises(Exception, match=r"hash to|not those of"):
            prove_event(form, receipts, 0, 0, proof)
    with pytest.raises(ValueError, match="no leaf"):
        prove_block([each.hash for each in world.blocks], 99)


def test_content_without_chunks_and_metadata(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    content = build_content(Bytes32(bytes(32)), scan_folder(tmp_path).manifest, metadata_salt=salt(1))
    assert (content.chunks, content.metadata) == (None, None)
