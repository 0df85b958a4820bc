"""A log rebuilt from its entries: what is wrong is found, at its index, and nothing else is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.evidence.policy import PinnedLog
from ledger.log import NoteSigner, Sequencer, TileReader
from ledger.log.fsck import Anchor, Finding, LogCheck, SecondRoots
from ledger.log.mirror import Mirror
from ledger.log.tiles import encode_bundle
from ledger.types import Bytes32
from scripts.fsck import _duration, _parser, _print, _progress, _Result, main
from tests.support.content import flip_bit
from tests.support.evidence_node import serve_world
from tests.support.evidence_world import World
from tests.support.log import ANCHOR_BY, ORIGIN, MemoryCheckpointStore, entries_of, open_log

SCRIPT = Path(__file__).parents[2] / "scripts" / "fsck.py"
COUNT = 256 * 256 + 300
ENTRIES = entries_of("checked", COUNT)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fsck") / "log"
    with open_log(folder, MemoryCheckpointStore()) as log:
        log.append(ENTRIES[:1000])
        log.append(ENTRIES[1000:])
    return folder


class Copy:
    """The log's files, of which some are changed or missing."""

    def __init__(self, folder: Path) -> None:
        self.mirror = Mirror(str(folder))
        self.reader = TileReader(folder)
        self.changed: dict[str, bytes | None] = {}
        self.anchors = [Anchor(f"checkpoint {size}", size, self.reader.root(size)) for size in (1, 1000, 30_000, COUNT)]
        self.stated: list[bytes | None] = list(ENTRIES)

    def flip(self, path: str, at: int) -> None:
        raw = bytearray(self.mirror.fetch(path) or b"")
        raw[at] ^= 1
        self.changed[path] = bytes(raw)

    def check(self, *, states: bool = True) -> list[Finding]:
        stated = (lambda first, count: self.stated[first : first + count]) if states else None
        done: list[int] = []
        changed = self.changed
        check = LogCheck(
            lambda tile: changed[tile.path] if tile.path in changed else self.mirror.fetch_tile(tile),
            COUNT,
            self.anchors,
            stated,
            done.append,
        )
        found = list(check.run())
        assert done == sorted(done)
        return found


@pytest.fixture
def copy(original: Path) -> Copy:
    return Copy(original)


def brief(findings: list[Finding]) -> list[tuple[str, int | None]]:
    return [(each.kind, each.index) for each in findings]


def test_nothing_is_wrong(copy: Copy) -> None:
    assert copy.check() == []


def without_bundle(copy: Copy) -> None:
    copy.changed["tile/entries/003"] = None


def with_damaged_bundle(copy: Copy) -> None:
    copy.changed["tile/entries/003"] = b"\xff\xff"


def with_other_entry(copy: Copy) -> None:
    entries = ENTRIES[768:1024]
    copy.changed["tile/entries/003"] = encode_bundle([*entries[:2], b"swapped in", *entries[3:]])


def with_leaf_changed(copy: Copy) -> None:
    copy.flip("tile/0/001", 32 * 5)


def with_upper_hash_changed(copy: Copy) -> None:
    copy.flip("tile/1/000", 32 * 7)


def without_top_tile(copy: Copy) -> None:
    copy.changed["tile/2/000.p/1"] = None
    copy.changed["tile/2/000"] = None


def with_longer_tile(copy: Copy) -> None:
    copy.changed["tile/2/000.p/1"] = (copy.mirror.fetch("tile/2/000.p/1") or b"") + b"more"


def with_other_statement(copy: Copy) -> None:
    copy.stated[300] = b"another"


def without_statement(copy: Copy) -> None:
    copy.stated[65_800] = None


def with_another_anchor(copy: Copy) -> None:
    copy.anchors[2:3] = [Anchor("a checkpoint", 20_000, bytes(32)), Anchor("a checkpoint", 20_001, bytes(32))]


