"""The lineage as a tree: every registration among the reports with its parents below it, and what is about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from ledger.canonical import JsonValue
from ledger.evidence.report import Report, Verdict, judge_together
from ledger.evidence.withheld import ShownRegistration, collect_shown
from ledger.statements import Statement, compute_dataset_id
from ledger.types import Bytes32

__all__ = ["TreeLine", "draw_lineage"]

_REGISTRATION: Final = "DatasetRegistration"
_SHOWN: Final = 18  # characters of an id: 0x and eight bytes
_DEEPEST_DRAWN: Final = 20


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One line: how deep it stands, what it is, and what became of it.

    ``verdict`` is None where a parent's evidence was not given, or (``is_withheld``) the contract's event alone;
    ``is_repeated`` where the same version with all below it stands further up; ``about`` are the other statements about
    that dataset, in words.
    """

    depth: int
    digest: Bytes32
    name: str
    verdict: Verdict | None
    sources: tuple[str, ...]
    is_repeated: bool = False
    about: tuple[str, ...] = ()
    is_withheld: bool = False

    def to_text(self) -> str:
        """The line as it is printed."""
        where = f" ({', '.join(self.sources)})" if self.sources else ""
        verdict = "text withheld, in force by its event" if self.is_withheld else self._verdict
        words = f"{verdict}: {self.name}{where}" + (", see above" if self.is_repeated else "")
        return self._indent + "; ".join([words, *self.about])

    def to_document(self) -> dict[str, JsonValue]:
        """The line as JSON values."""
        return {
            "depth": self.depth,
            "registration": str(self.digest),
            "name": self.name,
            "verdict": self._verdict,
            "sources": list(self.sources),
            "repeated": self.is_repeated,
            "about": list(self.about),
        }

    @property
    def _indent(self) -> str:
        """The line's place in the tree; far down its depth is a number, so that a long line of versions stays short."""
        if self.depth > _DEEPEST_DRAWN:
            return "   " * _DEEPEST_DRAWN + f"└─ [{self.depth}] "
        return "   " * self.depth + ("└─ " if self.depth else "")

    @property
    def _verdict(self) -> str:
        if self.verdict is not None:
            return self.verdict.value
        return "withheld" if self.is_withheld else "not given"


def draw_lineage(reports: Sequence[Report]) -> tuple[TreeLine, ...]:
    """Walk from the registrations that nothing here derives from to their ancestors, each drawn out once."""
    known: dict[Bytes32, list[Report]] = {}
    for report in reports:
        if report.digest is not None and report.statement is not None and report.statement.type.name == _REGISTRATION:
            known.setdefault(report.digest, []).append(report)
    shown = {digest: each for digest, each in collect_shown(reports).items() if digest not in known}
    parents = {digest: _name_parents(_parents_of(found[0])) for digest, found in known.items()}
    parents |= {digest: _name_parents(each.parents) for digest, each in shown.items()}
    derived_from = {digest for named in parents.values() for digest, _ in named}
    about = _collect_about(reports)
    lines: list[TreeLine] = []
    drawn: set[Bytes32] = set()
    pending = [(0, digest, "") for digest in reversed(parents) if digest not in derived_from]
    while pending:
        depth, digest, name = pending.pop()
        is_repeated = digest in drawn
        if digest in shown:
            lines.append(_draw_shown(depth, digest, shown[digest], about, is_repeated=is_repeated))
        else:
            lines.append(_draw(depth, digest, name, known.get(digest, []), about, is_repeated=is_repeated))
        if digest not in drawn and digest in parents:
            pending += [(depth + 1, *parent) for parent in reversed(parents[digest])]
            drawn.add(digest)
    return tuple(lines)


def _draw(
    depth: int,
    digest: Bytes32,
    name: str,
    found: Sequence[Report],
    about: Mapping[Bytes32, list[str]],
    *,
    is_repeated: bool,
) -> TreeLine:
    if not found:
        return TreeLine(depth, digest, name, None, ())
    statement = cast("Statement", found[0].statement)
    dataset = _dataset_of(statement)
    named = next((each.dataset for each in found if each.dataset), None)
    name = "/".join(named) if named else _name(dataset, statement.message["version"])
    return TreeLine(
        depth=depth,
        digest=digest,
        name=name,
        verdict=judge_together(found),
        sources=tuple(each.source for each in found),
        is_repeated=is_repeated,
        about=() if is_repeated else tuple(about.get(dataset, ())),
    )


def _draw_shown(
    depth: int,
    digest: Bytes32,
    shown: ShownRegistration,
    about: Mapping[Bytes32, list[str]],
    *,
    is_repeated: bool,
) -> TreeLine:
    return TreeLine(
        depth=depth,
        digest=digest,
        name=_name(shown.dataset, shown.version),
        verdict=None,
        sources=(shown.source,),
        is_repeated=is_repeated,
        about=() if is_repeated else tuple(about.get(shown.dataset, ())),
        is_withheld=True,
    )


def _parents_of(report: Report) -> Sequence[Mapping[str, object]]:
    return cast("tuple[Mapping[str, object], ...]", cast("Statement", report.statement).message["parents"])


def _name_parents(parents: Sequence[Mapping[str, object]]) -> list[tuple[Bytes32, str]]:
    return [
        (cast("Bytes32", each["registration"]), _name(cast("Bytes32", each["dataset"]), each["version"]))
        for each in parents
    ]


def _collect_about(reports: Sequence[Report]) -> Mapping[Bytes32, list[str]]:
    """By dataset, the other statements that name it, each with its verdict."""
    about: dict[Bytes32, list[str]] = {}
    for report in reports:
        statement = report.statement
        if statement is None or statement.type.name == _REGISTRATION or "datasetSalt" not in statement.message:
            continue
        kind = report.shown.name if report.shown else statement.type.name
        about.setdefault(_dataset_of(statement), []).append(f"{kind} {report.verdict.value} ({report.source})")
    return about


def _dataset_of(statement: Statement) -> Bytes32:
    return compute_dataset_id(statement.participant, cast("Bytes32", statement.message["datasetSalt"]))


def _name(dataset: Bytes32, version: object) -> str:
    return f"dataset {str(dataset)[:_SHOWN]}… version {version}"
