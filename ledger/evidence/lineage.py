"""Several evidence files together: whose data lie where, and step 12, the lineage parent by parent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from ledger.canonical import encode_canonical
from ledger.errors import LedgerError
from ledger.evidence.content import describe_dataset
from ledger.evidence.evidence import Evidence
from ledger.evidence.opening import Opened, open_files
from ledger.evidence.report import Outcome, Report, Step, Verdict, judge_together
from ledger.evidence.verify import Verifier
from ledger.evidence.withheld import ShownRegistration, collect_shown
from ledger.statements import Statement, compute_dataset_id
from ledger.types import Bytes32

__all__ = ["resolve_lineage", "verify_all"]

_STEP = 12
_Parent = Mapping[str, object]


def verify_all(verifier: Verifier, files: Sequence[tuple[str, bytes]], data: Path | None = None) -> tuple[Report, ...]:
    """Verify evidence files, given as (source, bytes), bundles among them, and their lineage among one another.

    ``data``: with one registration among them, the folder with its files, or one that holds it as ``slug@version`` or
    ``provider/slug@version``; with several, the folder that holds each as ``provider/slug@version``. Where the evidence
    has no metadata to say so, ``dataset id@version``.
    """
    opened = open_files(files)
    folders = _locate(opened, data) if data is not None else {}
    return resolve_lineage([verifier.judge(each, data=folders.get(at)) for at, each in enumerate(opened)])


def resolve_lineage(reports: Sequence[Report]) -> tuple[Report, ...]:
    """Take step 12 of every report, each parent before its children.

    A parent whose evidence is not given leaves the step not checked; a refuted one fails it; one that is undetermined
    leaves it open. Of several files of one parent the best counts. Digests make cycles impossible: a parent's digest
    is part of what its child's is computed from.
    """
    positions: dict[Bytes32, list[int]] = {}
    for at, report in enumerate(reports):
        if report.digest is not None and report.statement is not None:
            positions.setdefault(report.digest, []).append(at)
    shown = collect_shown(reports)
    done: dict[int, Report] = {}
    pending = list(range(len(reports)))
    while pending:
        at = pending[-1]
        given = {digest: positions.get(digest, []) for digest in _digests(_parents_of(reports[at]))}
        missing = [each for found in given.values() for each in found if each not in done]
        if at in done or not missing:
            pending.pop()
            known = {digest: tuple(done[each] for each in found) for digest, found in given.items()}
            done.setdefault(at, _judge(reports[at], known, shown))
        pending += missing if at not in done else []
    return tuple(done[at] for at in range(len(reports)))


def _judge(
    report: Report, known: Mapping[Bytes32, tuple[Report, ...]], shown: Mapping[Bytes32, ShownRegistration]
) -> Report:
    parents = _parents_of(report)
    if not parents:
        return report
    digests = _digests(parents)
    judged = [_judge_parent(parent, known[at], shown.get(at)) for parent, at in zip(parents, digests, strict=True)]
    detail = "; ".join(words for _, words in judged)
    verdicts = {verdict for verdict, _ in judged}
    if Verdict.REFUTED in verdicts:
        return report.with_step(Step(_STEP, Outcome.FAIL, detail))
    if Verdict.UNDETERMINED in verdicts:
        return report.with_step(Step(_STEP, Outcome.NOT_CHECKED, detail, leaves_open=True))
    return report.with_step(Step(_STEP, Outcome.NOT_CHECKED if None in verdicts else Outcome.PASS, detail))


def _judge_parent(
    parent: _Parent, reports: tuple[Report, ...], shown: ShownRegistration | None
) -> tuple[Verdict | None, str]:
    """What is known of one parent, None where its evidence is not given or its event alone; and in words."""
    name = f"version {parent['version']} of dataset {parent['dataset']}"
    if not reports and shown is not None:
        if (shown.dataset, shown.version) != (parent["dataset"], parent["version"]):
            return Verdict.REFUTED, f"the statement {parent['registration']} is no registration of {name}"
        is_so = f"is withheld; it is in force by its event ({shown.source})"
        return None, f"the text of {name} (registration {parent['registration']}) {is_so}"
    if not reports:
        return None, f"the evidence of {name} (registration {parent['registration']}) was not given"
    if not _is_registration_of(cast(Statement, reports[0].statement), parent):
        return Verdict.REFUTED, f"the statement {parent['registration']} is no registration of {name}"
    verdict = judge_together(reports)
    sources = ", ".join(report.source for report in reports if report.verdict is verdict)
    return verdict, f"{name} is {verdict} ({sources})"


def _is_registration_of(statement: Statement, parent: _Parent) -> bool:
    if statement.type.name != "DatasetRegistration":
        return False
    return (_dataset_of(statement), statement.message["version"]) == (parent["dataset"], parent["version"])


def _dataset_of(statement: Statement) -> Bytes32:
    return compute_dataset_id(statement.participant, cast(Bytes32, statement.message["datasetSalt"]))


def _parents_of(report: Report) -> Sequence[_Parent]:
    if report.statement is None:
        return ()
    return cast("Sequence[_Parent]", report.statement.message.get("parents", ()))


def _digests(parents: Iterable[_Parent]) -> list[Bytes32]:
    return [cast(Bytes32, parent["registration"]) for parent in parents]


def _locate(files: Sequence[Opened], data: Path) -> dict[int, Path]:
    """Where the data of each registration among the files should lie, by its position."""
    registrations = {at: found for at, each in enumerate(files) if (found := _read_registration(each))}
    is_single = len({encode_canonical(evidence.message) for _, evidence in registrations.values()}) == 1
    located: dict[int, Path] = {}
    for at, (statement, evidence) in registrations.items():
        names = describe_dataset(statement, evidence.content)
        if names is None:
            names = (".", f"{_dataset_of(statement)}@{statement.message['version']!s}")
        candidates = [data.joinpath(*names), *([data / names[1], data] if is_single else [])]
        located[at] = next((folder for folder in candidates if _is_there(folder)), candidates[0])
    return located


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it may be there and can not be looked at: reading it says why
        return True


def _read_registration(opened: Opened) -> tuple[Statement, Evidence] | None:
    evidence = opened.content
    if not isinstance(evidence, Evidence):
        return None
    try:
        statement = Statement.parse(evidence.type_name, evidence.message)
    except LedgerError:
        return None
    return (statement, evidence) if statement.type.name == "DatasetRegistration" else None
