"""`concord evidence` and `concord log`: an auditor's questions, with a gateway's help, without it, and against it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.canonical import encode_canonical
from ledger.client import LocalKey, access, statements
from ledger.client import evidence as flows
from ledger.log import Checkpoint, SignedNote, format_anchor_by
from ledger.log.tlog_proof import TlogProof
from ledger.merkle import compute_root, leaf_hash, prove_inclusion
from ledger.statements import Entry, Statement
from ledger.types import Bytes32
from tests.support.answering import Said, answering
from tests.support.console import Console, draw_key_file
from tests.support.world import Member, World, serving

DATA: Final = {"a.csv": b"plant,mwh\nA,1\n"}


@pytest.fixture(scope="module")
def sender_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LocalKey]:
    path = tmp_path_factory.mktemp("keys") / "sender.key"
    return path, draw_key_file(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sender_file: tuple[Path, LocalKey]) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("concord"), relay_accounts=(sender_file[1].address,)) as world:
        utility, factory = world.enroll("utility"), world.enroll("factory")
        world.enroll("stranger")
        world.register(utility, "power", DATA)
        world.register(factory, "steel", DATA, parents=["utility/power@1"])
        yield world


def rpc_of(concord: Console) -> str:
    return f"{concord.world.url}/rpc"


def pin(concord: Console, name: str = "policy.json") -> Path:
    """The auditor's policy as of now."""
    path = concord.folder / name
    earlier = ("--extends", path) if path.exists() else ()
    consortium = concord.folder / "consortium.json"
    made = concord.run("policy", "create", "--rpc", rpc_of(concord), "--consortium", consortium, "-o", path, *earlier)
    assert made.code == 0, made
    return path


def utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def granted_at(world: World, grant: Bytes32) -> datetime:
    parts = world.gateway.parts
    row = parts.store.access.find_grant(grant, parts.now())
    assert row is not None
    assert row.granted_at is not None
    return row.granted_at


def test_was_it_permitted_is_answered_with_a_verdict(concord: Console, utility: Member, factory: Member) -> None:
    grant = concord.world.grant(utility, factory, "utility/power")
    given = granted_at(concord.world, grant)
    policy, out = pin(concord), concord.folder / "permitted.json"
    concord.be(factory)
    ask = ("evidence", "permitted", grant, "--policy", policy, "--rpc", rpc_of(concord), "-o")
    before = concord.run(*ask, out, "--at", utc(given - timedelta(seconds=5)))
    assert before.code == 1, before
    assert "REFUTED" in before.out
    yes = concord.run(*ask, out, "--at", utc(given), "--version", 1, "--right", "read")
    assert yes.code == 0, yes
    assert "VERIFIED" in yes.out
    assert json.loads(out.read_bytes())["format"] == "concord-bundle/1"
    no = concord.run(*ask, out, "--at", utc(given), "--right", "distribute")
    assert no.code == 1, no
    concord.world.members["utility"].client.run(access.revoke(grant, utility.identity, wait_s=30))
    folder = concord.folder / "case"
    folder.mkdir()
    still = concord.run(*ask, folder, "--at", utc(given))
    assert {path.name for path in folder.iterdir()} == {"grant.json", "attestation.json"}
    revoked = concord.world.gateway.parts.store.access.find_grant(grant, datetime.now(UTC))
    assert revoked is not None
    assert revoked.revoked_at is not None
    assert still.code == (0 if revoked.revoked_at > given else 1), still
    after = concord.run(*ask, out, "--at", utc(revoked.revoked_at))
    assert after.code == 1, after
    assert "revoked" in after.out
    windows = concord.run(*ask, out)
    assert windows.code == 0, windows
    judged = concord.run(*ask, out, "--json")
    assert judged.json["verdict"] == "verified"


