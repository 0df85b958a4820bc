"""The committed evidence vectors: regenerating changes nothing, schemas accept them, the program judges them right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.verify_provenance import main
from tests.support.evidence_vectors import FOLDER, build_vectors

SPEC = Path(__file__).parents[2] / "docs" / "spec"
POLICY = str(FOLDER / "policy.json")
FAILING = sorted(path for path in FOLDER.glob("*_fail/evidence.json"))
GOOD = sorted(FOLDER.glob("good/*.json"))
OPEN = sorted(FOLDER.glob("open/*.json"))


def test_regenerating_changes_nothing() -> None:
    committed = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    assert build_vectors() == committed


def test_good_evidence_verifies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*map(str, GOOD), "--policy", POLICY]) == 0
    assert "12 PASS        lineage" in capsys.readouterr().out
    registration = str(FOLDER / "good" / "registration.json")
    assert main([registration, "--policy", POLICY, "--data", str(FOLDER / "good" / "data")]) == 0


@pytest.mark.parametrize("path", FAILING, ids=lambda path: path.parent.name)
def test_what_is_wrong_is_refuted(path: Path) -> None:
    assert main([str(path), "--policy", POLICY]) == 1


@pytest.mark.parametrize("path", OPEN, ids=lambda path: path.stem)
def test_what_is_open_is_undetermined(path: Path) -> None:
    assert main([str(path), "--policy", POLICY]) == 2


def check_schema(schema: Any, value: Any, root: Any) -> None:
    """The part of JSON Schema that the specs use; an unknown keyword fails."""
    if "$ref" in schema:
        check_schema(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
        return
    known = {
        "$schema", "$id", "$defs", "title", "description", "type", "const", "pattern", "required", "properties",
        "additionalProperties", "items", "minItems", "maxLength", "anyOf", "dependentRequired",
    }  # fmt: skip
    assert set(schema) <= known
    if "const" in schema:
        assert value == schema["const"]
    kinds: dict[str, type] = {"object": dict, "array": list, "string": str}
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]])
    if "pattern" in schema:
        assert re.search(schema["pattern"], value)
    assert len(value) >= schema.get("minItems", 0)
    assert set(schema.get("required", ())) <= set(value if isinstance(value, dict) else ())
    assert not schema.get("anyOf") or any(set(each["required"]) <= set(value) for each in schema["anyOf"])
    for name, needed in schema.get("dependentRequired", {}).items():
        assert name not in value or set(needed) <= set(value)
    for name, member in value.items() if isinstance(value, dict) else ():
        rest = schema.get("additionalProperties", True)
        assert name in schema.get("properties", {}) or rest is not False, name
        check_schema(schema.get("properties", {}).get(name, rest if isinstance(rest, dict) else {}), member, root)
    for item in value if isinstance(value, list) and "items" in schema else ():
        check_schema(schema["items"], item, root)


@pytest.mark.parametrize("path", [*GOOD, *OPEN, FOLDER / "policy.json"], ids=lambda path: path.stem)
def test_schemas_accept_what_is_good(path: Path) -> None:
    name = "policy" if path.stem == "policy" else "evidence"
    schema = json.loads((SPEC / f"{name}.schema.json").read_text(encoding="utf-8"))
    value = json.loads(path.read_text(encoding="utf-8"))
    check_schema(schema, value, schema)
    for member in schema["required"]:
        with pytest.raises(AssertionError):
            check_schema(schema, {key: each for key, each in value.items() if key != member}, schema)
    with pytest.raises(AssertionError):
        check_schema(schema, value | {"surplus": "x"}, schema)


def test_the_example_in_the_docs_is_the_vectors_policy() -> None:
    text = (SPEC / "policy.md").read_text(encoding="utf-8")
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    assert example == json.loads(Path(POLICY).read_text(encoding="utf-8"))
