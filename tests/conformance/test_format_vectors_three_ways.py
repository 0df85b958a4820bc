"""The vectors of events, breaches, forks, upgrades and bundles through the script as a process, and through Solidity.

`FAILING` names the steps that fail for each folder; none where the steps hold and the claim is what is refuted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from eth_tester.exceptions import TransactionFailed
from web3.contract import Contract
from web3.exceptions import Web3Exception

from ledger.errors import MalformedError, VerificationError
from ledger.log import Checkpoint, SignedNote
from ledger.log.text import parse_base64
from ledger.merkle import verify_consistency
from tests.support.ethereum_tester import deploy_harness
from tests.support.format_vectors import FOLDER

ROOT: Final = Path(__file__).parents[2]
VERDICTS: Final = {"good": "verified", "open": "undetermined"}
FORMS: Final = ("breach", "event", "fork", "upgrade")
Json = Any

FAILING: Final[dict[str, tuple[int, ...]]] = {
    "breach/anchored-before-attested-kept": (),
    "breach/anchored-in-time-kept": (),
    "breach/another-kind": (2,),
    "breach/event-of-another-contract": (7,),
    "breach/event-of-another-kind": (7,),
    "breach/event-of-another-log": (7,),
    "breach/fork-from-another-root": (5,),
    "breach/fork-from-the-empty-log": (5,),
    "breach/leaf-beyond-the-log": (5,),
    "breach/leaf-of-another-index": (5,),
    "breach/leaf-that-is-not-there": (5,),
    "breach/one-history-kept": (),
    "breach/receipt-of-another-index": (5,),
    "breach/receipt-with-a-false-signature": (6,),
    "breach/receipt-with-extra-data": (2, 5, 6, 7),
    "breach/receipt-without-anchor-by": (2,),
    "breach/signature-that-was-not-receipted": (5,),
    "breach/statement-that-was-not-receipted": (5,),
    "breach/the-entry-itself-kept": (),
    "event/a-change-left-out": (10,),
    "event/a-history-where-none-belongs": (2,),
    "event/a-member-left-out": (7,),
    "event/a-member-that-nothing-binds": (2,),
    "event/a-revocation-hidden": (7,),
    "event/a-statement-where-none-belongs": (2,),
    "event/another-contract": (7,),
    "event/another-name": (2, 7),
    "event/event-of-another-contract": (7,),
    "event/no-block-proof": (9,),
    "event/no-history-at-all": (10,),
    "event/no-such-position": (7,),
    "event/receipt-of-another-block": (7, 8),
    "event/statement-of-another-grant": (7,),
    "event/statement-of-another-type": (2,),
    "event/the-last-change-left-out": (10,),
    "event/the-same-event-further-back": (7,),
    "fork/another-root": (5,),
    "fork/false-signature": (6,),
    "fork/larger-first": (5,),
    "fork/one-history": (5,),
    "fork/surplus-note-signature": (5, 6),
    "upgrade/a-change-since-left-out": (10,),
    "upgrade/a-later-first-checkpoint": (5, 7),
    "upgrade/consistency-from-another-size": (5,),
    "upgrade/event-of-another-size": (7,),
    "upgrade/history-that-ends-before-it": (10,),
    "upgrade/later-with-a-false-signature": (6,),
    "upgrade/recorded-before-the-first": (7,),
    "upgrade/the-first-checkpoint-again": (5, 7, 10),
}


def files_of(form: str) -> list[Path]:
    return sorted(FOLDER.glob(f"{form}/*/*.json"))


def name_of(path: Path) -> str:
    return path.parent.relative_to(FOLDER).as_posix().removesuffix("_fail")


def run(*files: Path) -> tuple[int, list[Json]]:
    program = [sys.executable, str(ROOT / "scripts" / "verify_provenance.py"), *map(str, files)]
    command = [*program, "--policy", str(FOLDER / "policy.json"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)["reports"]


def test_every_refused_case_is_named() -> None:
    refused = {name_of(path) for form in FORMS for path in files_of(form) if path.parent.name.endswith("_fail")}
    assert refused == set(FAILING)
    forms = {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert forms == {*FORMS, "bundle", "permission"}


@pytest.mark.parametrize("form", FORMS)
def test_the_script_as_a_process(form: str) -> None:
    files = files_of(form)
    code, reports = run(*files)
    assert code == 1  # the worst of them
    assert [report["source"] for report in reports] == [str(path) for path in files]
    for path, report in zip(files, reports, strict=True):
        failing = tuple(step["number"] for step in report["steps"] if step["outcome"] == "FAIL")
        assert failing == FAILING.get(name_of(path), ()), name_of(path)
        assert report["verdict"] == VERDICTS.get(path.parent.name, "refuted"), name_of(path)
        if report["verdict"] == "refuted" and not failing:
            assert report["claim"]["verdict"] == "refuted", name_of(path)


@pytest.mark.parametrize("path", files_of("bundle"), ids=name_of)
def test_bundles_by_the_script_as_a_process(path: Path) -> None:
    code, reports = run(path)
    assert code == (0 if path.parent.name == "good" else 1)
    assert any(report["verdict"] == "refuted" for report in reports) is (code == 1)


@cache
def harness() -> Contract:
    return deploy_harness("Rfc6962Harness")


def accepted_by_solidity(*arguments: object) -> bool:
    try:
        harness().functions.verifyConsistency(*arguments).call()
    except (Web3Exception, TransactionFailed):
        return False
    return True


def accepted_by_python(size1: int, size2: int, proof: list[bytes], root1: bytes, root2: bytes) -> bool:
    try:
        verify_consistency(size1, size2, proof, root1, root2)
    except (MalformedError, VerificationError):
        return False
    return True


def consistency_of(document: Json) -> tuple[int, int, list[bytes], bytes, bytes]:
    """What an upgrade or a fork says: two sizes, the proof between them, two roots."""
    if document["format"] == "concord-fork/1":
        smaller, larger = read_checkpoint(document["smaller"]), read_checkpoint(document["larger"])
        root, proof = parse_base64(document["root"]), document["proof"]
    else:
        smaller, larger = (
            read_checkpoint(document["log"]["checkpoint"]),
            read_checkpoint(document["later"]["checkpoint"]),
        )
        root, proof = smaller.root, document["later"]["proof"]
    return smaller.size, larger.size, [*map(parse_base64, proof)], root, larger.root


def read_checkpoint(note: str) -> Checkpoint:
    return Checkpoint.parse(SignedNote.parse(note.encode()).text)


CONSISTENT: Final = [*files_of("fork"), *files_of("upgrade")]


@pytest.mark.parametrize("path", CONSISTENT, ids=name_of)
def test_solidity_judges_consistency_alike(path: Path) -> None:
    arguments = consistency_of(json.loads(path.read_bytes()))
    expected = accepted_by_python(*arguments)
    assert accepted_by_solidity(*arguments) is expected
    if path.parent.name in {"good", "open"}:
        assert expected


def test_solidity_refuses_some_of_them() -> None:
    refused = {
        name_of(path) for path in CONSISTENT if not accepted_by_python(*consistency_of(json.loads(path.read_bytes())))
    }
    assert {"fork/another-root", "upgrade/consistency-from-another-size"} <= refused