@pytest.mark.slow
def test_what_can_not_be_asked_about_permission_is_said(concord: Console, utility: Member, factory: Member) -> None:
    grant = concord.world.grant(utility, factory, "utility/power")
    policy, out = pin(concord), concord.folder / "permitted.json"
    ask = ("evidence", "permitted", grant, "--policy", policy, "-o", out)
    concord.fail(factory, 3, "lies in the future", *ask, "--at", "1h")
    concord.fail(concord.world.members["stranger"], 4, "", *ask, "--at", utc(granted_at(concord.world, grant)))
    assert not out.exists()


@pytest.mark.slow
def test_what_the_policy_does_not_pin_is_undetermined_until_it_does(
    concord: Console, utility: Member, factory: Member
) -> None:
    pin(concord)
    grant = concord.world.grant(utility, factory, "utility/power")
    policy, out = concord.folder / "policy.json", concord.folder / "permitted.json"
    given = granted_at(concord.world, grant)
    while datetime.now(UTC) < given + timedelta(seconds=1):
        time.sleep(0.05)  # the attestation must be of a later second
    concord.be(factory)
    ask = ("evidence", "permitted", grant, "--policy", policy, "-o", out)
    for _ in range(2):
        ran = concord.run(*ask)
        assert ran.code == 2, ran
        assert "does not pin the block of the attestation and the grant: extend it" in ran.err
        assert "UNDETERMINED" in ran.out
        assert json.loads(out.read_bytes())["format"] == "concord-bundle/1"
    attested = factory.client.run(flows.grant_attestation(grant)).transaction
    pin(concord)
    for more in ((), ("--at", utc(given))):
        ran = concord.run(*ask, *more)
        assert (ran.code, ran.err) == (0, ""), ran.out
    assert factory.client.run(flows.grant_attestation(grant)).transaction == attested
    newer = factory.client.run(flows.attest_grant(grant, wait_s=30))
    assert newer.transaction != attested
    for more in ((), ("--at", utc(given))):
        ran = concord.run(*ask, *more)
        assert (ran.code, ran.err) == (0, ""), ran.out


def test_the_event_of_a_statement_is_evidence(concord: Console, utility: Member) -> None:
    policy, out = pin(concord), concord.folder / "event.json"
    digest = concord.answer(utility, "dataset", "show", "utility/power@1")["registration"]
    for who in (utility, concord.world.members["stranger"]):
        assert "evidence written" in concord.ok(who, "evidence", "event", digest, "-o", out, "--policy", policy)
        verified = concord.run("verify", out, "--policy", policy)
        assert verified.code == 0, verified
        assert "DatasetRegistered" in verified.out
    concord.fail(
        utility, 4, "it emitted DatasetRegistered", "evidence", "event", digest, "-o", out, "--event", "KeyAdded"
    )
    concord.fail(utility, 4, "no contract's event", "evidence", "event", "0x" + "ab" * 32, "-o", out)


def test_a_bundle_holds_the_lineage_and_names_what_was_withheld(
    concord: Console, utility: Member, factory: Member
) -> None:
    policy, out = pin(concord), concord.folder / "steel.json"
    ask = ("evidence", "bundle", "factory/steel", "-o", out, "--policy", policy, "--no-grants")
    told = concord.ok(factory, *ask)
    assert told.startswith("2 members written")
    assert "utility/power@1" in told
    verified = concord.run("verify", out, "--policy", policy)
    assert verified.code in (0, 2), verified
    concord.be(factory)
    answer = concord.run("--json", *ask).json
    assert [each["name"] for each in answer["withheld"]] == ["utility/power"]
    concord.patch.setenv("CONCORD_API_KEY", concord.world.api_key("audit"))
    whole = concord.run("--json", *ask, "--no-chunks").json
    assert (whole["members"], whole["withheld"]) == (2, [])
    judged = concord.run("--json", "verify", out, "--policy", policy)
    assert (judged.code, judged.json["verdict"]) == (0, "verified")


