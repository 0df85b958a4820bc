"""The lineage of data set versions as a layered graph: which row each stands in, and where the lines between pass.

Layering by the longest way from a root (parents above children); a layer that is wider than a row is split over
several rows, which no line forbids since nothing within a layer depends on anything else in it. A line that passes a
row passes it at a slot of its own; all lines to one child share their slots, so that a hundred parents stay legible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, cast

from ledger.evidence import Verdict
from ledger.types import Bytes32
from scripts.audit.pieces import Piece, Role

__all__ = ["Graph", "Node", "Slot", "build_graph"]

Version = tuple[Bytes32, int, Bytes32]
"""Data set, version and digest of its registration: what a parent is named by."""

_ROW_WIDTH: Final = 4
_SWEEPS: Final = 4


@dataclass(frozen=True)
class Node:
    """One version of a data set: its registration's piece, None where its evidence was not given."""

    version: Version
    parents: tuple[Version, ...]
    piece: Piece | None = None

    @property
    def verdict(self) -> Verdict | None:
        """What the verifier found of its registration; None: not given."""
        return None if self.piece is None else self.piece.report.verdict


@dataclass(frozen=True)
class Slot:
    """A place in a row: a node, or where the lines from ``parents`` to ``child`` pass."""

    child: Version
    parents: frozenset[Version]
    node: Node | None = None


@dataclass
class Graph:
    """Rows of slots from the top, and the lines between neighbouring rows as positions in them."""

    rows: list[list[Slot]] = field(default_factory=list)
    lines: list[list[tuple[int, int]]] = field(default_factory=list)

    @property
    def nodes(self) -> list[Node]:
        """Every version, row by row."""
        return [slot.node for row in self.rows for slot in row if slot.node is not None]


def build_graph(pieces: Sequence[Piece], width: int = _ROW_WIDTH) -> Graph:
    """Lay out the registrations that are in scope or context, with the parents that they name."""
    nodes = _collect(pieces)
    row_of = _assign_rows(nodes, width)
    graph = _place(nodes, row_of)
    _order(graph)
    _connect(graph)
    return graph


def _collect(pieces: Sequence[Piece]) -> dict[Version, Node]:
    nodes: dict[Version, Node] = {}
    for piece in pieces:
        if piece.states != "DatasetRegistration" or piece.role is Role.OUTSIDE or piece.statement is None:
            continue
        version = piece.dataset, piece.statement.message["version"], piece.report.digest
        parents = cast("Iterable[dict[str, object]]", piece.statement.message["parents"])
        named = [(each["dataset"], each["version"], each["registration"]) for each in parents]
        key = cast(Version, version)
        if key not in nodes or _rank(piece) > _rank(nodes[key].piece):
            nodes[key] = Node(key, tuple(cast("list[Version]", named)), piece)
    for node in list(nodes.values()):
        for parent in node.parents:
            nodes.setdefault(parent, Node(parent, ()))
    return dict(sorted(nodes.items()))


def _rank(piece: Piece | None) -> int:
    """The worse verdict of two about one version is the one to show."""
    order = (Verdict.VERIFIED, Verdict.UNDETERMINED, Verdict.REFUTED)
    return -1 if piece is None else order.index(piece.report.verdict)


def _assign_rows(nodes: dict[Version, Node], width: int) -> dict[Version, int]:
    depth: dict[Version, int] = {}
    pending = list(nodes)
    while pending:
        version = pending[-1]
        missing = [each for each in nodes[version].parents if each not in depth]
        if version not in depth and missing:
            pending += missing
            continue
        pending.pop()
        depth.setdefault(version, 1 + max((depth[each] for each in nodes[version].parents), default=-1))
    row_of: dict[Version, int] = {}
    row = 0
    for layer in range(max(depth.values(), default=-1) + 1):
        members = sorted((each for each, at in depth.items() if at == layer), key=lambda each: _sort_key(nodes[each]))
        for position, version in enumerate(members):
            row_of[version] = row + position // width
        row += -(-len(members) // width)
    return row_of


def _sort_key(node: Node) -> tuple[bytes, bytes, int]:
    """Data sets of one provider beside each other, versions in order."""
    provider = node.piece.statement.participant if node.piece and node.piece.statement else b"\xff"
    return provider, *node.version[:2]


def _place(nodes: dict[Version, Node], row_of: dict[Version, int]) -> Graph:
    rows: list[list[Slot]] = [[] for _ in range(max(row_of.values(), default=-1) + 1)]
    for version in sorted(nodes, key=lambda each: _sort_key(nodes[each])):
        rows[row_of[version]].append(Slot(version, frozenset(nodes[version].parents), nodes[version]))
    for version, node in nodes.items():
        first = min((row_of[parent] for parent in node.parents), default=row_of[version])
        for row in range(first + 1, row_of[version]):
            rows[row].append(Slot(version, frozenset(node.parents)))
    return Graph(rows)


def _order(graph: Graph) -> None:
    """Move each slot towards the middle of what it is connected with, downwards and upwards by turns."""
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        count = len(graph.rows)
        for at in range(1, count) if downwards else range(count - 2, -1, -1):
            beside = graph.rows[at - 1 if downwards else at + 1]
            row = graph.rows[at]
            weight = [_middle(slot, position, beside, downwards=downwards) for position, slot in enumerate(row)]
            graph.rows[at] = [row[position] for position in sorted(range(len(row)), key=lambda each: weight[each])]


def _middle(slot: Slot, position: int, beside: Sequence[Slot], *, downwards: bool) -> float:
    connected = [
        at
        for at, other in enumerate(beside)
        if (_is_connected(other, slot) if downwards else _is_connected(slot, other))
    ]
    return sum(connected) / len(connected) if connected else float(position)


def _is_connected(above: Slot, below: Slot) -> bool:
    """Whether a line goes from a slot to one of the row below it."""
    return above.child == below.child if above.node is None else above.child in below.parents


def _connect(graph: Graph) -> None:
    for above, below in pairwise(graph.rows):
        graph.lines.append(
            [
                (start, end)
                for start, upper in enumerate(above)
                for end, lower in enumerate(below)
                if _is_connected(upper, lower)
            ]
        )
