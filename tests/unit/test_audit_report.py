"""The audit report: what it says of a story, for a period, a data set, a log; and that nothing in it can do harm."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ledger.errors import NotFoundError, UnavailableError
from ledger.evidence import Node, Verdict, build_bundle, parse_policy
from ledger.evidence.policy import PinnedLog
from ledger.evidence.signing import format_time
from ledger.log import NoteSigner
from ledger.types import Bytes32
from scripts.audit import Period, Request, Scope, find_chromium, print_pdf, read_audit, render_page
from scripts.audit.audit import _ranges
from scripts.audit.grants import name_rights
from scripts.audit.pieces import Role, find_files
from scripts.audit_report import main
from tests.support.audited import Story
from tests.support.content import flip_bit
from tests.support.evidence_node import serve_world
from tests.support.evidence_world import START

SCRIPT = Path(__file__).parents[2] / "scripts" / "audit_report.py"
FORMATS = Path(__file__).parents[1] / "vectors" / "formats"
DELIVERIES = Path(__file__).parents[1] / "vectors" / "delivery"
GENERATED = "2027-02-01T00:00:00Z"


class _Tags(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("audit"))


def request(story: Story, scope: Scope | None = None, **more: object) -> Request:
    raw = story.policy.read_bytes()
    sources, left_out = find_files([story.evidence], raw)
    return Request(parse_policy(raw), sources, scope or Scope(), left_out, **more)  # type: ignore[arg-type]  # as named


def run(story: Story, *arguments: object, out: Path) -> tuple[int, str]:
    code = main([*map(str, arguments), "--policy", str(story.policy), "--out", str(out), "--as-of", GENERATED])
    return code, out.read_text() if out.exists() else ""


def test_the_whole_story(story: Story) -> None:
    audit = read_audit(request(story, log=str(story.log)))
    assert (audit.verdict, audit.counts[Verdict.VERIFIED], len(audit.in_scope)) == (Verdict.VERIFIED, 7, 7)
    (found,) = audit.ranges
    assert (found.checkpoints, found.covered, found.shown, found.withheld) == (7, 7, 7, 0)
    assert audit.reading is not None
    assert (audit.reading.size, audit.reading.shown, audit.reading.findings, audit.reading.reason) == (7, 7, [], "")
    assert sorted(audit.reading.entries.values()) == [1, 6]
    assert len(audit.graph.nodes) == 2
    states = {each.state for each in audit.grants}
    assert states == {"data set retired", "revoked", "said, not shown in force"}
    revoked = next(each for each in audit.grants if each.state == "revoked")
    assert revoked.granted_at
    assert revoked.revoked_at == revoked.ends
    assert [end is not None for _, end in revoked.masked] == [True]
    said = next(each for each in audit.grants if each.granted_at is None)
    assert said.masked == ()


def test_the_page_is_whole_and_harmless(story: Story) -> None:
    page = render_page(read_audit(request(story, log=str(story.log))), title="<b>Board</b>", made_at=START)
    tags = _Tags(page)
    assert {"script", "link", "img", "iframe", "object", "b", "a"}.isdisjoint(tags.tags)
    assert not [name for name, value in tags.attributes if name.startswith("on") or name in {"src", "href"}]
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)", page)  # nothing is fetched from anywhere
    assert "url(" not in page
    assert "@import" not in page
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in tags.attributes
    for char in "\u202e\x1b\x00":
        assert char not in page
    assert "<script>" in tags.text
    assert "\\u202egnp.exe" in tags.text
    assert "(10,039 characters)" in tags.text
    assert "x" * 300 not in page
    for words in ("Lineage", "Grants over time", "What was not checked", "Every step", "Who is who"):
        assert words in tags.text
    assert parse_policy(story.policy.read_bytes()).sha256 in tags.text
    assert page.count(format_time(START)) >= 1
    assert "@page" in page


def test_the_same_inputs_make_the_same_page(story: Story, tmp_path: Path) -> None:
    first = run(story, story.evidence, "--log", story.log, out=tmp_path / "1.html")
    files = sorted(story.evidence.glob("*.json"), reverse=True)
    assert first[0] == 0
    assert run(story, *files, "--log", story.log, out=tmp_path / "2.html") == first


def test_a_data_set(story: Story) -> None:
    for name in ("utility/power", str(story.dataset)):
        audit = read_audit(request(story, Scope(dataset=name)))
        assert len(audit.in_scope) == 6
        assert {each.role for each in audit.pieces} == {Role.IN_SCOPE, Role.OUTSIDE}
    derived = read_audit(request(story, Scope(dataset="utility/derived")))
    assert [each.role for each in derived.pieces].count(Role.CONTEXT) == 1  # what it was derived from
    assert derived.grants == ()
    assert (derived.ranges[0].shown, derived.ranges[0].withheld) == (1, 0)
    with pytest.raises(NotFoundError, match="no evidence here registers"):
        read_audit(request(story, Scope(dataset="utility/none")))


def test_a_name_that_two_data_sets_bear_is_not_guessed(story: Story, tmp_path: Path) -> None:
    other = Story(tmp_path / "other", title="x")
    world = other.world
    metadata: dict[str, object] = {"provider": "utility", "slug": "power", "title": "another"}
    from ledger.content import scan_folder

    stated = world.register("analyst", 1, scan_folder(other.folder / "data").manifest, metadata=metadata)
    world.publish()
    (other.evidence / "9.json").write_bytes(other.prove(stated).to_bytes())
    other.policy.write_bytes(world.policy().to_bytes())
    for path in other.evidence.glob("[0-6]-*.json"):
        name = path.stem.partition("-")[2]
        path.write_bytes(other.prove(other.stated[name]).to_bytes())
    with pytest.raises(NotFoundError, match="2 data sets call themselves utility/power"):
        read_audit(request(other, Scope(dataset="utility/power")))


def test_a_period_is_half_open(story: Story) -> None:
    times = sorted(each.time or 0 for each in read_audit(request(story)).pieces)
    audit = read_audit(request(story, Scope(Period(times[1], times[3]))))
    assert [each.time for each in audit.in_scope] == times[1:3]
    assert "The period" not in render_page(audit)
    assert 'class="period"' in render_page(audit)
    empty = read_audit(request(story, Scope(Period(end=5))))
    assert (empty.verdict, empty.in_scope, empty.grants) == (Verdict.UNDETERMINED, (), ())
    page = render_page(empty)
    assert "No evidence that was given falls in this scope" in page
    assert "7 evidence files outside the scope" in page


def test_what_was_refuted_or_left_open_stands_first(story: Story, tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    shutil.copytree(story.evidence, folder)
    raw = (folder / "0-source.json").read_bytes()
    (folder / "0-source.json").write_bytes(raw.replace(b'"a.csv"', b'"b.csv"'))
    (folder / "broken.json").write_bytes(b"{")
    code, page = run(story, folder, "--from", "2027-01-01", out=tmp_path / "r.html")
    assert code == 1
    text = _Tags(page).text
    assert text.index("Findings") < text.index("Checkpoints and entries")
    assert "the manifest is not the registered one" in text
    assert "unreadable" in text
    assert "what stands in it could not be read" in text  # of no known time, hence of any period
    assert "is refuted (0-source.json)" in text  # what is derived from it falls with it
    other = Story(tmp_path / "other").world
    other.mine()
    (tmp_path / "other" / "policy.json").write_bytes(other.policy().to_bytes())
    later = Request(parse_policy(other.policy().to_bytes()), find_files([story.evidence], b"")[0])
    assert read_audit(later).verdict is Verdict.UNDETERMINED


def test_two_logs_of_one_origin_are_counted_apart(story: Story) -> None:
    """`CheckpointLog` gives each operator's log an id of its own, whatever its origin."""
    other = Bytes32(b"\x02" * 32)
    audit = read_audit(request(story))
    moved = [
        replace(each, anchored=replace(each.anchored, log=other)) if number % 2 and each.anchored else each
        for number, each in enumerate(audit.pieces)
    ]
    ranges = tuple(_ranges(moved, moved))
    assert {each.log for each in ranges} == {story.world.log_id, other}
    assert {each.origin for each in ranges} == {audit.ranges[0].origin}
    assert sum(each.shown for each in ranges) == audit.ranges[0].shown
    text = _Tags(render_page(replace(audit, ranges=ranges))).text
    assert str(other) in text
    assert str(other) not in _Tags(render_page(audit)).text


