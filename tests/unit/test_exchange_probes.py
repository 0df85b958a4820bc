"""The present as a node tells it: by the block that it would make, by regular blocks, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from ledger.chain import ChainEdge
from ledger.exchange.probes import read_node_clock

NOW_S = 1_800_000_000


@dataclass
class Node:
    """Blocks at these times, of which ``full`` have transactions; ``pending_s`` is told one after the other."""

    times: Sequence[int]
    full: int = 0
    pending_s: list[int | None] = field(default_factory=lambda: [None])

    def head(self) -> SimpleNamespace:
        return SimpleNamespace(number=len(self.times) - 1, timestamp=self.times[-1])

    def pending_time_s(self) -> int | None:
        return self.pending_s.pop(0) if len(self.pending_s) > 1 else self.pending_s[0]

    def blocks(self, first: int, last: int, *, whole: bool) -> list[SimpleNamespace]:
        assert not whole
        full = range(len(self.times) - self.full, len(self.times))
        return [SimpleNamespace(timestamp=self.times[n], receipts=n in full) for n in range(first, last + 1)]


def read(node: Node) -> tuple[int, bool]:
    return read_node_clock(cast("ChainEdge", node), NOW_S)


def every(period_s: int, last_s: int, count: int = 12) -> list[int]:
    return [last_s - period_s * back for back in reversed(range(count))]


def test_empty_blocks_at_regular_times_go_on() -> None:
    hour_ago_s = NOW_S - 3600
    assert read(Node(every(2, hour_ago_s))) == (hour_ago_s, True)
    assert read(Node(every(2, hour_ago_s), full=4)) == (hour_ago_s, True)


@pytest.mark.parametrize(
    "node",
    [
        Node(every(2, NOW_S - 3600), full=12),  # each was made for its transactions, and now there are none
        Node([NOW_S - 4000, *every(0, NOW_S - 3600)]),
        Node(every(2, NOW_S - 3600, count=4)),
        Node(every(900, NOW_S - 3600)),
    ],
    ids=["full", "at once", "young", "rare"],
)
def test_an_idle_chain_tells_no_present(node: Node) -> None:
    assert read(node) == (NOW_S - 3600, False)


def test_the_block_that_would_be_made_is_the_present_where_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.exchange.probes.time.sleep", lambda _: None)
    idle = every(2, NOW_S - 7200)
    assert read(Node(idle, pending_s=[NOW_S + 1])) == (NOW_S + 1, True)
    assert read(Node(idle, pending_s=[NOW_S - 3600, NOW_S - 3599])) == (NOW_S - 3600, True)
    assert read(Node(idle, full=12, pending_s=[NOW_S - 3600])) == (NOW_S - 3600, False)
