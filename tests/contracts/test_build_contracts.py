"""The committed types and artifacts are what the sources build to, and every contract fits on a chain."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.measuring import MEASURED

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "scripts" / "build_contracts.py"
ARTIFACTS = ROOT / "ledger" / "chain" / "artifacts"
CONTRACTS = ("AccessGrants", "CheckpointLog", "DatasetRegistry", "ParticipantRegistry", "SharingAgreements")


def test_a_build_would_change_nothing() -> None:
    """Types, harness and artifacts, byte for byte."""
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), "--check"],
        cwd=ROOT,
        env={**os.environ, **MEASURED},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("files as built\n")


@pytest.mark.slow
def test_check_names_what_a_build_would_change(tmp_path: Path) -> None:
    """A copy of the tree in which one artifact is stale and one generated file is missing."""
    for folder in ("contracts/src", "contracts/test", "ledger", "scripts", "tests/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("foundry.toml", "package.json", "solc.js"):
        shutil.copy2(ROOT / "contracts" / name, tmp_path / "contracts" / name)
    (tmp_path / "contracts" / "node_modules").symlink_to(ROOT / "contracts" / "node_modules")
    stale = tmp_path / "ledger" / "chain" / "artifacts" / "AccessGrants.json"
    stale.write_text("{}\n", encoding="utf-8")
    (tmp_path / "contracts" / "src" / "types" / "Enumerations.sol").unlink()
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "scripts" / PROGRAM.name), "--check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert sorted(ran.stdout.splitlines()) == [
        "differs: ledger/chain/artifacts/AccessGrants.json",
        "missing: contracts/src/types/Enumerations.sol",
    ]


@pytest.mark.parametrize("name", CONTRACTS)
def test_contract_fits_and_is_reproducible(name: str) -> None:
    """Under EIP-170's limit; no metadata behind the code; nothing of a machine in the file."""
    artifact = json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))
    code = bytes.fromhex(artifact["deployedBytecode"].removeprefix("0x"))
    assert 0 < len(code) < 24_576
    assert b"ipfs" not in code
    assert b"solc" not in code
    assert set(artifact) == {
        "abi",
        "bytecode",
        "compiler",
        "contractName",
        "deployedBytecode",
        "immutableReferences",
        "settings",
        "settingsDigest",
    }
    for place in artifact["immutableReferences"]:
        assert code[place["start"] : place["start"] + place["length"]] == bytes(32)
