"""All that a report says, read and verified: one value from which the page is drawn."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from ledger.evidence import Node, Policy, Verdict, Verifier
from ledger.types import Bytes32
from scripts.audit.grants import Grant, list_grants
from scripts.audit.lineage import Graph, build_graph
from scripts.audit.log_reading import LogReading, read_log
from scripts.audit.names import Names
from scripts.audit.pieces import Anchored, Piece, Role, Source, read_pieces
from scripts.audit.scope import Scope

__all__ = ["Audit", "LogRange", "Request", "find_version", "read_audit"]

_DISTRIBUTION: Final = "concord-ledger"


@dataclass(frozen=True)
class Request:
    """What a report is made from: files, the policy and what may be asked besides."""

    policy: Policy
    sources: Sequence[Source]
    scope: Scope = field(default_factory=Scope)
    left_out: Sequence[str] = ()
    data: Path | None = None
    node: Node | None = None
    log: str | None = None


@dataclass(frozen=True)
class LogRange:
    """The checkpoints of one log that the evidence in scope rests on, and how many entries they cover first."""

    log: Bytes32
    origin: str
    first: Anchored
    last: Anchored
    checkpoints: int
    shown: int

    @property
    def covered(self) -> int:
        """How many entries these checkpoints, from first to last, cover and none before did."""
        return self.last.size - self.first.previous_size

    @property
    def withheld(self) -> int:
        """How many of them no evidence here shows."""
        return self.covered - self.shown


@dataclass(frozen=True)
class Audit:
    """Everything that a report says."""

    request: Request
    version: str
    pieces: tuple[Piece, ...]
    names: Names
    ranges: tuple[LogRange, ...]
    grants: tuple[Grant, ...]
    graph: Graph
    reading: LogReading | None

    @property
    def in_scope(self) -> tuple[Piece, ...]:
        """The evidence that the report is about."""
        return tuple(each for each in self.pieces if each.role is Role.IN_SCOPE)

    @property
    def breaches(self) -> tuple[Piece, ...]:
        """The evidence that shows that a log broke its promise."""
        return tuple(each for each in self.in_scope if each.is_breach)

    @property
    def counts(self) -> Counter[Verdict]:
        """How many of it have each verdict."""
        return Counter(each.report.verdict for each in self.in_scope)

    @property
    def known_until(self) -> int | None:
        """The time of the last block that any evidence here rests on."""
        standing = [each for each in self.pieces if each.stands and each.report.rests_on]
        times = [each.time for each in standing if each.time is not None]
        effects = [each.report.in_force.time for each in standing if each.report.in_force]
        return max([*times, *effects], default=None)

    @property
    def verdict(self) -> Verdict:
        """Refuted outranks undetermined; nothing in scope leaves it undetermined; a log that does not hold refutes."""
        if self.counts[Verdict.REFUTED] or (self.reading and self.reading.findings):
            return Verdict.REFUTED
        if not self.in_scope or self.counts[Verdict.UNDETERMINED] or (self.reading and self.reading.reason):
            return Verdict.UNDETERMINED
        return Verdict.VERIFIED


def read_audit(request: Request, on_progress: Callable[[int, int], None] = lambda *_: None) -> Audit:
    """Verify everything and say what it shows.

    Raises:
        NotFoundError: no data set of the name that was asked for, or several.
        MalformedError: the scope's dataset or the log's URL is not of its form.
    """
    read = read_pieces(request.policy, Verifier(request.policy, request.node), request.sources, request.data)
    names = Names.of(read)
    pieces = _assign_roles(read, request.scope, names)
    in_scope = [each for each in pieces if each.role is Role.IN_SCOPE]
    log = request.log
    return Audit(
        request=request,
        version=find_version(),
        pieces=pieces,
        names=names,
        ranges=tuple(_ranges(in_scope, pieces)),
        grants=list_grants(pieces, request.scope.period) if request.scope.dataset is None else _own_grants(pieces),
        graph=build_graph(pieces),
        reading=None if log is None else read_log(log, request.policy, pieces, on_progress),
    )


def find_version() -> str:
    """The version of the verifier that runs."""
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "of a checkout that was not installed"


def _own_grants(pieces: Sequence[Piece]) -> tuple[Grant, ...]:
    return tuple(each for each in list_grants(pieces, Scope().period) if each.is_in_scope)


def _assign_roles(pieces: tuple[Piece, ...], scope: Scope, names: Names) -> tuple[Piece, ...]:
    """In scope is what was asked for; of the rest, the ancestors of registrations in scope are context."""
    dataset = None if scope.dataset is None else names.find_dataset(scope.dataset)
    inside = {at for at, piece in enumerate(pieces) if _is_inside(piece, scope, dataset)}
    wanted = _named_parents(pieces[at] for at in inside)
    context: set[int] = set()
    while wanted:
        found = {at for at, each in enumerate(pieces) if each.report.digest in wanted} - inside - context
        context |= found
        wanted = _named_parents(pieces[at] for at in found)
    roles = (
        Role.IN_SCOPE if at in inside else Role.CONTEXT if at in context else Role.OUTSIDE for at in range(len(pieces))
    )
    return tuple(replace(piece, role=role) for piece, role in zip(pieces, roles, strict=True))


def _is_inside(piece: Piece, scope: Scope, dataset: Bytes32 | None) -> bool:
    """Evidence whose time or statement could not be established may belong to any period: it is never left out."""
    if dataset is not None and piece.statement is not None and piece.dataset != dataset:
        return False
    return piece.time is None or scope.period.holds(piece.time)


def _named_parents(pieces: Iterable[Piece]) -> set[Bytes32]:
    return {
        cast(Bytes32, parent["registration"])
        for piece in pieces
        if piece.statement is not None
        for parent in cast("Sequence[dict[str, object]]", piece.statement.message.get("parents", ()))
    }


def _ranges(in_scope: Sequence[Piece], pieces: Sequence[Piece]) -> Iterable[LogRange]:
    by_log: dict[Bytes32, list[Anchored]] = {}
    for piece in in_scope:
        if piece.anchored is not None:
            by_log.setdefault(piece.anchored.log, []).append(piece.anchored)
    for log, found in sorted(by_log.items(), key=lambda each: (each[1][0].origin, each[0])):
        ordered = sorted(found, key=lambda each: (each.size, each.index))
        span = range(ordered[0].previous_size, ordered[-1].size)
        given = {each.anchored.index for each in pieces if each.anchored and each.anchored.log == log}
        shown = sum(index in span for index in given)
        checkpoints = len({each.size for each in ordered})
        yield LogRange(log, ordered[0].origin, ordered[0], ordered[-1], checkpoints, shown)
