"""The auditor's program: its lines, exit codes and JSON; as a function and as a process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.content import scan_folder
from ledger.evidence import parse_evidence
from ledger.log import TlogProof
from scripts.verify_provenance import main
from tests.support.evidence_node import serve_world
from tests.support.evidence_world import World
from tests.support.format_vectors import FOLDER as FORMATS
from tests.support.told import Told, tiles

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_provenance.py"


class Files:
    """Evidence, policy and data on disk."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        (self.data / "a.csv").write_bytes(b"1,2")
        self.world = World()
        stated = self.world.register("gateway", 1, scan_folder(self.data).manifest)
        self.world.publish()
        self.evidence = folder / "evidence.json"
        self.evidence.write_bytes(self.world.prove_stated(stated).to_bytes())
        self.refuted = folder / "refuted\x1b[31m.json"
        self.refuted.write_bytes(self.evidence.read_bytes()[:-1] + b" ")
        self.policy = folder / "policy.json"
        self.policy.write_bytes(self.world.policy().to_bytes())

    def run(self, *arguments: object) -> int:
        return main([*map(str, arguments), "--policy", str(self.policy)])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_verified(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.run(files.evidence, "--data", files.data) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"policy SHA-256 {files.world.policy().sha256}"
    assert [line.split()[0] for line in lines[3:15]] == [str(number) for number in range(1, 13)]
    assert lines[15] == "  VERIFIED"
    assert lines[16].startswith("  Participant 0x")
    assert len(lines) == 17


def test_refuted_and_undetermined(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    (files.data / "a.csv").write_bytes(b"1,3")
    assert files.run(files.evidence, "--data", files.data) == 1
    assert "  REFUTED\n  Refuted: step 11, data: a.csv differs in chunk 0" in capsys.readouterr().out
    (files.data / "a.csv").unlink()
    assert files.run(files.evidence, "--data", files.data) == 2
    assert "  UNDETERMINED\n" in capsys.readouterr().out


def test_several_files_have_a_summary(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.run(files.evidence, files.refuted) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    tail = out.splitlines()[-4:]
    assert tail[0] == "summary"
    assert tail[1].split()[:3] == ["verified", "DatasetRegistration", "gateway/power@1"]
    assert tail[2].split()[:2] == ["refuted", "unreadable"]
    assert tail[3] == "REFUTED: 2 evidence files"


def test_json(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.run(files.evidence, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["policy_sha256"] == files.world.policy().sha256
    assert document["verdict"] == "verified"
    assert len(document["reports"][0]["steps"]) == 12
    assert document["reports"][0]["sentence"].startswith("Participant")


def test_with_a_node(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    with serve_world(files.world) as url:
        assert files.run(files.evidence, "--rpc", url) == 0
    assert "the node 127.0.0.1" in capsys.readouterr().out


def test_usage_errors(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.run(files.evidence, "--rpc", "ftp://x") == 3
    assert files.run(files.evidence.parent / "none.json") == 3
    assert files.run("nul\0byte") == 3
    for arguments in (["--policy", "x"], ["x"], ["x", "--policy", "y", "--surplus"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 3
    files.policy.write_bytes(b"{}")
    assert files.run(files.evidence) == 3
    assert "is malformed" in capsys.readouterr().err
    files.policy.unlink()
    assert files.run(files.evidence) == 3


def test_output_without_reconfigure(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert files.run(files.evidence) == 0
    assert "VERIFIED" in out.getvalue()


def _process(files: Files, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments), "--policy", str(files.policy)]
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "LANG", "LC_ALL"}}
    return subprocess.run(
        command, cwd=files.data.parent, env=clean | environment, capture_output=True, timeout=120, check=False
    )


def test_as_a_process_on_a_poor_terminal(files: Files) -> None:
    odd = files.data.parent / "prüfung.json"
    odd.write_bytes(files.evidence.read_bytes())
    started = time.monotonic()
    result = _process(files, odd, PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"pr\\xfcfung.json" in result.stdout
    assert time.monotonic() - started < 10
    refuted = _process(files, files.refuted)
    assert (refuted.returncode, refuted.stderr) == (1, b"")


def test_a_reader_that_went_away(files: Files) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, str(SCRIPT), str(files.evidence), "--policy", str(files.policy)]
    result = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=120, check=False)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, b"")


def test_the_verifier_needs_no_service() -> None:
    probe = (
        "import sys; sys.argv=['x','--help']\n"
        "import scripts.verify_provenance\n"
        "heavy = {'web3', 'sqlalchemy', 'fastapi', 'httpx', 'obstore', 'pydantic', 'eth', 'typer', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe], cwd=SCRIPT.parents[1], capture_output=True, timeout=120, check=True
    )
    assert result.stdout.strip() == b"[]"


def ask(*arguments: object) -> int:
    return main([*map(str, arguments), "--policy", str(FORMATS / "policy.json")])


def test_permission_is_asked_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    late = FORMATS / "permission" / "late.json"
    assert ask(late, "--permitted") == 0
    assert "It was permitted from 2027-" in capsys.readouterr().out
    assert ask(late, "--permitted-at", "2027-01-15T08:01:45Z", "--right", "read", "--version", "2", "--json") == 0
    report = json.loads(capsys.readouterr().out)["reports"][0]
    assert report["claim"]["facts"]["revoked_at"] == "2027-01-15T08:02:40Z"
    after = (late, "--permitted-at", "2027-01-15T08:02:40Z")
    assert ask(*after) == 2
    assert "another grant may have" in capsys.readouterr().out
    assert ask(*after, "--grant", report["claim"]["facts"]["grant"]) == 1
    assert "another grant" not in capsys.readouterr().out
    assert ask(*after, "--grant", "0x" + "00" * 32) == 2
    for wrong in (
        "--right read", "--version 1", "--grant 0x00", "--permitted --grant 0x00", "--permitted --right use",
        "--permitted-at now",
    ):  # fmt: skip
        assert ask(late, *wrong.split()) == 3
    told = capsys.readouterr().err
    assert "--grant, --version and --right belong to" in told
    assert "no right is named 'use', only read" in told


def test_a_bundle_is_shown_as_a_tree(capsys: pytest.CaptureFixture[str]) -> None:
    bundle = FORMATS / "bundle" / "good" / "lineage.json"
    assert ask(bundle) == 0
    out = capsys.readouterr().out
    assert "\nlineage\n  verified: analytics/forecast@1 (" in out
    assert "\n     └─ verified: utility/power@1 (" in out
    assert "VERIFIED: 5 evidence files" in out
    assert ask(bundle, "--json") == 0
    lineage = json.loads(capsys.readouterr().out)["lineage"]
    assert [line["depth"] for line in lineage] == [0, 1]


def test_other_formats_are_named_in_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("breach/good/missed", "fork/good/fork", "event/good/log-opened", "breach/another-kind_fail/evidence")
    assert ask(*(FORMATS / f"{name}.json" for name in names)) == 1
    summary = capsys.readouterr().out.split("\nsummary\n")[1]
    assert [line.split()[1] for line in summary.splitlines()[:4]] == ["missed", "forked", "LogOpened", "unreadable"]


def test_an_inclusion_proof_is_exported(files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "entry.tlog-proof"
    assert files.run(files.evidence, "--export-tlog-proof", out) == 0
    assert TlogProof.parse(out.read_bytes()).index == parse_evidence(files.evidence.read_bytes()).log.index
    assert files.run(files.evidence, "--export-tlog-proof", tmp_path / "no" / "folder") == 3
    assert files.run(files.evidence, files.evidence, "--export-tlog-proof", out) == 3
    assert files.run(files.refuted, "--export-tlog-proof", out) == 3
    unsigned = tmp_path / "unsigned.json"
    evidence = parse_evidence(files.evidence.read_bytes())
    unsigned.write_bytes(replace(evidence, log=replace(evidence.log, checkpoint=b"none")).to_bytes())
    assert files.run(unsigned, "--export-tlog-proof", out) == 3
    assert "has no checkpoint to export" in capsys.readouterr().err


def test_old_evidence_is_linked_to_newer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told()
    log, old, newer, out = (tmp_path / name for name in ("log", "old.json", "newer.json", "out.json"))
    tiles(told.world.entries, log)
    (log / "checkpoint").write_bytes(told.story.last.note)
    old.write_bytes(told.world.prove_stated(told.story.registration).to_bytes())
    newer.write_bytes(told.world.prove_stated(told.story.tardy).to_bytes())
    assert ask(old, "--upgrade", newer, "--tiles", log, "--output", out) == 0
    assert "continues the one that covers it" in capsys.readouterr().out
    assert parse_evidence(out.read_bytes()).later is not None
    assert ask(newer, "--upgrade", old, "--tiles", log, "--output", out) == 3
    assert "no larger checkpoint" in capsys.readouterr().err
    assert ask(old, "--upgrade", out, "--tiles", log, "--output", out) == 0
    missing = ["--upgrade", tmp_path / "none", "--tiles", log, "--output", out]
    for wrong in (["--upgrade", newer], ["--tiles", log], missing):
        assert ask(old, *wrong) == 3
