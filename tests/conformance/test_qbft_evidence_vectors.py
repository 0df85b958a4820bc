"""The committed evidence of a sealed chain, judged by the program: seals, rounds, epochs of validators."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.verify_provenance import main
from tests.conformance.test_evidence_vectors import SPEC, check_schema
from tests.support.evidence_vectors import FOLDER

SEALED = FOLDER / "sealed"
POLICY = str(SEALED / "policy.json")
# What each is refuted for: the step that fails.
FAILING = {
    "another-round-than-sealed": 9,
    "block-hash-with-its-round": 9,
    "block-of-another-epoch": 9,
    "header-of-another-block": 8,
    "malleated-seal": 9,
    "no-seals": 9,
    "receipt-of-another-block": 8,
    "root-over-a-hash-with-a-round": 9,
    "seal-beside-a-quorum-twice": 9,
    "seal-counted-twice": 9,
    "seal-counted-twice-malleated": 9,
    "seal-of-a-stranger-beside-a-quorum": 9,
    "seal-of-the-validator-voted-out": 9,
    "seals-beside-a-block-proof": 9,
    "two-of-four-seals": 9,
    "validators-of-another-epoch": 9,
}


def test_every_case_is_named() -> None:
    assert {path.parent.name for path in SEALED.glob("*_fail/evidence.json")} == {f"{name}_fail" for name in FAILING}


def test_good_evidence_verifies_and_says_on_what_it_rests(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(SEALED / "good" / "sealed.json"), "--policy", POLICY]) == 0
    assert "This rests on the seals of 3 of 4 validators that your policy pins." in capsys.readouterr().out
    assert main([str(SEALED / "good" / "under-a-closed-epoch.json"), "--policy", POLICY]) == 0
    assert "This rests on the pin of blocks 0 to " in capsys.readouterr().out


@pytest.mark.parametrize(("name", "step"), FAILING.items(), ids=list(FAILING))
def test_what_is_wrong_is_refuted(name: str, step: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(SEALED / f"{name}_fail" / "evidence.json"), "--policy", POLICY, "--json"]) == 1
    steps = json.loads(capsys.readouterr().out)["reports"][0]["steps"]
    assert step in [each["number"] for each in steps if each["outcome"] == "FAIL"]


def test_seals_of_a_closed_epoch_do_not_settle_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(SEALED / "open" / "seals-of-a-closed-epoch.json"), "--policy", POLICY]) == 2
    assert "ask for the evidence with first=0 and last=" in capsys.readouterr().out


@pytest.mark.parametrize("path", [*SEALED.glob("good/*"), *SEALED.glob("open/*"), Path(POLICY)], ids=lambda p: p.stem)
def test_schemas_accept_what_is_good(path: Path) -> None:
    name = "policy" if path.stem == "policy" else "evidence"
    schema = json.loads((SPEC / f"{name}.schema.json").read_text(encoding="utf-8"))
    check_schema(schema, json.loads(path.read_text(encoding="utf-8")), schema)


@pytest.mark.parametrize("left_out", [("last",), ("root",), ("last", "root", "validators"), ("first",)])
def test_the_schema_refuses_half_an_epoch(left_out: tuple[str, ...]) -> None:
    schema = json.loads((SPEC / "policy.schema.json").read_text(encoding="utf-8"))
    policy = json.loads(Path(POLICY).read_text(encoding="utf-8"))
    for name in left_out:
        del policy["epochs"][0][name]
    with pytest.raises(AssertionError):
        check_schema(schema, policy, schema)