@pytest.mark.slow
def test_a_bundle_has_ancestors_grants_and_says_what_the_policy_does_not_pin(
    concord: Console, utility: Member, factory: Member
) -> None:
    concord.world.register(utility, "coal", DATA)
    concord.world.register(factory, "coke", DATA, parents=["utility/coal@1"])
    grant = concord.world.grant(utility, factory, "utility/coal")
    policy, out = pin(concord), concord.folder / "coke.json"
    ask = ("evidence", "bundle", "factory/coke", "-o", out, "--policy", policy)
    assert "AccessGrant" in concord.ok(factory, *ask) + out.read_text()
    assert concord.answer(factory, *ask)["left_out"] == []
    assert concord.answer(factory, *ask, "--no-grants")["members"] == 2
    concord.run("--json", "evidence", "permitted", grant, "--policy", policy, "-o", concord.folder / "case.json")
    told = concord.answer(factory, *ask)
    assert told["left_out"] == [f"GrantAttested {grant} outside-range"]
    assert f"GrantAttested {grant} outside-range" in concord.ok(factory, *ask)


@pytest.mark.slow
def test_kept_evidence_is_upgraded_under_a_newer_policy(concord: Console, utility: Member) -> None:
    old, new = concord.folder / "old.json", concord.folder / "new.json"
    policy = pin(concord)
    concord.ok(utility, "evidence", "utility/power@1", "-o", old, "--policy", policy)
    concord.world.register(utility, "noise", DATA)
    newer = pin(concord, "newer.json")
    assert concord.run("verify", old, "--policy", newer).code == 2  # its blocks stand under another pin
    told = concord.ok(utility, "evidence", "upgrade", old, "-o", new, "--policy", newer)
    assert "linked to the newest checkpoint" in told
    document, kept = json.loads(new.read_bytes()), json.loads(old.read_bytes())
    assert document["later"]
    assert [document[name] for name in ("statement", "signature", "log", "content")] == [
        kept[name] for name in ("statement", "signature", "log", "content")
    ]
    assert concord.run("verify", new, "--policy", newer).code == 0
    forged = {**kept, "signature": "0x" + "11" * 65}
    old.write_bytes(encode_canonical(forged))
    concord.fail(utility, 1, "another entry", "evidence", "upgrade", old, "-o", new, "--policy", newer)
    concord.fail(utility, 3, "no evidence", "evidence", "upgrade", newer, "-o", new, "--policy", newer)
    concord.fail(utility, 4, "there is no evidence", "evidence", "upgrade", "none.json", "-o", new, "--policy", newer)


def test_a_digest_or_a_name_alone_is_the_evidence_of_a_statement(concord: Console, utility: Member) -> None:
    out = concord.folder / "evidence.json"
    digest = concord.answer(utility, "dataset", "show", "utility/power@1")["registration"]
    shown = set()
    for words in (("utility/power@1", "-o", out), ("-o", out, digest), ("statement", digest, "-o", out)):
        assert "evidence written" in concord.ok(utility, "evidence", *words)
        shown.add(json.loads(out.read_bytes())["log"]["index"])
    assert len(shown) == 1
    concord.fail(utility, 3, "No such command", "evidence", "permited", digest)


def test_the_inclusion_proof_is_exported_for_others(concord: Console, utility: Member) -> None:
    evidence, proof = concord.folder / "evidence.json", concord.folder / "proof.tlog"
    concord.ok(utility, "evidence", "utility/power", "-o", evidence)
    concord.ok(utility, "evidence", "tlog-proof", evidence, "-o", proof)
    shown = TlogProof.parse(proof.read_bytes())
    assert str(shown.index) == json.loads(evidence.read_bytes())["log"]["index"]


