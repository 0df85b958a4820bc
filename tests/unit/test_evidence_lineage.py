"""Several evidence files: lineage parent by parent, and whose data lie where."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger.content import scan_folder
from ledger.evidence import Outcome, Report, Verdict, Verifier, format_sentence, summarize, verify_all
from ledger.evidence.tree import draw_lineage
from ledger.statements import compute_dataset_id
from tests.support.evidence_world import Stated, World, salt


class Family:
    """Three data sets: water and power by two providers, and their child."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.world = world = World()
        for seed, handle in enumerate(("utility", "maker", "analytics"), start=2):
            world.admit(handle, seed)
        self.power = self._register("utility", "power", [])
        self.water = self._register("maker", "water", [])
        self.child = self._register("analytics", "joined", [self.power, self.water])
        self.grandchild = self._register("analytics", "again", [self.child])
        world.publish()
        self.files = {
            name: world.prove_stated(getattr(self, name)).to_bytes()
            for name in ("power", "water", "child", "grandchild")
        }
        self.verifier = Verifier(world.policy())

    def _register(self, handle: str, slug: str, parents: list[Stated]) -> Stated:
        folder = self.data / handle / f"{slug}@1"
        folder.mkdir(parents=True)
        (folder / "rows.csv").write_text(slug)
        named = [self.parent(stated) for stated in parents]
        return self.world.register(handle, 1, scan_folder(folder).manifest, parents=named, slug=slug)

    def parent(self, stated: Stated, **changes: Any) -> dict[str, Any]:
        dataset = compute_dataset_id(stated.statement.participant, salt(40))
        digest = stated.statement.digest(self.world.domains)
        return {"dataset": dataset, "version": 1, "registration": digest} | changes

    def verify(self, *names: str, data: Path | None = None, **files: bytes) -> dict[str, Report]:
        chosen = [(name, self.files[name]) for name in names] + list(files.items())
        reports = verify_all(self.verifier, chosen, data)
        assert [report.source for report in reports] == [name for name, _ in chosen]
        return {report.source: report for report in reports}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family(tmp_path_factory.mktemp("family"))


def lineage(report: Report) -> Outcome:
    return report.steps[11].outcome


def tampered(raw: bytes) -> bytes:
    at = raw.index(b'"signature":"0x') + 20
    return raw[:at] + (b"1" if raw[at : at + 1] != b"1" else b"2") + raw[at + 1 :]


def test_a_whole_family_in_any_order(family: Family) -> None:
    for names in (("power", "water", "child", "grandchild"), ("grandchild", "child", "water", "power")):
        reports = family.verify(*names)
        assert {report.verdict for report in reports.values()} == {Verdict.VERIFIED}
        assert lineage(reports["child"]) is lineage(reports["grandchild"]) is Outcome.PASS
        assert lineage(reports["power"]) is Outcome.NOT_APPLICABLE


def test_a_parent_that_is_not_given_is_named(family: Family) -> None:
    report = family.verify("child", "power")["child"]
    assert report.verdict is Verdict.VERIFIED
    assert lineage(report) is Outcome.NOT_CHECKED
    assert str(family.water.statement.digest(family.world.domains)) in format_sentence(report)
    alone = family.verifier.verify(family.files["child"])
    assert "2 parents, whose evidence was not given" in format_sentence(alone)


def test_a_refuted_parent_refutes_its_descendants(family: Family) -> None:
    reports = family.verify("child", "grandchild", "water", power=tampered(family.files["power"]))
    assert lineage(reports["child"]) is lineage(reports["grandchild"]) is Outcome.FAIL
    assert reports["water"].verdict is Verdict.VERIFIED


