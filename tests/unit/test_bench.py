"""The benchmarks' pure parts; what they measure is measured by ``make bench``."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ceilings import measure_rate
from bench.gas import Cost, exceeds, format_costs
from bench.load import Load, LoadResult, SignedAhead, percentile
from bench.processes import Usage, parse_usage
from bench.statements import Figures, format_figures
from bench.table import format_table
from bench.tree import KeptTree
from ledger.merkle import compute_root, leaf_hash, prove_consistency, prove_inclusion
from ledger.types import Address, Bytes32


def test_table_lines_up() -> None:
    assert format_table(("what", "gas"), [("a", "1"), ("long name", "23")]).splitlines() == [
        "what       gas",
        "---------  ---",
        "a            1",
        "long name   23",
    ]
    with pytest.raises(ValueError, match="as many cells"):
        format_table(("what",), [("a", "b")])


def test_kept_tree_is_the_tree() -> None:
    leaves = [leaf_hash(bytes([index])) for index in range(21)]
    tree = KeptTree(leaves)
    for size in range(1, 22):
        assert tree.root(size) == compute_root(leaves[:size])
        assert tree.prove_inclusion(size // 2, size) == prove_inclusion(leaves, size // 2, size)
        assert tree.prove_consistency((size + 1) // 2, size) == prove_consistency(leaves, (size + 1) // 2, size)
    for size in (0, 22):
        with pytest.raises(ValueError, match="1 to 21 leaves"):
            tree.root(size)


def test_a_cost_is_judged_by_its_dearest() -> None:
    within, above = Cost("within", [90, 100], 100), Cost("above", [90, 101], 100)
    assert (exceeds(within), exceeds(above), exceeds(Cost("free", [10**9]))) == (False, True, False)
    lines = format_costs([within, above]).splitlines()
    assert "1.000" in lines[2]
    assert "EXCEEDS" not in lines[2]
    assert "EXCEEDS" in lines[3]


def test_percentile_is_the_nearest_rank() -> None:
    assert [percentile([4, 1, 3, 2], share) for share in (0.25, 0.5, 0.99, 1)] == [1, 2, 4, 4]
    with pytest.raises(ValueError, match="percentile"):
        percentile([], 0.5)


def test_usage_is_read_as_proc_tells_it() -> None:
    stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 5 6 7"
    status = "Name:\ta\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"
    assert parse_usage(stat, status, 100) == Usage(2.0, 1024 * 1024, 2048 * 1024)


def test_a_rate_counts_what_happened() -> None:
    happened: list[None] = []
    assert measure_rate(lambda: happened.append(None), seconds=0.01) > 0
    assert happened


def test_a_load_travels_by_file(tmp_path: Path) -> None:
    load = Load("http://127.0.0.1:1", "token", 2, {}, "AccessRequest", "0x" + "11" * 20, [{"a": "1"}], {"0x": "00"})
    load.write(tmp_path / "load.json")
    assert Load.read(tmp_path / "load.json") == load
    assert (tmp_path / "load.json").stat().st_mode & 0o077 == 0


def test_what_was_signed_ahead_is_what_signs() -> None:
    digest, address = Bytes32(bytes(range(32))), Address(bytes(20))
    signer = SignedAhead(address, {str(digest): "ab" * 65})
    assert (signer.address, signer.sign(digest)) == (address, b"\xab" * 65)


def test_figures_say_what_is_not_known() -> None:
    load = LoadResult(accepted=100, last="0x", elapsed_s=2.0, cpu_s=0.5, median_s=0.01, slowest_hundredth_s=0.1)
    told = format_figures([Figures("a", load, 4.0, 1.0, 2**20), Figures("b", load, 4.0, None, None)], 1000.0, 100.0)
    cells = {line[:27].strip(): line[27:].split() for line in told.splitlines()[2:]}
    assert cells["accepted in a second"] == ["50", "50"]
    assert cells["final in a second"] == ["25", "25"]
    assert cells["accepted / recoveries"] == ["0.0500", "0.0500"]
    assert cells["service, cores"] == ["0.50", "-"]
    assert cells["service, peak memory, MiB"] == ["1", "-"]
