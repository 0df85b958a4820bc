"""A case for the verifier, and what its report says of each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.content import scan_folder
from ledger.evidence import (
    Evidence,
    Outcome,
    Policy,
    Report,
    Verifier,
)
from ledger.statements import (
    Custody,
    address_of,
)
from tests.support.evidence_world import (
    Stated,
    World,
    make_event,
    salt,
    word,
)

__all__ = ["REQUEST", "Case", "failed", "left_open", "outcomes"]

REQUEST: dict[str, Any] = {
    "dataset": salt(1), "firstVersion": 1, "lastVersion": 0, "purpose": salt(2), "rights": 1, "validFrom": 0,
    "validUntil": 99, "policyHash": salt(3),
}  # fmt: skip


class Case:
    """A world in which the utility stated one registration, which took effect, and the maker one request."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "big.bin").write_bytes(bytes(range(256)) * 8192 + b"tail")
        (folder / "small.csv").write_bytes(b"a,b")
        self.scanned = scan_folder(folder)
        self.world = world = World()
        self.utility = world.admit("utility", 2)
        world.admit("maker", 3, Custody.CUSTODIAL)
        self.registration = world.register("utility", 1, self.scanned.manifest, chunks=self.scanned.chunks)
        self.request = world.state("maker", "AccessRequest", provider=self.utility.id, **REQUEST)
        world.publish(before=[make_event("LogAttested", [salt(5)], bytes(128))])
        self.enforce(self.registration)
        self.late = world.state("maker", "AccessRequest", provider=self.utility.id, **REQUEST)
        world.publish()
        self.policy = world.policy()
        self.evidence = world.prove_stated(self.registration)

    def enforce(self, stated: Stated) -> None:
        key = address_of(self.utility.signing)
        self.world.take_effect(stated, "DatasetRegistered", [salt(40), self.utility.id], word(key) + bytes(160))

    def check(self, evidence: Evidence, *, policy: Policy | None = None, data: Path | None = None) -> Report:
        return Verifier(policy or self.policy).verify(evidence.to_bytes(), data=data)


def outcomes(report: Report) -> dict[int, Outcome]:
    return {step.number: step.outcome for step in report.steps}


def failed(report: Report) -> set[int]:
    return {step.number for step in report.steps if step.outcome is Outcome.FAIL}


def left_open(report: Report) -> set[int]:
    return {step.number for step in report.steps if step.leaves_open}
