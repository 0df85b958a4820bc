"""Every command of `concord` about membership and data, against a served consortium: what it prints and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.console import Console, draw_key_file
from tests.support.world import METADATA, Member, World, serving

NOBODY: Final = "0x" + "ab" * 32
TERMS: Final = ("--purpose", "ResearchAndDevelopment", "--until", "30d")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("concord")) as world:
        world.enroll("utility")
        world.enroll("factory")
        yield world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "raw").mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"plant,mwh\nA,1\n")
    (folder / "raw/b.csv").write_bytes(b"plant,mwh\nB,2\n")
    return folder


def test_import_keeps_the_document_and_replaces_another_only_when_told(concord: Console, tmp_path: Path) -> None:
    place = tmp_path / "consortium.json"
    told = concord.ok("chamber", "join", "import", place)
    assert f"chain {concord.world.founded.chain_id} imported to {place}" in told
    other = json.loads(place.read_bytes()) | {"chain_id": "7"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    concord.fail("chamber", 1, "holds another consortium", "join", "import", tmp_path / "other.json")
    answer = concord.answer("chamber", "join", "import", tmp_path / "other.json", "--replace")
    assert answer["chain_id"] == "7"
    assert len(answer["sha256"]) == 64


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (None, 4, "there is no file"),
        ("{", 3, "is not JSON"),
        ("[]", 3, "is not a JSON object"),
        ("{}", 3, "is no cons"),
    ],
)
def test_import_refuses_what_is_no_document(
    concord: Console, tmp_path: Path, text: str | None, code: int, words: str
) -> None:
    file = tmp_path / "wrong.json"
    if text is not None:
        file.write_text(text)
    concord.fail("chamber", code, words, "join", "import", file)


def test_an_enterprise_joins_by_its_own_keys(concord: Console, tmp_path: Path) -> None:
    control, signing = tmp_path / "control.key", tmp_path / "signing.key"
    draw_key_file(control)
    draw_key_file(signing)
    concord.patch.setenv("CONCORD_API_KEY", concord.world.api_key("apply"))
    filed = concord.run(
        "join", "request", "--control-key", control, "--signing-key", signing, "--handle", "mill", "--name", "The Mill",
        "--endpoint", "https://mill.example", "--did", "did:web:mill.example", "--json",
    )  # fmt: skip
    assert filed.code == 0, filed
    proposal = filed.json["digest"]
    assert filed.json["type"] == "ParticipantApplication"
    assert "mill" in concord.ok("chamber", "proposal", "list", "--state", "open")
    assert concord.answer("chamber", "proposal", "show", proposal)["state"] == "open"
    told = concord.ok("chamber", "proposal", "approve", proposal, "--control-key", concord.governor("chamber"))
    assert told.startswith("approved: 0x")
    concord.ok("regulator", "proposal", "approve", proposal, "--control-key", concord.governor("regulator"))
    assert "executed" in concord.ok("chamber", "proposal", "show", proposal)
    shown = concord.answer("chamber", "participant", "show", "mill")
    assert (shown["status"], shown["endpoint"]) == ("active", "https://mill.example")
    member_keys = concord.answer("chamber", "participant", "keys", "mill")
    assert {key["role"] for key in member_keys} == {"control", "signing"}


@pytest.mark.slow
def test_governors_reject_an_application(concord: Console) -> None:
    _member, applied = concord.world.apply("intruder", custodial=True)
    for handle in ("chamber", "regulator"):
        key = concord.governor(handle)
        told = concord.ok(handle, "proposal", "reject", applied.digest, "--control-key", key)
        assert told.startswith("rejected: 0x")
    assert concord.answer("chamber", "proposal", "show", applied.digest)["state"] == "rejected"
    key = concord.governor("datatrust")
    concord.be("datatrust")
    late = concord.run("proposal", "approve", applied.digest, "--control-key", key, "--json")
    assert late.code == 1
    assert late.problem["exit"] == 1
    assert late.problem["code"]


@pytest.mark.slow
def test_governors_suspend_and_reinstate(concord: Console) -> None:
    concord.world.enroll("sleeper")
    for decision, status in (("suspend", "suspended"), ("reinstate", "active")):
        key = concord.governor("chamber")
        concord.ok("chamber", "proposal", "propose", decision, "sleeper", "--control-key", key)
        (opened,) = concord.answer("chamber", "proposal", "list", "--state", "open")
        assert opened["decision"] == decision
        proposal = opened["id"]
        concord.ok("regulator", "proposal", "approve", proposal, "--control-key", concord.governor("regulator"))
        assert concord.answer("chamber", "participant", "show", "sleeper")["status"] == status
    bad = ("--control-key", concord.governor("chamber"), "--argument", "12")
    concord.fail("chamber", 3, "is no id", "proposal", "propose", "set-threshold", "chamber", *bad)


def test_participants_are_listed_and_shown(concord: Console) -> None:
    listed = concord.ok("chamber", "participant", "list", "--state", "active", "--text", "utility")
    assert listed.splitlines()[0].split() == ["HANDLE", "NAME", "STATE", "GOVERNOR", "ID"]
    assert "Utility" in listed
    assert concord.ok("chamber", "participant", "list", "--text", "nobody-is-called-so") == "none\n"
    assert [each["handle"] for each in concord.answer("chamber", "participant", "list", "--text", "factory")] == [
        "factory"
    ]
    assert "control_key:" in concord.ok("chamber", "participant", "show", "utility")
    assert "signing" in concord.ok("chamber", "participant", "keys", "utility")
    concord.fail("chamber", 4, "nobody", "participant", "show", "nobody")


@pytest.mark.slow
def test_a_member_changes_its_profile_and_keys_and_leaves(concord: Console, tmp_path: Path) -> None:
    leaver = concord.world.enroll("leaver")
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"handle": "leaver", "name": "Leaver & Sons"}))
    assert "profile updated" in concord.ok(leaver, "participant", "update-profile", profile, "--wait", "final")
    assert concord.answer(leaver, "participant", "show", "leaver")["name"] == "Leaver & Sons"
    control = concord.key_file(leaver.control, "leaver-control")
    added, chief = tmp_path / "added.key", tmp_path / "chief.key"
    address = draw_key_file(added).address
    draw_key_file(chief)
    concord.ok(leaver, "participant", "add-key", "--control-key", control, "--new-key", added)
    assert str(address) in {key["key"] for key in concord.answer(leaver, "participant", "keys", "leaver")}
    concord.ok(leaver, "participant", "revoke-key", str(address).upper().replace("0X", "0x"), "--control-key", control)
    concord.fail(leaver, 3, "is no address", "participant", "revoke-key", "0x12", "--control-key", control)
    concord.ok(leaver, "participant", "rotate-control-key", "--control-key", control, "--new-key", chief)
    assert "participant retired" in concord.ok(leaver, "participant", "retire", "--control-key", chief)
    assert concord.answer("chamber", "participant", "show", "leaver")["status"] == "retired"


def test_keys_are_drawn_once_and_opened_with_their_passphrase(concord: Console, tmp_path: Path) -> None:
    file = tmp_path / "new.key"
    drawn = concord.answer("chamber", "key", "new", file)
    assert concord.ok("chamber", "key", "show", file) == drawn["address"] + "\n"
    concord.fail("chamber", 1, "is not overwritten", "key", "new", file)
    concord.fail("chamber", 4, "there is no folder", "key", "new", tmp_path / "nowhere/new.key")
    concord.fail("chamber", 3, "is a folder", "key", "new", tmp_path)
    concord.fail("chamber", 4, "there is no key file", "key", "show", tmp_path / "none.key")
    concord.patch.setenv("CONCORD_PASSPHRASE", "another one")
    concord.fail("chamber", 4, "passphrase", "key", "show", file)
    concord.patch.setenv("CONCORD_PASSPHRASE", "")
    concord.fail("chamber", 3, "CONCORD_PASSPHRASE is empty", "key", "show", file)
    concord.patch.delenv("CONCORD_PASSPHRASE")
    concord.fail("chamber", 3, "set CONCORD_PASSPHRASE", "key", "show", file)


def test_a_key_without_the_consortium_signs_nothing(concord: Console, utility: Member, tmp_path: Path) -> None:
    concord.patch.setenv("CONCORD_CONSORTIUM", str(tmp_path / "none.json"))
    concord.fail(utility, 4, "run `concord join import` first", "request", "factory/x", *TERMS)


def test_a_dataset_is_registered_found_and_downloaded(concord: Console, utility: Member, folder: Path) -> None:
    metadata = folder.parent / "metadata.json"
    metadata.write_text(json.dumps(METADATA))
    name = "utility/power"
    register = ("dataset", "register", folder, name, "--metadata", metadata)
    evidence = folder.parent / "evidence.json"
    told = concord.ok(utility, *register, "--evidence", evidence, "--expect", 1, "--wait", "final", "--keyword", "grid")
    assert told.startswith("registered utility/power@1: 0x")
    assert evidence.stat().st_size > 1000
    assert concord.ok(utility, *register, "--if-changed", "--keyword", "grid") == "unchanged: version 1\n"
    assert concord.answer(utility, "dataset", "register", folder, name, "--if-changed")["state"] == "unchanged"
    (folder / "a.csv").write_bytes(b"plant,mwh\nA,3\n")
    second = concord.answer(utility, "dataset", "register", folder, name, "--if-changed", "--parent", f"{name}@1")
    assert second["ids"]["version"] == "2"
    concord.ok(utility, "statement", "show", second["digest"], "--wait", "final")
    assert "power" in concord.ok(utility, "dataset", "list", "--provider", "utility", "--text", "power")
    assert concord.answer(utility, "dataset", "show", name)["latest_version"] == 2
    assert concord.answer(utility, "dataset", "show", f"{name}@1")["metadata"]["keywords"] == ["grid"]
    assert len(concord.answer(utility, "dataset", "versions", name)) == 2
    assert "REGISTRATION" in concord.ok(utility, "dataset", "versions", name)
    assert [line.split()[0] for line in concord.ok(utility, "dataset", "lineage", name).splitlines()] == [
        f"{name}@2", f"{name}@1"
    ]  # fmt: skip
    got = folder.parent / "got"
    told = concord.ok(utility, "dataset", "get", name, got)
    assert "2 files, 28 bytes, all as registered" in told
    assert (got / "raw/b.csv").read_bytes() == (folder / "raw/b.csv").read_bytes()
    assert concord.answer(utility, "dataset", "get", name, got)["files"] == 2
    concord.fail(utility, 1, "give --replace", "dataset", "get", f"{name}@1", got)
    concord.ok(utility, "dataset", "get", f"{name}@1", got, "--replace")
    assert (got / "a.csv").read_bytes() == b"plant,mwh\nA,1\n"


def test_a_dataset_is_retired_once(concord: Console, utility: Member, folder: Path) -> None:
    concord.ok(utility, "dataset", "register", folder / "a.csv", "utility/old", "--wait", "final")
    assert concord.ok(utility, "dataset", "retire", "utility/old").startswith("retired utility/old: 0x")
    assert concord.ok(utility, "dataset", "retire", "utility/old").startswith("retired already: 2")
    assert concord.answer(utility, "dataset", "retire", "utility/old")["state"] == "retired"
    assert "old" in concord.ok(utility, "dataset", "list", "--state", "retired")


def test_what_can_not_be_registered_or_found(concord: Console, utility: Member, factory: Member, folder: Path) -> None:
    register = ("dataset", "register", folder)
    concord.fail(utility, 3, "name the dataset as provider/slug", *register, "power")
    concord.fail(utility, 4, "there is no file or folder", "dataset", "register", folder / "none", "utility/x")
    concord.fail(utility, 1, "your API key is not factory's", *register, "factory/x")
    concord.fail(utility, 3, "names no version", *register, "utility/x", "--parent", "utility/power@zero")
    concord.fail(utility, 4, "there is no policy", *register, "utility/x", "--policy", folder / "none")
    concord.fail(utility, 3, "is no policy", *register, "utility/x", "--policy", folder / "a.csv")
    concord.fail(utility, 4, "there is no folder", *register, "utility/x", "--evidence", folder / "none/e")
    concord.fail(utility, 4, "", "dataset", "show", "utility/none")
    concord.fail(utility, 3, "names no version", "dataset", "show", "utility/none@latest")
    concord.fail(factory, 4, "", "dataset", "get", "utility/none@1", folder)


def test_access_is_asked_for_granted_used_and_revoked(
    concord: Console, utility: Member, factory: Member, folder: Path
) -> None:
    concord.ok(utility, "dataset", "register", folder, "utility/wind", "--wait", "final")
    asked = concord.answer(factory, "request", "utility/wind", *TERMS, "--right", "read", "--right", "derive")
    digest = asked["digest"]
    assert "factory" in concord.ok(utility, "requests", "--role", "provider", "--state", "open")
    assert concord.answer(utility, "requests", digest)["state"] == "open"
    concord.fail(factory, 4, "`concord request` asks for access", "dataset", "get", "utility/wind@1", folder / "got")
    granted = concord.answer(utility, "grant", "request", digest)["digest"]
    assert concord.ok(utility, "grant", "request", digest) == f"granted already: {granted}\n"
    assert "active" in concord.ok(factory, "grant", "list", "--role", "consumer", "--dataset", "utility/wind")
    assert concord.answer(factory, "grant", "show", granted)["state"] == "active"
    concord.ok(factory, "dataset", "get", "utility/wind", folder / "got", "--grant", granted)
    concord.fail(factory, 1, "who alone can revoke it", "revoke", granted)
    other = concord.answer(utility, "grant", "give", "utility/wind", "factory", *TERMS, "--from", "2026-01-01")[
        "digest"
    ]
    concord.be(utility)
    revoked = concord.run("revoke", granted)
    assert revoked.code == 0
    assert f"another grant still permits factory the same dataset: {other}" in revoked.err
    assert concord.ok(utility, "revoke", granted).startswith("revoked already: 0x")
    assert concord.ok(utility, "revoke", other).startswith("revoked: 0x")
    concord.be(factory)
    refused = concord.run("--json", "dataset", "get", "utility/wind@1", folder / "late")
    assert refused.code == 4
    assert refused.problem["code"] in ("grant-revoked", "no-grant")


@pytest.mark.slow
def test_a_request_is_denied(concord: Console, utility: Member, factory: Member, folder: Path) -> None:
    concord.ok(utility, "dataset", "register", folder, "utility/sun", "--wait", "final")
    digest = concord.answer(factory, "request", "utility/sun", *TERMS, "--wait", "final")["digest"]
    assert concord.ok(utility, "grant", "deny", digest, "--reason", "not yet").startswith("denied: 0x")
    assert concord.answer(factory, "requests", digest)["state"] == "denied"
    concord.fail(factory, 3, "is no time", "request", "utility/sun", "--purpose", "x", "--until", "tomorrow")
    concord.fail(utility, 4, "", "grant", "show", NOBODY)
    concord.fail(utility, 4, "", "requests", NOBODY)
