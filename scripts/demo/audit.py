"""The auditor: takes evidence while the service runs, then verifies it with the service stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from ledger.client import Client, operations
from ledger.client import statements as flows
from ledger.errors import LedgerError
from ledger.evidence.policy import parse_policy
from ledger.types import Bytes32
from scripts.demo.derivation import RESULT_NAME
from scripts.demo.display import Display
from scripts.demo.service import run_concord

__all__ = ["collect", "tamper", "verify"]

_VERIFIER: Final = Path(__file__).parent.parent / "verify_provenance.py"
_CHANGED_BYTE: Final = (2 << 20) + 4321
"""In the third chunk of 1 MiB."""
_FINAL_WITHIN_S: Final = 120.0
_LOOK_AGAIN_S: Final = 0.2


class AuditError(LedgerError):
    """The verifier's verdict is another than it must be."""


def collect(folder: Path, node: str, auditor: Client, passphrase: str) -> int:
    """Pin the chain that ``node`` tells in ``policy.json``, fetch every statement's evidence; returns how many."""
    policy_file = folder / "policy.json"
    earlier = ["--extends", str(policy_file)] if policy_file.exists() else []
    arguments = ["policy", "create", "--rpc", node, "--consortium", str(folder / "consortium.json")]
    run_concord([*arguments, "--output", str(policy_file), *earlier], passphrase)
    pins = [(epoch.first, epoch.last) for epoch in parse_policy(policy_file.read_bytes()).epochs]
    _await_final(auditor, max(last or 0 for _, last in pins))
    target = folder / "evidence"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    listed = auditor.run(flows.list_all())
    for statement in listed:
        index, kind, digest = int(str(statement["index"])), statement["type"], Bytes32.parse(str(statement["digest"]))
        raw = auditor.run(flows.evidence(digest, pins=pins))
        (target / f"{index:04d}-{kind}.json").write_bytes(raw)
    return len(listed)


def _await_final(auditor: Client, block: int) -> None:
    """Wait until what the auditor's node was asked for is final at the service, too."""
    end = time.monotonic() + _FINAL_WITHIN_S
    while (final := int(str(auditor.run(operations.readiness())["final"]))) < block:
        if time.monotonic() > end:
            raise AuditError(f"block {block} does not become final: {final} is the last one that is")
        time.sleep(_LOOK_AGAIN_S)


def _run_verifier(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_VERIFIER), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program


def verify(folder: Path, display: Display) -> None:
    """Verify all evidence and data, offline. Raises: AuditError."""
    files = sorted((folder / "evidence").glob("*.json"))
    with display.working(f"verifying {len(files)} evidence files"):
        ours = [path for path in files if _is_ours(folder, path)]
        done = [_run_verifier(*map(str, ours), *_policy(folder), "--data", str(folder / "data"))]
        others = [path for path in files if path not in ours]
        if others:
            done.append(_run_verifier(*map(str, others), *_policy(folder)))
    (folder / "verdicts.txt").write_text("\n".join(each.stdout for each in done))
    worst = max(each.returncode for each in done)
    if worst != 0:
        raise AuditError(f"the verifier did not verify everything (exit {worst}): see {folder}/verdicts.txt")
    display.fact(f"{len(files)} evidence files verified, every verdict in {folder}/verdicts.txt")


def _policy(folder: Path) -> tuple[str, str]:
    return "--policy", str(folder / "policy.json")


def _is_ours(folder: Path, path: Path) -> bool:
    """Whether it is no registration, or one of data that the demo has: others were registered by `make serve`."""
    evidence = json.loads(path.read_bytes())
    if evidence["statement"]["type"] != "DatasetRegistration":
        return True
    about, version = evidence["content"]["metadata"]["document"], evidence["statement"]["message"]["version"]
    place = folder / "data" / str(about["provider"]) / f"{about['slug']}@{version}"
    return place.is_dir()


def tamper(folder: Path, evidence: Path, version: int, display: Display) -> None:
    """Change one byte of a copy and see it refuted, file and chunk named. Raises: AuditError."""
    copy = folder / "tampered"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "data", copy)
    changed = copy / "analytics" / f"charging@{version}" / RESULT_NAME
    with changed.open("r+b") as target:
        target.seek(_CHANGED_BYTE)
        byte = target.read(1)
        target.seek(_CHANGED_BYTE)
        target.write(bytes([byte[0] ^ 1]))
    done = _run_verifier(str(evidence), *_policy(folder), "--data", str(changed.parent))
    if done.returncode != 1:
        raise AuditError(f"a changed byte was not refuted (exit {done.returncode}):\n{done.stdout}{done.stderr}")
    for line in done.stdout.splitlines():
        if "FAIL" in line or line.lstrip().startswith("Refuted:"):
            display.refusal(line.strip())