def test_the_log_that_is_read_is_the_one_whose_key_signed(story: Story) -> None:
    policy = parse_policy(story.policy.read_bytes())
    (log,) = policy.logs
    twin = PinnedLog(Bytes32(bytes(32)), log.origin, (NoteSigner(log.origin, b"\x07" * 32).verifier_key,))
    audit = read_audit(replace(request(story, log=str(story.log)), policy=replace(policy, logs=(twin, log))))
    assert audit.reading is not None
    assert (audit.reading.findings, audit.reading.reason, audit.reading.shown) == ([], "", 7)


def test_every_format_is_reported(tmp_path: Path) -> None:
    good = sorted(FORMATS.glob("*/good/*.json"))
    out = tmp_path / "r.html"
    policy = str(FORMATS / "policy.json")
    assert main([*map(str, good), "--policy", policy, "--out", str(out)]) == 0
    text = _Tags(out.read_text()).text
    assert "broken promise" in text
    assert "a log broke its promise (6 times)" in text
    assert "GrantAttested (event)" in text
    assert "lineage.json#1" in text
    assert "Verified: a log broke its promise" in text
    assert "origin gateway.example/log" in text  # an event without a statement is told by its members
    assert "what stands in it could not be read" not in text
    still_open = sorted(FORMATS.glob("*/open/*.json"))
    assert main([*map(str, still_open), "--policy", policy, "--out", str(out)]) == 2
    refuted = sorted(FORMATS.glob("*/*_fail/*.json"))
    assert main([*map(str, refuted), "--policy", policy, "--out", str(out)]) == 1


