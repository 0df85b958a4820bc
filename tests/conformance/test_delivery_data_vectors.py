"""The committed vectors of data delivered wrongly: regenerating changes nothing, they are judged right, schemas fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.evidence import parse_delivery
from scripts.verify_provenance import main
from tests.conformance.test_evidence_vectors import check_schema
from tests.support.wrong_data_story import FOLDER, build_wrong_data_vectors

SPEC = Path(__file__).parents[2] / "docs" / "spec"
POLICY = str(FOLDER / "policy.json")
ALL = sorted(FOLDER.glob("*/*.json"))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_regenerating_changes_nothing() -> None:
    committed = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*.json")}
    assert build_wrong_data_vectors() == committed


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_the_program_judges_them_right(path: Path) -> None:
    assert main([str(path), "--policy", POLICY]) == (0 if path.parent.name == "good" else 1)


@pytest.mark.parametrize("path", [path for path in ALL if not path.match("*_fail/*")], ids=name_of)
def test_what_is_read_is_written_alike_and_fits_the_schema(path: Path) -> None:
    raw = path.read_bytes()
    assert parse_delivery(raw).to_bytes() == raw
    schema = json.loads((SPEC / "evidence-delivery.schema.json").read_text(encoding="utf-8"))
    value = json.loads(raw)
    check_schema(schema, value, schema)
    with pytest.raises(AssertionError):
        check_schema(schema, value | {"surplus": "x"}, schema)
    with pytest.raises(AssertionError):
        check_schema(schema, value | {"chunk": value["chunk"] | {"surplus": "x"}}, schema)
