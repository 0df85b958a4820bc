"""The layered graph: parents above children, rows that stay narrow, lines between neighbours alone."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence import Outcome, Report, Step, Verdict
from ledger.keccak import keccak256
from ledger.statements import Statement, compute_dataset_id
from ledger.types import Bytes32
from scripts.audit.lineage import Graph, build_graph
from scripts.audit.lineage_svg import draw_lineage
from scripts.audit.names import Names
from scripts.audit.pieces import Piece, Role, Source

PROVIDERS = [Bytes32(bytes([number]) * 32) for number in (1, 2, 3)]


def piece(number: int, parents: list[Piece], *, outcome: Outcome = Outcome.PASS, role: Role = Role.IN_SCOPE) -> Piece:
    """A registration with parents, as far as the graph looks at one."""
    named = [
        {"dataset": each.dataset, "version": 1, "registration": each.report.digest}
        for each in sorted(parents, key=lambda each: each.dataset or b"")
    ]
    salt = Bytes32(number.to_bytes(32, "big"))
    statement = Statement.build(
        "DatasetRegistration",
        participant=PROVIDERS[number % 3],
        datasetSalt=salt,
        version=1,
        contentHash=salt,
        metadataHash=salt,
        parents=named,
        deadline=1,
        salt=salt,
    )
    digest = Bytes32(keccak256(salt))
    steps = tuple(Step(at, outcome, "") for at in range(1, 13))
    report = Report(f"{number}.json", steps, statement, digest, 10, rests_on=("pin",), dataset=("p", f"set-{number}@1"))
    dataset = compute_dataset_id(statement.participant, salt)
    return Piece(Source(f"{number}.json", b""), report, MalformedError("none"), None, dataset, role)


def check(graph: Graph, pieces: list[Piece], width: int = 4) -> None:
    row_of = {node.version: at for at, row in enumerate(graph.rows) for slot in row if (node := slot.node)}
    assert all(row_of[parent] < row_of[node.version] for node in graph.nodes for parent in node.parents)
    assert all(sum(slot.node is not None for slot in row) <= width for row in graph.rows)
    assert len(graph.lines) == max(len(graph.rows) - 1, 0)
    assert {each.report.digest for each in pieces} <= {node.version[2] for node in graph.nodes}
    for (above, below), lines in zip(pairwise(graph.rows), graph.lines, strict=True):
        # Every line goes on: what comes into a slot that is no node leaves it.
        assert {end for _, end in lines} >= {at for at, slot in enumerate(below) if slot.parents and not slot.node}
        assert {start for start, _ in lines} >= {at for at, slot in enumerate(above) if not slot.node}
    for node in graph.nodes:
        for parent in node.parents:
            assert node.version in reached(graph, row_of[parent], parent), "a line leads from each parent to its child"


def reached(graph: Graph, row: int, start: tuple[Bytes32, int, Bytes32]) -> set[tuple[Bytes32, int, Bytes32]]:
    at = {position for position, slot in enumerate(graph.rows[row]) if slot.node and slot.child == start}
    found: set[tuple[Bytes32, int, Bytes32]] = set()
    for number, lines in enumerate(graph.lines[row:], row + 1):
        ends = {end for begin, end in lines if begin in at}
        found |= {graph.rows[number][end].child for end in ends if graph.rows[number][end].node}
        at = {end for end in ends if graph.rows[number][end].node is None}
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=30))
def test_any_lineage(shape: list[list[int]]) -> None:
    pieces: list[Piece] = []
    for number, parents in enumerate(shape):
        chosen = {each % number for each in parents} if number else set()
        pieces.append(piece(number, [pieces[each] for each in sorted(chosen)]))
    graph = build_graph(pieces)
    check(graph, pieces)
    drawn = draw_lineage(graph, Names.of(pieces))
    assert drawn.count("<svg") == len(graph.rows)
    assert drawn.count('<g class="node') == len(pieces)


def test_many_parents_wrap_and_share_their_way() -> None:
    parents = [piece(number, []) for number in range(60)]
    child = piece(60, parents)
    graph = build_graph([*parents, child])
    check(graph, [*parents, child])
    assert len(graph.rows) == 16
    assert max(len(row) for row in graph.rows) == 5
    assert 'class="graph"' in draw_lineage(graph, Names.of(parents))


def test_ancestors_without_evidence_and_verdicts() -> None:
    missing = piece(1, [])
    refuted = piece(2, [missing], outcome=Outcome.FAIL)
    context, outside = piece(3, [], role=Role.CONTEXT), piece(4, [], role=Role.OUTSIDE)
    graph = build_graph([refuted, context, outside, piece(2, [missing])])
    verdicts = {node.version[2]: node.verdict for node in graph.nodes}
    assert verdicts == {
        missing.report.digest: None,
        refuted.report.digest: Verdict.REFUTED,
        context.report.digest: Verdict.VERIFIED,
    }
    drawn = draw_lineage(graph, Names.of([refuted, context]))
    for word in ("node refuted", "node not-given", "node verified context", "evidence not given"):
        assert word in drawn
    assert draw_lineage(build_graph([]), Names.of([])).count("<svg") == 0


def test_long_names_take_two_lines() -> None:
    from dataclasses import replace

    own = piece(1, [])
    named = replace(
        own, report=replace(own.report, dataset=("provider-of-power", "a-very-long-name-of-a-set" * 3 + "@1"))
    )
    drawn = draw_lineage(build_graph([named]), Names.of([named]))
    assert drawn.count('class="name"') == 2
    assert "…" in drawn