def test_a_key_that_a_provider_withheld_is_a_finding(tmp_path: Path) -> None:
    out, good = tmp_path / "r.html", sorted(DELIVERIES.glob("good/*.json"))
    assert main([*map(str, good), "--policy", str(DELIVERIES / "policy.json"), "--out", str(out)]) == 0
    text = _Tags(out.read_text()).text
    assert "Verified: a provider did not deliver a key" in text
    assert f"a provider did not deliver a key ({len(good)} times)" in text
    assert text.count("Key not delivered by a provider") >= len(good)


def test_every_kind_of_statement_is_put_in_words() -> None:
    """Over the evidence that the demo of each version left."""
    for kept in sorted(FORMATS.parent.glob("demo-*")):
        policy = (kept / "policy.json").read_bytes()
        sources, _ = find_files([kept / "evidence"], policy)
        audit = read_audit(Request(parse_policy(policy), sources))
        assert audit.verdict is Verdict.VERIFIED
        text = _Tags(render_page(audit)).text
        for words in (
            "approve: admit P4 steelworks",
            "analytics/charging, version 1, derived from steelworks/fleet@1, utility/power@2",
            "capacity between P5 utility, P4 steelworks; up to 1,200 MW.h",
            "of P5 utility: utility/power, version 1 and later ones: read, derive;",
        ):
            assert words in text


