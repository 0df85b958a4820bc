"""The committed vectors of the newer formats: regenerating changes nothing, they are judged right, schemas fit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.verify_provenance import main
from tests.conformance.test_evidence_vectors import check_schema
from tests.support.format_vectors import FOLDER, build_format_vectors

SPEC = Path(__file__).parents[2] / "docs" / "spec"
POLICY = str(FOLDER / "policy.json")
CODES = {"good": 0, "open": 2}
ALL = sorted(path for path in FOLDER.glob("*/*/*.json"))
CASES = json.loads((FOLDER / "permission" / "cases.json").read_text(encoding="utf-8"))
SCHEMAS = {"upgrade": "evidence", "event": "evidence-event", "breach": "evidence-breach", "fork": "evidence-fork",
           "bundle": "evidence-bundle", "permission": "evidence-event"}  # fmt: skip


def name_of(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.parent.name}/{path.stem}"


def test_regenerating_changes_nothing() -> None:
    committed = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    assert build_format_vectors() == committed


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_the_program_judges_them_right(path: Path) -> None:
    assert main([str(path), "--policy", POLICY]) == CODES.get(path.parent.name, 1)


@pytest.mark.parametrize(
    "case",
    CASES,
    ids=lambda case: f"{case['attestation']}-{case['at']}-{case['right']}-{'any' if case['grant'] is None else 'it'}",
)
def test_the_program_answers_what_was_permitted(case: dict[str, Any]) -> None:
    moment = datetime.fromtimestamp(int(case["at"]), UTC).isoformat().replace("+00:00", "Z")
    arguments = [
        str(FOLDER / "permission" / f"{case['attestation']}.json"),
        "--policy",
        POLICY,
        "--permitted-at",
        moment,
    ]
    arguments += [] if case["grant"] is None else ["--grant", case["grant"]]
    arguments += [] if case["version"] is None else ["--version", case["version"]]
    arguments += [] if case["right"] is None else ["--right", case["right"]]
    assert main(arguments) == int(case["exit_code"])


GOOD = [path for path in [*ALL, *FOLDER.glob("permission/*.json")] if not path.match("*_fail/*")]


@pytest.mark.parametrize("path", [path for path in GOOD if path.stem != "cases"], ids=name_of)
def test_schemas_accept_what_is_good(path: Path) -> None:
    form = path.relative_to(FOLDER).parts[0]
    schema = json.loads((SPEC / f"{SCHEMAS[form]}.schema.json").read_text(encoding="utf-8"))
    value = json.loads(path.read_text(encoding="utf-8"))
    check_schema(schema, value, schema)
    for member in schema["required"]:
        with pytest.raises(AssertionError):
            check_schema(schema, {key: each for key, each in value.items() if key != member}, schema)
    with pytest.raises(AssertionError):
        check_schema(schema, value | {"surplus": "x"}, schema)