def test_junk_with_a_parents_text_says_nothing_against_it(family: Family) -> None:
    reports = family.verify("power", "child", "water", junk=tampered(family.files["power"]))
    assert reports["child"].verdict is Verdict.VERIFIED
    assert "junk" not in reports["child"].steps[11].detail
    assert reports["junk"].verdict is summarize(tuple(reports.values())) is Verdict.REFUTED
    lines = {line.digest: line for line in draw_lineage(tuple(reports.values()))}
    line = lines[family.power.statement.digest(family.world.domains)]
    assert (line.verdict, line.sources) == (Verdict.VERIFIED, ("power", "junk"))


def test_an_undetermined_parent_leaves_it_open(family: Family) -> None:
    family.world.mine()
    later = family.world.prove_stated(family.power)  # under a pin that the policy does not know
    reports = family.verify("child", "water", power=later.to_bytes())
    assert reports["power"].verdict is Verdict.UNDETERMINED
    assert reports["child"].verdict is Verdict.UNDETERMINED
    assert summarize(tuple(reports.values())) is Verdict.UNDETERMINED


def test_a_parent_that_is_another_statement(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    world = World()
    first = world.register("gateway", 1, scan_folder(tmp_path).manifest)
    other = world.state("gateway", "DatasetRetirement", datasetSalt=salt(40))
    dataset = compute_dataset_id(first.statement.participant, salt(40))
    for stated, named in ((first, {"dataset": dataset, "version": 2}), (other, {"dataset": dataset, "version": 1})):
        parent = named | {"registration": stated.statement.digest(world.domains)}
        child = world.register("gateway", 3, scan_folder(tmp_path).manifest, parents=[parent])
        world.publish()
        files = [(name, world.prove_stated(each).to_bytes()) for name, each in (("child", child), ("parent", stated))]
        reports = verify_all(Verifier(world.policy()), files)
        assert lineage(reports[0]) is Outcome.FAIL
        assert "is no registration of" in reports[0].steps[11].detail


def test_malformed_files_among_others(family: Family) -> None:
    nameless = family.files["power"].replace(b'"version":"1"', b'"wersion":"1"')
    reports = family.verify("child", broken=b"{}", nameless=nameless, data=family.data)
    assert reports["broken"].verdict is reports["nameless"].verdict is Verdict.REFUTED
    assert reports["child"].steps[10].outcome is Outcome.PASS


def test_data_of_several(family: Family) -> None:
    reports = family.verify("power", "water", "child", data=family.data)
    assert all(report.steps[10].outcome is Outcome.PASS for report in reports.values())
    missing = family.verify("power", "water", data=family.data / "utility")
    assert all(report.steps[10].leaves_open for report in missing.values())


def test_data_of_one(family: Family, tmp_path: Path) -> None:
    for data in (family.data, family.data / "utility", family.data / "utility" / "power@1"):
        assert family.verify("power", data=data)["power"].steps[10].outcome is Outcome.PASS
    file = family.data / "utility" / "power@1" / "rows.csv"
    assert family.verify("power", data=file)["power"].steps[10].outcome is Outcome.PASS
    assert family.verify("power", data=tmp_path / "nowhere")["power"].steps[10].leaves_open
    assert family.verify("power", data=tmp_path)["power"].steps[10].leaves_open


def test_data_in_a_folder_that_can_not_be_looked_at(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    assert family.verify("power", data=tmp_path)["power"].steps[10].leaves_open


def test_data_whose_registration_has_no_names(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a").write_bytes(b"a")
    world = World()
    stated = world.register("gateway", 1, scan_folder(folder).manifest, metadata={"slug": "../..", "provider": "x"})
    world.publish()
    files = [("a", world.prove_stated(stated).to_bytes())]
    verifier = Verifier(world.policy())
    assert verify_all(verifier, files, folder)[0].steps[10].outcome is Outcome.PASS
    dataset = compute_dataset_id(stated.statement.participant, salt(40))
    shutil.copytree(folder, tmp_path / "all" / f"{dataset}@1")
    assert verify_all(verifier, files, tmp_path / "all")[0].steps[10].outcome is Outcome.PASS