def with_anchor_ahead(copy: Copy) -> None:
    copy.anchors.append(Anchor("a checkpoint", COUNT + 1, bytes(32)))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (without_bundle, [("bundle", 768)]),
        (with_damaged_bundle, [("bundle", 768)]),
        (with_other_entry, [("entry", 770), ("tile", 770), ("root", 770)]),
        (with_leaf_changed, [("tile", 261)]),
        (with_upper_hash_changed, [("tile", 7 * 256)]),
        (without_top_tile, [("tile", 0)]),
        (with_longer_tile, [("tile", 0)]),
        (with_other_statement, [("entry", 300)]),
        (without_statement, [("statement", 65_800)]),
        (with_another_anchor, [("root", 1000)]),
        (with_anchor_ahead, [("behind", COUNT)]),
    ],
)
def test_what_is_wrong(copy: Copy, damage: Callable[[Copy], None], expected: list[tuple[str, int]]) -> None:
    damage(copy)
    assert brief(copy.check()) == expected


def test_which_side_hashes_to_the_checkpoint_is_said(copy: Copy) -> None:
    with_other_entry(copy)
    assert copy.check()[-1].message.endswith("they part at index 770; the stored statements do hash to it")
    copy.stated[5] = b"also changed"
    assert copy.check()[-1].message.endswith("compare the log with a mirror")


def test_without_statements_a_missing_bundle_ends_it(copy: Copy) -> None:
    without_bundle(copy)
    assert brief(copy.check(states=False)) == [("bundle", 768), ("bundle", 768)]
    copy.stated[770] = None  # nor can the bundle be made from statements that are not all there
    assert brief(copy.check()) == [("bundle", 768), ("bundle", 768)]


def test_second_roots() -> None:
    one, two = b"\x01" * 32, b"\x02" * 32
    with SecondRoots() as roots:
        roots.add(1, one, 1, bytes(32))
        roots.add(2, one, 1, bytes(32))
        roots.add(3, one, 2, two)
        roots.add(6, two, 1, one)
        roots.add(4, one, 1, two)
        assert brief(list(roots.find())) == [("second-root", 4)]


def test_anchors_may_come_in_order_one_by_one(copy: Copy) -> None:
    check = LogCheck(
        copy.mirror.fetch_tile, COUNT, (Anchor("each", size, copy.reader.root(size)) for size in range(1, 600))
    )
    assert list(check.run()) == []
    wrong = iter(
        [Anchor("each", 10, copy.reader.root(10)), Anchor("each", 11, bytes(32)), Anchor("late", COUNT + 5, b"")]
    )
    found = list(LogCheck(copy.mirror.fetch_tile, COUNT, wrong).run())
    assert brief(found) == [("root", 10), ("behind", COUNT)]