def test_an_auditor_has_a_grant_attested_without_the_gateway(
    concord: Console, utility: Member, factory: Member, sender_file: tuple[Path, LocalKey]
) -> None:
    grant = concord.world.grant(utility, factory, "utility/power")
    given = granted_at(concord.world, grant)
    kept, out, policy = (concord.folder / name for name in ("grant.json", "attested.json", "policy.json"))
    concord.ok(factory, "statement", "keep", grant, "-o", kept)
    pin(concord)
    ask = ("evidence", "attest", kept, "-o", out, "--policy", policy, "--rpc", rpc_of(concord), "--sender")
    concord.ok(factory, *ask, sender_file[0])
    pin(concord, "policy.json")
    judged = concord.run("verify", out, "--policy", policy, "--rpc", rpc_of(concord), "--permitted-at", utc(given))
    assert judged.code == 0, judged
    concord.fail(factory, 4, "there is no key file", *ask, concord.folder / "none.key")
    stranger = concord.folder / "stranger.key"
    draw_key_file(stranger)
    concord.fail(factory, 1, "allow list", *ask, stranger)


def test_the_log_is_attested_by_the_gateway_or_by_whoever_may_send(
    concord: Console, utility: Member, sender_file: tuple[Path, LocalKey]
) -> None:
    attested = concord.answer(utility, "log", "attest")
    assert attested["state"] == "final"
    sequencer = concord.world.gateway.parts.sequencer
    assert attested["size"] == sequencer.size
    assert attested["root"] == f"0x{sequencer.reader.root(sequencer.size).hex()}"
    assert "root 0x" in concord.ok(utility, "log", "attest")
    policy = pin(concord)
    told = concord.ok(
        utility, "log", "attest", "--rpc", rpc_of(concord), "--policy", policy, "--sender", sender_file[0]
    )
    assert f"{sequencer.size} entries anchored" in told
    assert f"root {attested['root']}" in told
    concord.fail(utility, 3, "--rpc needs", "log", "attest", "--rpc", rpc_of(concord))
    concord.fail(
        utility, 3, "names one of the logs", "log", "attest", "--rpc", rpc_of(concord), "--policy", policy,
        "--sender", sender_file[0], "--log", "other",
    )  # fmt: skip


# A gateway that breaks its promises


def dropped(world: World, member: Member, due: datetime) -> dict[str, Any]:
    """What a member keeps of a statement that the gateway receipted, signed, and never put into its log."""
    parts = world.gateway.parts
    statement = Statement.build(
        "AccessRevocation",
        participant=member.id,
        grant=Bytes32(bytes([7]) * 32),
        deadline=int(due.timestamp()) + 10_000,
        salt=Bytes32(bytes([9]) * 32),
    )
    digest = statement.digest(world.domains)
    signature = member.signing.sign(digest)
    entry = Entry.of(digest, member.id, signature)
    index = parts.sequencer.size
    leaves = [leaf_hash(each) for each in (*parts.sequencer.reader.entries(0, index), entry.to_bytes())]
    promised = Checkpoint(parts.config.origin, len(leaves), compute_root(leaves), (format_anchor_by(due),))
    note = parts.log_signer.sign(promised.text)
    receipt = TlogProof(index, tuple(prove_inclusion(leaves, index, len(leaves))), SignedNote.parse(note.to_bytes()))
    return {
        "type": "AccessRevocation",
        "message": statement.to_json(),
        "signature": "0x" + signature.hex(),
        "receipt": receipt.to_bytes().decode(),
    }


def keep(concord: Console, document: dict[str, Any]) -> Path:
    path = concord.folder / "kept.json"
    path.write_text(json.dumps(document))
    return path


def breach(concord: Console, kept: Path, *more: object) -> tuple[object, ...]:
    policy = concord.folder / "policy.json"
    out = concord.folder / "breach.json"
    return ("log", "breach", kept, "-o", out, "--policy", policy, "--rpc", rpc_of(concord), *more)


def test_a_statement_that_was_dropped_is_shown_by_an_attestation(
    concord: Console, utility: Member, sender_file: tuple[Path, LocalKey]
) -> None:
    due = datetime.now(UTC).replace(microsecond=0)
    kept = keep(concord, dropped(concord.world, utility, due))
    pin(concord)
    concord.fail(utility, 2, "--sender", *breach(concord, kept))
    while datetime.now(UTC) < due + timedelta(seconds=1):
        time.sleep(0.05)  # the block must be of a later second
    broken = concord.run(*breach(concord, kept, "--sender", sender_file[0]))
    assert broken.code == 1, broken
    assert "the promise was broken (missed)" in broken.err
    evidence = concord.folder / "breach.json"
    assert json.loads(evidence.read_bytes())["kind"] == "missed"
    policy = pin(concord)
    again = concord.run(*breach(concord, kept))  # the attestation that is there shows it again
    assert again.code == 1, again
    assert concord.run("verify", evidence, "--policy", policy).code == 0


