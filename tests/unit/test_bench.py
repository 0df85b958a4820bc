"""The benchmarks' pure parts; what they measure is measured by ``make bench``."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import bulk, hashing, tessera
from bench.bulk_figures import BulkFigures, Peers, format_bulk, join_bursts, moment_of
from bench.bulk_load import BulkResult, Counter
from bench.bulk_prepared import Prepared, cut_lines, prepare
from bench.ceilings import measure_rate
from bench.delivery_ceiling import Ceiling, measure_ceiling
from bench.gas import Cost, exceeds, format_costs
from bench.hashing import Took
from bench.idiom import IdiomRates
from bench.indexing import IndexFigures, measure_indexing
from bench.load import Load, LoadResult, SignedAhead, percentile
from bench.outbox import measure_flood, measure_outbox, measure_web3, open_worlds
from bench.outbox_recovery import RecoveryFigures, measure_recovery
from bench.processes import Tree, Usage, parse_usage, read_tree, watching_tree
from bench.statements import Figures, format_figures
from bench.submission import Figures as SubmissionFigures
from bench.submission import format_figures as format_submission
from bench.table import format_table
from bench.tessera import TesseraFigures, measure_tessera
from bench.tree import KeptTree
from bench.verifier import Cold, measure_cpu_rate, measure_parts
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


@pytest.mark.slow
def test_hashing_is_measured_beside_sha256_and_in_flat_memory(tmp_path: Path) -> None:
    hashing.make_large(tmp_path / "large", 4 << 20)
    hashing.make_small(tmp_path / "small", 5)
    rounds = [hashing.measure_round(tmp_path, 4 << 20, 5, lambda _: "left out")]
    table = hashing.format_rates(rounds)
    assert "BLAKE3: left out" in table
    told = dataclasses.replace(rounds[0], blake3=Took(1.0, 2.0), ceiling=Took(0.9, 0.9), many=Took(1.0, 1.0))
    assert (told.share(told.many), told.share_of_cpu(told.many)) == (0.9, 0.9)
    row = next(line for line in hashing.format_rates([told]).splitlines() if "our rate / its" in line)
    assert row.split()[-1] == "2.00"


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


def test_a_moment_lies_between_samples() -> None:
    samples = [(1.0, 0), (2.0, 10), (2.5, 10), (4.0, 40)]
    assert [moment_of(samples, count, 0.0) for count in (0, 5, 10, 25, 40)] == [0.0, 1.5, 2.0, 3.25, 4.0]
    with pytest.raises(ValueError, match="never were 41"):
        moment_of(samples, 41, 0.0)


def figures_of(samples: list[tuple[float, int]]) -> BulkFigures:
    result = BulkResult(0.0, samples[-1][0], 1.0, samples)
    return BulkFigures(samples[-1][1], 2, result, Tree(8.0, 10**8, 2 * 10**8, [10**8]), 10_000.0, [0.01], [0.0005])


def test_early_and_late_statements_are_compared() -> None:
    figures = figures_of([(float(second), 100 * second) for second in range(1, 6)] + [(15.0, 1000)])
    assert figures.windows == (range(100, 150), range(850, 900))
    assert figures.rate_in(range(100, 150)) == pytest.approx(100)
    assert figures.rate_in(range(850, 900)) == pytest.approx(50)
    assert figures.slowing == pytest.approx(2)


def test_answers_that_come_together_count_at_the_end_of_their_burst() -> None:
    samples = [(1.0, 1), (1.05, 5), (1.1, 10), (2.0, 11), (2.15, 12)]
    assert join_bursts(samples) == [(1.1, 10), (2.0, 11), (2.15, 12)]
    steady = [(count / 16, count) for count in range(33)]
    assert join_bursts(steady) == [(7 / 16, 7), (15 / 16, 15), (23 / 16, 23), (31 / 16, 31), (2.0, 32)]


def test_bulk_figures_are_told_beside_their_targets() -> None:
    figures = figures_of([(1.0, 100), (10.0, 1000)])
    told = format_bulk(figures, Peers(TesseraFigures(1000, 20.0, 2.0, 1.0), 5.0, 50.0))
    cells = {line[:51].strip(): line[51:].split() for line in told.splitlines()[2:]}
    assert cells["accepted in a second"] == ["100", "20,000"]
    assert cells["accepted / Tessera's"] == ["2.00", "1.00"]
    assert cells["accepted / those"] == ["20"]
    assert cells["accepted / those sent to anvil"] == ["2"]
    assert cells["accepted / recoveries"] == ["0.010", "0.400"]
    assert cells["memory of all its processes, peak, MB"] == ["200", "500"]
    assert "there is no Go here" in format_bulk(figures, Peers("there is no Go here", None, "no anvil"))


def test_ways_to_the_chain_are_told_beside_their_targets() -> None:
    told = format_submission(
        SubmissionFigures(
            outbox=400.0,
            flood=600.0,
            pure_python=IdiomRates(transact=10.0, pipelined=40.0),
            coincurve=IdiomRates(transact=20.0, pipelined=125.0),
            recovery=RecoveryFigures(10_000, 4.0),
            index=IndexFigures(100_000, 700, 4_000.0, 90.0),
        )
    )
    cells = {line[:43].strip(): line[43:].split() for line in told.splitlines()}
    assert cells["the durable outbox"] == ["400"]
    assert cells["web3.py, pipelined"] == ["40", "10.00", "8.00", "met"]
    assert cells["web3.py with coincurve, pipelined"] == ["125", "3.20", "4.00", "MISSED"]
    assert cells["flood of transactions signed ahead"] == ["600", "0.67", "0.60", "met"]
    assert "4.0     5.0     met" in told
    assert "4,000   5,000  MISSED" in told
    assert "90     200     met" in told


@pytest.mark.slow
def test_the_way_to_the_chain_is_measured(tmp_path: Path) -> None:
    with open_worlds(tmp_path, 2) as worlds:
        assert measure_web3(next(worlds), 1, 1, pure_python=False).pipelined > 0
        assert measure_outbox(next(worlds), 3) > 0
        assert measure_flood(next(worlds), 3) > 0
        assert measure_recovery(next(worlds), 3).rows == 3
        figures = measure_indexing(next(worlds), 4)
        assert (figures.events, figures.blocks > 0) == (4, True)


def test_answers_are_counted_wherever_they_are_cut() -> None:
    digest = "0x" + "ab" * 32
    raw = b"".join(b'{"line": %d, "digest": "%s", "index": %d}\n' % (n, digest.encode(), n) for n in range(9))
    raw += b'{"line": 9, "problem": {}}\n{"done": true, "lines": 10}\n'
    for size in (1, 7, 1000):
        counter = Counter()
        told = [counter.count(raw[first : first + size]) for first in range(0, len(raw), size)]
        assert sum(count for count, _ in told) == 9
        assert {found for _, found in told if found} == {digest}
        assert counter.last_line == b'{"done": true, "lines": 10}'
        assert counter.problem == b'{"line": 9, "problem": {}}'


def test_a_file_is_cut_between_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n22\n333\n4444\n5\n")
    assert cut_lines(tmp_path / "a", 4, 2) == [(0, 5), (5, 9)]
    assert cut_lines(tmp_path / "a", 5, 1) == [(0, 16)]
    with pytest.raises(ValueError, match="5 lines, not 6"):
        cut_lines(tmp_path / "a", 6, 1)


def test_a_process_counts_with_its_children() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        both = read_tree(process.pid)
        with watching_tree(process.pid) as watched:
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.wait()
    assert both is not None
    assert both.memory_bytes > 10**7
    assert both.cpu_s > 0
    assert watched.cpu_s == 0.0
    assert read_tree(process.pid) is None


def test_tessera_is_skipped_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tessera, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert measure_tessera(10) == "there is no Go here"
    (tmp_path / "go").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    (tmp_path / "go").chmod(0o755)
    assert measure_tessera(10) == "go install failed: broken"


@pytest.mark.slow
def test_the_verifiers_parts_are_measured() -> None:
    assert measure_parts(0.01, entries=64) > 0
    assert measure_cpu_rate(lambda: sum(range(100)), 0.01) > 0
    cold = Cold.measure(["-c", "pass"], starts=1)
    assert 0 < cold.cpu_s < 10
    assert cold.elapsed_s > 0


def kept_in(folder: Path) -> Prepared:
    return Prepared(**json.loads((folder / "prepared.json").read_bytes()))


@pytest.mark.slow
@pytest.mark.timeout(300)  # four processes after one another: founded, served, signed, served and loaded
def test_the_bulk_bench_runs_and_keeps_what_it_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bulk, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr("bench.proofs._RECEIPTS", 10)
    assert bulk.main(["--entries", "300", "--no-peers"]) == 0, capsys.readouterr()
    assert "accepted in a second" in capsys.readouterr().out
    assert (prepare(tmp_path / "bulk", 200), prepare(tmp_path / "bulk", 300)) == (kept_in(tmp_path / "bulk"),) * 2
    assert sorted(path.name for path in (tmp_path / "bulk").iterdir()) == [
        "home", "owners", "prepared.json", "service.log", "signed.ndjson",
    ]  # fmt: skip
    assert (tmp_path / "bulk").stat().st_mode & 0o077 == 0
    assert (tmp_path / "bulk" / "signed.ndjson").stat().st_size > 300 * 500


def test_what_hashing_and_ciphering_allow(tmp_path: Path) -> None:
    assert Ceiling(1000.0, 4000.0, 0.0).speed(4, 0) == pytest.approx(250)
    assert Ceiling(1000.0, 4000.0, 0.0).speed(3, 1) == pytest.approx(1 / 0.00325)
    found = measure_ceiling(tmp_path, buffers=1)
    assert min(found.hashed, found.enciphered, found.written) > 0
    assert list(tmp_path.iterdir()) == []