class Audited:
    """A world whose log lies in a folder, with two checkpoints on chain."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.log, self.policy = folder / "log", folder / "policy.json"
        with Sequencer.open(self.log, self.world.signer, MemoryCheckpointStore(), anchor_by=lambda: ANCHOR_BY) as log:
            for entry in entries_of("entry", 2):
                self.world.entries.append(entry)
                log.append([entry])
                self.world.publish()
        self.policy.write_bytes(self.world.policy().to_bytes())
        self.arguments = ["--log", str(self.log), "--policy", str(self.policy)]

    def run(self, *arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
        code = main([*self.arguments, *map(str, arguments), "--json"])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else {}


@pytest.fixture
def audited(tmp_path: Path) -> Audited:
    return Audited(tmp_path)


def test_a_mirror_without_and_with_a_node(audited: Audited, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = audited.run(capsys=capsys)
    assert (code, answer["verdict"], answer["size"], answer["checkpoints_on_chain"]) == (0, "clean", 2, 0)
    assert any("--rpc" in line for line in answer["not_checked"])
    with serve_world(audited.world) as url:
        code, answer = audited.run("--rpc", url, capsys=capsys)
        assert (code, answer["checkpoints_on_chain"]) == (0, 2)
        assert [line.partition(" ")[0] for line in answer["not_checked"]] == ["statements"]
        audited.world.entries.append(b"never in the folder")
        audited.world.publish()
        code, answer = audited.run("--rpc", url, capsys=capsys)
        assert (code, answer["verdict"], answer["first_divergence"]) == (1, "findings", 2)
        assert main([*audited.arguments, "--rpc", url]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "log gateway.example/log, 2 entries, 3 checkpoints on chain, 0 data files"
    assert lines[1:3] == [
        "first divergence: index 2",
        "  behind: the log has 2 entries, the checkpoint on chain 3: this is an old copy",
    ]
    assert lines[-1] == "FINDINGS"


def test_a_damaged_mirror(audited: Audited, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = audited.log / "tile/entries/000.p/2"
    flip_bit(bundle, -1)
    code, answer = audited.run(capsys=capsys)
    assert (code, answer["first_divergence"]) == (1, 1)
    assert {each["kind"] for each in answer["findings"]} == {"tile", "root"}


def test_many_findings_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    result = _Result(origin="log")
    result.add(Finding("file", "x") for _ in range(60))
    _print(1, result, as_json=False)
    assert "  and 10 more (--json lists 60)" in capsys.readouterr().out


def test_undetermined_and_usage(audited: Audited, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = audited.run("--rpc", "http://127.0.0.1:9", capsys=capsys)
    assert (code, answer["verdict"]) == (2, "undetermined")
    assert "does not answer" in answer["reason"]
    assert main([*audited.arguments, "--rpc", "http://127.0.0.1:9"]) == 2
    assert "could not find out: " in capsys.readouterr().out
    other = tmp_path / "other"
    with open_log(other, MemoryCheckpointStore()) as log:
        log.append([b"one"])
    assert main(["--log", str(other), "--policy", str(audited.policy)]) == 2  # another key
    assert main(["--log", str(tmp_path), "--policy", str(audited.policy)]) == 2
    for arguments in (
        ["--log", str(audited.log)],
        [*audited.arguments, "--database", "sqlite:///x"],
        [*audited.arguments, "--rpc", "ftp://node"],
        ["--log", "ftp://log", "--policy", str(audited.policy)],
        ["--log", str(audited.log), "--policy", str(tmp_path / "missing")],
        ["--home", str(tmp_path)],
    ):
        assert main(arguments) == 3, arguments
    with pytest.raises(SystemExit) as refused:
        main([])
    assert refused.value.code == 3


def test_a_home_without_the_services_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ledger.exchange.home_check", None)
    assert main(["--home", str(tmp_path)]) == 3
    assert "--home needs the service's packages" in capsys.readouterr().err


def test_progress_on_a_terminal(
    audited: Audited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    show = _progress(_parser().parse_args(audited.arguments), "entries", 10_000_000)
    show(1)
    show(2)  # too soon after the last one
    show(10_000_000)
    first, last = re.findall(r"\r([^\r\n]+)", capsys.readouterr().err)
    assert re.match(r"1 of 10,000,000 entries, [\d,]+ a second, .*(?:min|s) left", first)
    assert re.match(r"10,000,000 of 10,000,000 entries, [\d,]+ a second +$", last)
    assert [_duration(each) for each in (5, 61, 7300)] == ["0 min 5 s", "1 min 1 s", "2 h 1 min"]


def test_as_a_process_with_the_verifiers_dependencies_alone(audited: Audited) -> None:
    command = [sys.executable, "-I", "-X", "importtime", str(SCRIPT), *audited.arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert done.stdout.endswith("CLEAN\n")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert loaded.isdisjoint({"web3", "eth", "sqlalchemy", "fastapi", "httpx", "obstore", "pydantic", "typer", "rich"})


def test_of_two_logs_of_one_origin_each_is_known_by_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = World().policy()
    signers = [NoteSigner(ORIGIN, bytes([number]) * 32) for number in (1, 2, 3)]
    logs = [
        PinnedLog(Bytes32(bytes([number]) * 32), ORIGIN, (signer.verifier_key,))
        for number, signer in enumerate(signers[:2], start=1)
    ]
    (tmp_path / "policy.json").write_bytes(replace(policy, logs=tuple(logs)).to_bytes())
    for number, (signer, code) in enumerate(zip(signers, (0, 0, 2), strict=True)):
        folder = tmp_path / str(number)
        with Sequencer.open(folder, signer, MemoryCheckpointStore(), anchor_by=lambda: ANCHOR_BY) as log:
            log.append(entries_of(str(number), 3))
        assert main(["--log", str(folder), "--policy", str(tmp_path / "policy.json")]) == code
    assert "none of them signed this checkpoint" in capsys.readouterr().out