@pytest.mark.slow
def test_a_statement_that_another_took_the_place_of_is_shown_by_the_tiles(concord: Console, utility: Member) -> None:
    due = datetime.now(UTC) + timedelta(minutes=10)
    kept = keep(concord, dropped(concord.world, utility, due))
    pin(concord)
    concord.fail(utility, 2, "is not due yet", *breach(concord, kept))
    concord.world.register(utility, "other", DATA)
    pin(concord)
    concord.fail(utility, 2, "name its tiles", *breach(concord, kept))
    mirror = concord.world.folder / "home" / "log"
    broken = concord.run(*breach(concord, kept, "--tiles", mirror))
    assert broken.code == 1, broken
    assert "broken (replaced)" in broken.err
    by_url = concord.run(*breach(concord, kept, "--tiles", f"{concord.world.url}/v1/log", "--json"))
    assert by_url.code == 1
    assert by_url.json["reports"][0]["claim"]["verdict"] == "verified"


@pytest.mark.slow
def test_a_statement_that_came_too_late_is_shown_by_its_checkpoint(concord: Console, utility: Member) -> None:
    due = datetime.now(UTC) - timedelta(minutes=10)
    kept = keep(concord, dropped(concord.world, utility, due))
    concord.world.register(utility, "late", DATA)
    pin(concord)
    broken = concord.run(*breach(concord, kept))
    assert broken.code == 1, broken
    assert "broken (missed)" in broken.err


@pytest.mark.slow
def test_a_checkpoint_of_another_history_is_shown_by_the_tiles(concord: Console, utility: Member) -> None:
    made = concord.world.register(utility, "forked", DATA)
    concord.be(utility)
    kept = concord.folder / "kept.json"
    assert concord.run("statement", "keep", made.digest, "-o", kept).code == 0
    document = json.loads(kept.read_bytes())
    parts = concord.world.gateway.parts
    proof = TlogProof.parse(document["receipt"].encode())
    leaves = [leaf_hash(each) for each in parts.sequencer.reader.entries(0, proof.index + 1)]
    leaves.append(leaf_hash(b"what the others never saw"))
    due = format_anchor_by(datetime.now(UTC) + timedelta(minutes=10))
    signed = parts.log_signer.sign(Checkpoint(parts.config.origin, len(leaves), compute_root(leaves), (due,)).text)
    path = tuple(prove_inclusion(leaves, proof.index, len(leaves)))
    shown = TlogProof(proof.index, path, SignedNote.parse(signed.to_bytes()))
    kept = keep(concord, {**document, "receipt": shown.to_bytes().decode()})
    pin(concord)
    mirror = concord.world.folder / "home" / "log"
    assert "the promise was kept" in concord.ok(utility, *breach(concord, kept, "--tiles", mirror))  # so far
    concord.world.register(utility, "after", DATA)
    pin(concord)
    broken = concord.run(*breach(concord, kept, "--tiles", mirror))
    assert broken.code == 1, broken
    assert "broken (forked)" in broken.err
    assert concord.run("verify", concord.folder / "breach.json", "--policy", pin(concord)).code == 0
    other = concord.folder / "other"
    other.mkdir()
    concord.fail(utility, 2, "", *breach(concord, kept, "--tiles", other))


