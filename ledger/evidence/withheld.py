"""Registrations whose text is withheld, as the contract's event shows them: dataset, version and parents are public."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from ledger.evidence.report import Report, Verdict
from ledger.types import Bytes32

__all__ = ["ShownRegistration", "collect_shown"]

_EVENT: Final = "DatasetRegistered"


@dataclass(frozen=True, slots=True)
class ShownRegistration:
    """A registration in force by its event; ``parents`` have values of the same types as the statement's."""

    dataset: Bytes32
    version: int
    parents: tuple[Mapping[str, object], ...]
    source: str


def collect_shown(reports: Sequence[Report]) -> Mapping[Bytes32, ShownRegistration]:
    """By its digest, every registration that a verified event shows without its text."""
    found: dict[Bytes32, ShownRegistration] = {}
    for report in reports:
        shown, digest = report.shown, report.digest
        is_verified = report.statement is None and report.steps_verdict is Verdict.VERIFIED
        if shown is None or digest is None or shown.name != _EVENT or not is_verified:
            continue
        members = cast("Mapping[str, Any]", shown.members)
        named = Bytes32.parse(members["dataset"]), int(members["version"])
        parents = tuple(_read_parent(each) for each in members["parents"])
        found.setdefault(digest, ShownRegistration(*named, parents, report.source))
    return found


def _read_parent(parent: Mapping[str, str]) -> Mapping[str, object]:
    return {
        "dataset": Bytes32.parse(parent["dataset"]),
        "version": int(parent["version"]),
        "registration": Bytes32.parse(parent["registration"]),
    }