def test_a_bundle_says_what_its_members_say(story: Story, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(build_bundle([each.read_bytes() for each in story.evidence.glob("*.json")]))
    sources, _ = find_files([bundle], b"")
    audit = read_audit(Request(parse_policy(story.policy.read_bytes()), sources))
    assert len(audit.in_scope) == 7
    assert render_page(audit).count(audit.pieces[0].source.sha256) == 1


def test_a_log_that_departs_refutes(story: Story, tmp_path: Path) -> None:
    log = tmp_path / "log"
    shutil.copytree(story.log, log)
    bundle = max(log.glob("tile/entries/000.p/*"), key=lambda each: int(each.name))
    flip_bit(bundle, -1)
    audit = read_audit(request(story, log=str(log)))
    assert audit.verdict is Verdict.REFUTED
    assert "The log departs from its checkpoints" in render_page(audit)
    bundle.write_bytes(b"\xff")
    damaged = read_audit(request(story, log=str(log)))
    assert damaged.reading is not None
    assert damaged.reading.entries == {}
    missing = read_audit(request(story, log=str(tmp_path)))
    assert missing.verdict is Verdict.UNDETERMINED
    assert "could not be read to the end" in render_page(missing)
    (log / "checkpoint").write_bytes((story.log / "checkpoint").read_bytes().replace(b"\n7\n", b"\n6\n"))
    assert read_audit(request(story, log=str(log))).verdict is Verdict.REFUTED


def test_a_node_is_asked(story: Story) -> None:
    with serve_world(story.world) as url:
        audit = read_audit(request(story, node=Node(url)))
    assert audit.verdict is Verdict.VERIFIED
    assert "--rpc asks" not in render_page(audit)


def test_files_of_one_name_are_told_apart_and_policies_left_out(story: Story, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "evidence.json").write_bytes(name.encode())
    shutil.copy(story.policy, tmp_path / "a" / "policy.json")
    shutil.copy(FORMATS / "policy.json", tmp_path / "a" / "another.json")
    sources, left_out = find_files([tmp_path / "a", tmp_path / "b"], story.policy.read_bytes())
    assert [each.name for each in sources] == ["a/evidence.json", "b/evidence.json"]
    assert left_out == ["another.json (a policy)", "policy.json (a policy)"]


def test_usage(story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r.html"
    for arguments in (
        [tmp_path / "missing"],
        [story.evidence, "--from", "yesterday"],
        [story.evidence, "--from", "2027-01-01", "--until", "2027-01-01"],
        [story.evidence, "--dataset", "no/such"],
        [story.evidence, "--dataset", "0x12"],
        [story.evidence, "--rpc", "ftp://node"],
        [story.evidence, "--log", "ftp://log"],
    ):
        assert run(story, *arguments, out=out) == (3, "")
    assert main([str(story.evidence), "--policy", str(out)]) == 3
    out.write_bytes(b"{}")
    assert main([str(story.evidence), "--policy", str(out)]) == 3
    assert "is malformed" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        main([])
    assert refused.value.code == 3


def test_printing(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("scripts.audit.pdf._APPLICATIONS", ())
    pdf = tmp_path / "r.pdf"
    assert run(story, story.evidence, "--pdf", pdf, out=tmp_path / "r.html")[0] == 0
    assert "print it to PDF" in capsys.readouterr().err
    with pytest.raises(NotFoundError):
        find_chromium()
    browser = tmp_path / "chromium"
    browser.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write('no display')\nsys.exit(3)\n")
    browser.chmod(0o755)
    with pytest.raises(UnavailableError, match=r"printed nothing \(exit code 3\): no display"):
        print_pdf(find_chromium(), tmp_path / "r.html", pdf)
    with pytest.raises(UnavailableError, match="did not print"):
        print_pdf(str(tmp_path / "none"), tmp_path / "r.html", pdf)
    browser.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\n"
        "target = [each for each in sys.argv if each.startswith('--print-to-pdf=')][0].partition('=')[2]\n"
        "assert sys.argv[-1].startswith('file://')\npathlib.Path(target).write_bytes(b'%PDF-')\n"
    )
    assert run(story, story.evidence, "--pdf", pdf, out=tmp_path / "r.html")[0] == 0
    assert pdf.read_bytes() == b"%PDF-"
    assert f"printed to {pdf}" in capsys.readouterr().out


def test_rights() -> None:
    assert name_rights(0) == "none"
    assert name_rights(1 | 2 | 1 << 40) == "read, derive, 0x10000000000"


def test_as_a_process_with_the_verifiers_dependencies_alone(story: Story, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-I",
        "-X",
        "importtime",
        str(SCRIPT),
        str(story.evidence),
        "--policy",
        str(story.policy),
    ]
    done = subprocess.run(
        [*command, "--log", str(story.log)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert done.stdout.endswith("VERIFIED: 7 in scope (7 verified, 0 refuted, 0 undetermined)\n")
    assert (tmp_path / "audit-report.html").is_file()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert loaded.isdisjoint({"web3", "eth", "sqlalchemy", "fastapi", "httpx", "obstore", "pydantic", "typer", "rich"})