def test_a_promise_that_was_kept_is_said_to_be(concord: Console, utility: Member) -> None:
    made = concord.world.register(utility, "kept", DATA)
    utility.client.run(statements.wait(made.digest))
    kept, policy = concord.folder / "kept.json", pin(concord)
    assert "receipt kept" in concord.ok(utility, "statement", "keep", made.digest, "-o", kept)
    told = concord.ok(utility, *breach(concord, kept, "--tiles", f"{concord.world.url}/v1/log"))
    assert "the promise was kept" in told
    assert not (concord.folder / "breach.json").exists()
    document = json.loads(kept.read_bytes())
    receipt = concord.folder / "receipt.txt"
    receipt.write_text(document.pop("receipt"))
    apart = keep(concord, document)
    concord.fail(utility, 3, "has no type, message, signature and receipt", *breach(concord, apart))
    concord.fail(utility, 3, "can not be read", *breach(concord, apart, "--receipt", concord.folder / "none"))
    concord.fail(utility, 3, "is there already", "statement", "keep", made.digest, "-o", kept)
    assert "receipt kept" in concord.ok(utility, "statement", "keep", made.digest, "-o", kept, "--replace")
    keep(concord, document)
    tiles = ("--tiles", f"{concord.world.url}/v1/log", "--receipt", receipt)
    assert "kept" in concord.ok(utility, *breach(concord, apart, *tiles))
    other = dropped(concord.world, utility, datetime.now(UTC))
    receipt.write_text(other["receipt"])
    concord.fail(utility, 3, "is no receipt of the statement", *breach(concord, apart, *tiles))
    assert policy.exists()


def test_a_copy_of_the_log_is_no_reason_to_charge_the_gateway(concord: Console, utility: Member) -> None:
    """A policy made while the contract let a member open a log with the gateway's origin and key."""
    made = concord.world.register(utility, "copied", DATA)
    utility.client.run(statements.wait(made.digest))
    policy, kept = pin(concord), concord.folder / "kept.json"
    concord.ok(utility, "statement", "keep", made.digest, "-o", kept)
    document = json.loads(policy.read_bytes())
    (log,) = document["logs"]
    document["logs"] = [{**log, "operator": "0x" + "00" * 32}, log]
    policy.write_bytes(encode_canonical(document))
    tiles = ("--tiles", f"{concord.world.url}/v1/log")
    assert "the promise was kept" in concord.ok(utility, *breach(concord, kept, *tiles))
    due = datetime.now(UTC) - timedelta(minutes=10)
    kept = keep(concord, dropped(concord.world, utility, due))
    concord.fail(utility, 2, "which log made the promise can not be told", *breach(concord, kept, *tiles))
    attest = ("log", "attest", "--rpc", rpc_of(concord), "--policy", policy, "--sender", concord.folder / "none")
    concord.fail(utility, 3, "names one of the logs of your policy, by origin or id", *attest, "--log", log["origin"])
    concord.fail(utility, 4, "there is no key file", *attest, "--log", log["operator"])


@pytest.mark.slow
def test_a_node_of_another_chain_tells_nothing_about_a_promise(concord: Console, utility: Member) -> None:
    kept = keep(concord, dropped(concord.world, utility, datetime.now(UTC)))
    policy, out = pin(concord), concord.folder / "breach.json"

    def answer(_method: str, _path: str, _headers: object, body: bytes) -> Said:
        return Said(body=json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": "0x1"}).encode())

    with answering(answer) as rpc:
        ask = ("log", "breach", kept, "-o", out, "--policy", policy, "--rpc", rpc)
        concord.fail(utility, 3, "the node runs chain 1", *ask)
    assert not out.exists()


@pytest.mark.slow
def test_tiles_that_are_damaged_tell_nothing_about_a_promise(concord: Console, utility: Member) -> None:
    made = concord.world.register(utility, "damaged", DATA)
    concord.be(utility)
    kept, mirror = concord.folder / "kept.json", concord.folder / "mirror"
    assert concord.run("statement", "keep", made.digest, "-o", kept).code == 0
    pin(concord)
    shutil.copytree(concord.world.folder / "home" / "log", mirror)
    for path in mirror.rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0" * path.stat().st_size)
    concord.fail(utility, 2, "", *breach(concord, kept, "--tiles", mirror))
