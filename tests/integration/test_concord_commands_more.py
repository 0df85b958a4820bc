"""Commands of `concord` about agreements, proofs, API keys and founding: what they print and how they end."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.console import Console
from tests.support.world import Member, World, serving

NOBODY: Final = "0x" + "ab" * 32
PERIOD: Final = ("--from", "2026-11-01T00:00:00Z", "--until", "2026-11-02")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("concord")) as world:
        world.register(world.enroll("utility"), "power", {"a.csv": b"plant,mwh\nA,1\n"})
        world.enroll("factory")
        yield world


def proposal(concord: Console, *more: object) -> tuple[object, ...]:
    """How the utility proposes to supply the factory."""
    terms = concord.folder / "terms.json"
    terms.write_text(json.dumps({"title": "Peak shaving", "price": "91.50", "currency": "EUR"}))
    return (
        "agreement", "propose", "--party", "utility", "--party", "factory", "--supplier", "utility",
        "--user", "factory", "--resource", "capacity", "--terms", terms, "--quota", "100.5", "--unit", "MW.h",
        "--from", "2026-01-01", "--until", "365d", *more,
    )  # fmt: skip


def test_an_agreement_is_used_and_settled(concord: Console, utility: Member, factory: Member) -> None:
    proposed = concord.answer(utility, *proposal(concord))
    agreement = proposed["ids"]["agreement"]
    assert "proposed" in concord.ok(factory, "agreement", "list", "--role", "user")
    accepted = concord.ok(factory, "agreement", "accept", agreement, "--proposal", proposed["digest"])
    assert accepted.startswith("accepted: 0x")
    assert concord.answer(factory, "agreement", "show", agreement)["state"] == "active"
    assert "Peak shaving" in concord.ok(utility, "agreement", "show", agreement)
    detail = concord.folder / "detail.json"
    detail.write_text(json.dumps({"meter": "7"}))
    report = ("usage", "report", agreement)
    first = concord.answer(utility, *report, "40.25", *PERIOD, "--detail", detail)["digest"]
    second = concord.answer(utility, *report, "1", "--from", "2026-11-02", "--until", "2026-11-03")["digest"]
    assert concord.ok(factory, "usage", "list", "--agreement", agreement, "--state", "reported").count("reported") == 2
    assert concord.ok(factory, "usage", "confirm", first).startswith("confirmed: 0x")
    assert concord.ok(factory, "usage", "dispute", second, "--reason", "the meter stood").startswith("disputed: 0x")
    invoice = concord.folder / "invoice.json"
    invoice.write_text(json.dumps({"number": "2026-1"}))
    settle = ("usage", "settle", agreement)
    concord.fail(utility, 1, "agreement show", *settle, "--quantity", "99", "--invoice", invoice)
    assert concord.ok(utility, *settle, "--quantity", "40", "--invoice", invoice).startswith("settled: 0x")
    assert concord.ok(utility, *settle).startswith("settled: 0x")
    settled = concord.answer(utility, "usage", "settlements", "--agreement", agreement)
    assert sorted(each["sequence"] for each in settled) == [1, 2]
    assert "NUMBER" in concord.ok(factory, "usage", "settlements")
    assert concord.ok(factory, "agreement", "terminate", agreement).startswith("terminated: 0x")
    assert concord.answer(utility, "agreement", "show", agreement)["state"] == "terminated"
    concord.fail(utility, 1, "", *report, "1", *PERIOD)


@pytest.mark.slow
def test_an_agreement_is_revised_and_rejected(concord: Console, utility: Member, factory: Member) -> None:
    agreement = concord.answer(utility, *proposal(concord))["ids"]["agreement"]
    revised = concord.ok(utility, *proposal(concord, "--revises", agreement))
    assert f"agreement {agreement} proposed" in revised
    assert concord.answer(factory, "agreement", "show", agreement)["revision"] == 2
    assert concord.ok(factory, "agreement", "reject", agreement).startswith("rejected: 0x")
    assert concord.answer(utility, "agreement", "show", agreement)["state"] == "rejected"
    concord.fail(factory, 1, "`concord agreement show` tells", "agreement", "accept", agreement)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("usage", "report", NOBODY, "many", *PERIOD), 3, "is no number"),
        (("usage", "report", NOBODY, "0", *PERIOD), 3, "above zero"),
        (("usage", "report", NOBODY, "1", "--from", "then", "--until", "1d"), 3, "is no time"),
        (("usage", "report", NOBODY, "1", *PERIOD), 4, ""),
        (("agreement", "accept", NOBODY), 4, ""),
        (("agreement", "show", "0x12"), 3, "is no id"),
        (("agreement", "frob"), 3, "No such command"),
        (("usage", "report"), 3, "Missing argument"),
        (("statement", "show", NOBODY), 4, ""),
        (("evidence", "utility/power", "-o", "/"), 3, "is a directory"),
        (("completion", "tcsh"), 3, "no completion for tcsh"),
        (("policy", "show", "no-such-policy.json"), 4, "there is no policy"),
        (("--url", "ftp://nowhere", "api-key", "whoami"), 3, "is no URL of a service"),
        (("--api-key", "ck_wrong", "api-key", "whoami"), 4, "set CONCORD_API_KEY"),
        (("--api-key", "with spaces", "api-key", "whoami"), 3, "without spaces"),
        (("api-key", "create", "--scope", "everything"), 3, ""),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(
    concord: Console, utility: Member, arguments: tuple[str, ...], code: int, words: str
) -> None:
    concord.fail(utility, code, words, *arguments)
    told = concord.run(*arguments, "--json")
    assert (told.code, told.out) == (code, "")
    assert told.problem["exit"] == code


def test_a_service_that_is_not_there_is_said(concord: Console, utility: Member) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    concord.patch.setenv("CONCORD_URL", f"http://127.0.0.1:{port}")
    concord.fail(utility, 2, "is the service running", "dataset", "list")


def test_statements_and_their_receipts(concord: Console, utility: Member) -> None:
    stated = concord.answer(utility, "statement", "list", "--type", "DatasetRegistration")
    digest = stated[0]["digest"]
    assert "DatasetRegistration" in concord.ok(utility, "statement", "list")
    everything = concord.answer(utility, "statements", "list", "--all")
    assert len(everything) > 1
    ran = concord.run("--json", "statements", "list", "--limit", 1)
    assert (ran.code, [each["digest"] for each in ran.json]) == (0, [everything[0]["digest"]])
    assert "the newest 1; there are more: --limit N lists N, --all lists all" in ran.err
    assert len(concord.answer(utility, "statements", "list", "--limit", len(everything))) == len(everything)
    shown = concord.ok(utility, "statement", "show", digest, "--wait", "final")
    assert "state:" in shown
    assert "links" not in shown
    assert concord.answer(utility, "statement", "show", digest)["links"]
    assert concord.ok(utility, "statement", "receipt", digest).startswith("c2sp.org/tlog-proof@v1")
    assert concord.answer(utility, "statement", "receipt", digest)["receipt"].endswith("\n")


def test_an_auditor_pins_a_policy_and_verifies_evidence_by_it(concord: Console, utility: Member) -> None:
    consortium, first, second = (concord.folder / name for name in ("consortium.json", "first.json", "second.json"))
    rpc = f"{concord.world.url}/rpc"
    create = ("policy", "create", "--rpc", rpc, "--consortium", consortium, "-o")
    assert "pinned up to block 2\n" in concord.ok(utility, *create, first, "--last-block", 2)
    pinned = concord.answer(utility, *create, second, "--extends", first)
    assert pinned["last_block"] > 2
    assert concord.answer(utility, "policy", "show", second)["sha256"] == pinned["sha256"]
    assert pinned["sha256"] in concord.ok(utility, "policy", "show", second)
    assert concord.ok(utility, "policy", "diff", first, first) == "the same\n"
    assert concord.run("policy", "diff", first, second).code == 1
    assert concord.run("policy", "diff", first, second, "--json").json["changes"]
    evidence = concord.folder / "evidence.json"
    concord.ok(utility, "evidence", "utility/power@1", "-o", evidence, "--policy", second)
    verified = concord.run("verify", evidence, "--policy", second)
    assert verified.code == 0, verified
    again = concord.run("--json", "verify", evidence, "--policy", second)
    assert (again.code, again.json["verdict"]) == (0, "verified")
    evidence.write_bytes(evidence.read_bytes()[:-20])
    refuted = concord.run("verify", evidence, "--policy", second)
    assert refuted.code == 1
    assert "REFUTED" in refuted.out
    digest = concord.answer(utility, "dataset", "show", "utility/power@1")["registration"]
    assert concord.answer(utility, "evidence", digest, "-o", evidence)["size_bytes"] == evidence.stat().st_size
    assert "evidence written" in concord.ok(utility, "evidence", "utility/power", "-o", evidence)


def test_api_keys_are_created_listed_and_revoked(concord: Console, utility: Member) -> None:
    create = ("api-key", "create", "--participant", "utility", "--scope", "read", "--label", "meter")
    token = concord.ok("chamber", *create, "--expires", "90d").strip()
    assert token.startswith("ck_")
    listed = concord.answer("chamber", "api-key", "list")
    key = next(each for each in listed if each["label"] == "meter")
    assert "meter" in concord.ok("chamber", "api-key", "list")
    concord.patch.setenv("CONCORD_API_KEY", token)
    assert concord.run("api-key", "whoami", "--json").json["participant"] == str(utility.id)
    refused = concord.run(
        "--key", concord.key_file(utility.signing, "utility-signing"), "dataset", "retire", "utility/power"
    )
    assert refused.code == 4
    assert "what your key may do" in refused.err
    assert concord.ok("chamber", "api-key", "revoke", key["id"]) == f"API key {key['id']} revoked\n"
    assert concord.answer("chamber", "api-key", "revoke", key["id"]) == {"revoked": key["id"]}
    assert "scopes:" in concord.ok(utility, "api-key", "whoami")
    concord.patch.setenv("CONCORD_API_KEY", token)
    assert concord.run("api-key", "whoami").code == 4


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(concord: Console, shell: str) -> None:
    printed = concord.ok("chamber", "completion", shell)
    assert "_CONCORD_COMPLETE" in printed
    concord.patch.setenv("SHELL", f"/bin/{shell}")
    assert concord.ok("chamber", "completion") == printed


def test_the_version_and_help_are_printed(concord: Console) -> None:
    assert concord.ok("chamber", "--version").startswith("concord ")
    assert "Exit codes: 0 done" in concord.ok("chamber", "--help").replace("\n", " ")


def test_a_consortium_is_founded_once(concord: Console) -> None:
    home, owners = concord.folder / "home", concord.folder / "owners"
    init = (
        "init", "--home", home, "--owners", owners, "--governor", "chamber=Chamber of Commerce",
        "--governor", "regulator=The Regulator", "--threshold", "2", "--origin", "log.example/test",
    )  # fmt: skip
    founded = concord.run(*init, "--json")
    assert founded.code == 0, founded.err
    assert set(founded.json["api_keys"]) >= {"chamber"}
    assert {"chamber", "regulator"} == set(founded.json["participants"])
    assert (home / "consortium.json").is_file()
    concord.fail("chamber", 1, "concord serve --home", *init)
    concord.fail("chamber", 3, "handle", "init", "--home", concord.folder / "other", "--governor", "chamber")


def test_a_log_that_is_whole_is_recovered_to_itself_only_when_stopped(concord: Console) -> None:
    home = concord.folder / "alone"
    plain = concord.ok_quietly("init", "--home", home)
    assert "API keys, shown this once:" in plain
    told = concord.ok_quietly("log", "recover", "--home", home, "--from", home / "log")
    assert "nothing was missing" in told
    assert "next: concord serve" in told
    running = concord.world.folder / "home"
    assert concord.run("log", "recover", "--home", running, "--from", home / "log").code in (1, 2)
