"""A gateway that lies, over HTTP, with every key that it holds: who catches it, and by which step.

| The lie | Caught by | Which says |
|---|---|---|
| shows two histories | any two clients, who compare | `check_consistency`: fork; `fsck` against the chain: root |
| publishes the other one | the contract | refused |
| drops what it receipted | whoever holds the receipt | 404; receipt and `attest`: missed, or replaced |
| swaps two that it receipted | whoever holds either receipt | receipt and `attest`: replaced; fork |
| dates a late statement back | the verifier | step 5, or 7 where it signs a checkpoint for it |
| takes a statement after its deadline | the verifier | step 10, undetermined |
| takes a revoked key's statement | the verifier | step 10 |
| leaves the revocation out | the verifier | step 10 |
| logs what nobody signed | the verifier, and `fsck` of its home | step 3; signature |
| gives out the receipt of another | the client | the proof leads to another root |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.client import access, participants, statements
from ledger.errors import NotFoundError, RefusedError, VerificationError
from ledger.evidence import ChainProof, LogProof, Policy, parse_evidence
from ledger.evidence.breach import Breach, build_missed, build_replaced
from ledger.log import TlogProof, verify_receipt
from ledger.log.mirror import Mirror
from ledger.merkle import leaf_hash
from ledger.statements import Entry, Statement
from ledger.surface.outcomes import Outcome, SignedStatement
from ledger.types import Bytes32
from scripts.check_consistency import main as check_consistency
from scripts.fsck import main as fsck
from scripts.verify_provenance import main as verify_provenance
from tests.support.lying_gateway import LyingWorld, lying
from tests.support.world import Member

PROMISED_WITHIN_S = 601


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LyingWorld]:
    with lying(tmp_path_factory.mktemp("liar")) as lie:
        utility = lie.world.enroll("utility")
        lie.world.register(utility, "power", {"a.csv": b"a,b\n1,2\n"})
        for handle in ("analyst", "bank"):
            lie.world.enroll(handle)
        yield lie


@dataclass
class Auditor:
    """Runs the programs as a stranger does, over files and URLs."""

    liar: LyingWorld
    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def log_url(self) -> str:
        return f"{self.liar.world.url}/v1/log"

    def pin(self) -> tuple[Policy, Path]:
        policy = self.liar.policy()
        path = self.folder / "policy.json"
        path.write_bytes(policy.to_bytes())
        return policy, path

    def run(self, program: Any, *arguments: object) -> tuple[int, Any]:
        self.capsys.readouterr()
        code = program([*map(str, arguments), "--json"])
        return code, json.loads(self.capsys.readouterr().out)

    def keep(self, name: str, raw: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(raw)
        return path

    def verify(self, raw: bytes) -> tuple[int, dict[int, str], Any]:
        """Exit code, outcome by step, report."""
        code, answer = self.run(verify_provenance, self.keep("judged.json", raw), "--policy", self.pin()[1])
        [report] = answer["reports"]
        return code, {step["number"]: step["outcome"] for step in report["steps"]}, report

    def evidence(self, digest: Bytes32) -> bytes:
        client = self.liar.world.client(self.liar.world.api_key("audit"))
        return client.run(statements.evidence(digest))

    def compare(self, receipt: bytes) -> int:
        """Compare a receipt's checkpoint with the log as it is served; 1: a fork, which is kept."""
        fork = self.folder / "fork.json"
        fork.unlink(missing_ok=True)
        _, policy = self.pin()
        code, _ = self.run(
            check_consistency, self.keep("receipt", receipt), self.log_url, "--policy", policy, "--fork", fork
        )
        if code == 1:
            assert self.run(check_consistency, fork, "--policy", policy)[0] == 1
        return code

    def prove_replaced(self, receipt: bytes, signed: SignedStatement, attested: ChainProof) -> Breach:
        """What stands at the index that the receipt names, by the log's own tiles."""
        size = self.liar.published()[-1][0].size
        index, tiles = TlogProof.parse(receipt).index, Mirror(self.log_url).reader(size)
        return build_replaced(
            receipt,
            signed.statement,
            signed.signature,
            self.liar.pinned(attested, self.pin()[0]),
            leaf_hash=leaf_hash(tiles.entry(index)),
            proof=tiles.prove_inclusion(index, size),
        )


@pytest.fixture
def auditor(liar: LyingWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Auditor:
    return Auditor(liar, tmp_path, capsys)


def ask(liar: LyingWorld, member: Member) -> Outcome:
    """A member asks for access; log alone keeps that."""
    flow = access.request(
        "utility/power",
        member.identity,
        purpose="ResearchAndDevelopment",
        rights=["read"],
        valid_until=(datetime.now(UTC) + timedelta(days=7)).replace(microsecond=0),
    )
    return member.client.run(flow)


def ask_and_wait(liar: LyingWorld, member: Member) -> Outcome:
    outcome = ask(liar, member)
    return member.client.run(statements.wait(outcome.digest))


def check_promise(liar: LyingWorld, outcome: Outcome, signed: SignedStatement) -> None:
    """The client's own check: the receipt is for its statement, by the log's key."""
    entry = liar.gateway.entry_of(signed)
    checkpoint = verify_receipt(outcome.receipt.encode(), entry, liar.parts.log_signer.verifier_key)
    assert checkpoint.anchor_by is not None


def test_two_histories(liar: LyingWorld, auditor: Auditor) -> None:
    analyst, gateway = liar.world.members["analyst"], liar.gateway
    shadow = gateway.go_on_from([Entry(Bytes32(bytes(32)), analyst.id, Bytes32(bytes(32))).to_bytes()] * 3)
    before = liar.published()[-1][0]
    ask_and_wait(liar, analyst)
    with gateway.showing(shadow) as url:
        _, policy = auditor.pin()
        both = [auditor.log_url, f"{url}/v1/log", "--policy", policy, "--fork", auditor.folder / "fork.json"]
        code, answer = auditor.run(check_consistency, *both)
        assert (code, answer["verdict"]) == (1, "fork")
        assert auditor.run(check_consistency, answer["evidence"], "--policy", policy)[0] == 1
        code, answer = auditor.run(fsck, "--log", f"{url}/v1/log", "--policy", policy, "--rpc", liar.world.url + "/rpc")
        assert (code, [each["kind"] for each in answer["findings"]]) == (1, ["root"])
        assert answer["first_divergence"] == before.size
    shadow.sequencer.close()
    refusals = {before: "checkpoint-log-not-current", liar.published()[-1][0]: "rfc6962-root-mismatch"}
    for previous, expected in refusals.items():
        with pytest.raises(RefusedError) as refused:
            gateway.publish(previous, shadow)
        assert refused.value.code == expected
    code, _, report = auditor.verify((auditor.folder / "fork.json").read_bytes())
    assert (code, report["claim"]["verdict"]) == (0, "verified")


def test_a_statement_that_was_receipted_and_dropped(liar: LyingWorld, auditor: Auditor) -> None:
    analyst, gateway = liar.world.members["analyst"], liar.gateway
    gateway.withholds = True
    outcome = ask(liar, analyst)
    [(_, signed)] = gateway.withheld
    check_promise(liar, outcome, signed)  # nothing is wrong with it yet
    gateway.let_go()
    with pytest.raises(NotFoundError):
        analyst.client.run(statements.outcome(outcome.digest))
    receipt = outcome.receipt.encode()

    def missed() -> tuple[int, Any]:
        attested = liar.pinned(liar.attest(), auditor.pin()[0])
        code, _, report = auditor.verify(build_missed(receipt, signed.statement, signed.signature, attested).to_bytes())
        return code, report

    assert missed()[0] == 2  # it still has time
    liar.clock.ahead_s += PROMISED_WITHIN_S
    code, report = missed()
    assert (code, report["claim"]["verdict"]) == (0, "verified")
    assert "broke its promise" in report["sentence"]
    ask_and_wait(liar, liar.world.members["bank"])  # takes the place that was promised
    assert missed()[0] == 2  # something is there by now: what, the tiles tell
    breach = auditor.prove_replaced(receipt, signed, liar.attest())
    code, _, report = auditor.verify(breach.to_bytes())
    assert (code, report["claim"]["verdict"]) == (0, "verified")
    assert auditor.compare(receipt) == 1


@pytest.mark.slow
def test_two_statements_that_changed_places(liar: LyingWorld, auditor: Auditor) -> None:
    gateway = liar.gateway
    gateway.withholds = True
    outcomes = [ask(liar, liar.world.members[handle]) for handle in ("analyst", "bank")]
    signed = [each for _, each in gateway.withheld]
    for outcome, each in zip(outcomes, signed, strict=True):
        check_promise(liar, outcome, each)
    logged = gateway.let_go(1, 0)
    assert [each.index for each in logged] == [each.index for each in outcomes]
    for outcome in logged:
        gateway.honest.wait(outcome.digest, timeout_s=90)  # both, so that no block comes between evidence and policy
    for outcome in logged:
        assert auditor.verify(auditor.evidence(outcome.digest))[0] == 0  # both were said: only not in that order
    attested = liar.attest()
    for outcome, each in zip(outcomes, signed, strict=True):
        breach = auditor.prove_replaced(outcome.receipt.encode(), each, attested)
        assert auditor.verify(breach.to_bytes())[0] == 0
        assert auditor.compare(outcome.receipt.encode()) == 1


def test_a_kept_promise_is_no_breach(liar: LyingWorld, auditor: Auditor) -> None:
    analyst = liar.world.members["analyst"]
    outcome = ask_and_wait(liar, analyst)
    stated = analyst.client.run(statements.fetch(outcome.digest))
    statement = Statement.parse("AccessRequest", stated["message"])
    signed = SignedStatement(statement, bytes.fromhex(str(stated["signature"])[2:]), analyst.signing.address)
    receipt = outcome.receipt.encode()
    liar.clock.ahead_s += PROMISED_WITHIN_S
    attested = liar.attest()
    missed = build_missed(receipt, statement, signed.signature, liar.pinned(attested, auditor.pin()[0]))
    replaced = auditor.prove_replaced(receipt, signed, attested)
    for accusation in (missed, replaced):
        code, steps, report = auditor.verify(accusation.to_bytes())
        assert (code, steps[7], report["claim"]["verdict"]) == (1, "PASS", "refuted"), report
    assert auditor.compare(receipt) == 0


@pytest.mark.slow
def test_a_late_statement_dated_back(liar: LyingWorld, auditor: Auditor) -> None:
    earlier, late = (ask_and_wait(liar, liar.world.members[handle]) for handle in ("bank", "analyst"))
    old, new = (parse_evidence(auditor.evidence(each.digest)) for each in (earlier, late))
    size = earlier.index + 1
    dated_back = replace(new, anchor=old.anchor, history=old.history, log=replace(old.log, index=earlier.index))
    # Under the earlier checkpoint as it was signed: the entry is not in it.
    code, steps, _ = auditor.verify(dated_back.to_bytes())
    assert (code, steps[5], steps[7]) == (1, "FAIL", "PASS")
    # Under one of that size made up for it: the chain knows another.
    entry = Mirror(auditor.log_url).reader(late.index + 1).entry(late.index)
    note, proof = liar.gateway.date_back(entry, size)
    forged = replace(dated_back, log=LogProof(earlier.index, tuple(proof), note))
    code, steps, _ = auditor.verify(forged.to_bytes())
    assert (code, steps[6], steps[7]) == (1, "PASS", "FAIL")


@pytest.mark.slow
def test_a_statement_that_came_too_late(liar: LyingWorld, auditor: Auditor) -> None:
    """Taken after its deadline: it may have been made at any time, and the verifier does not say that it was."""
    member = liar.world.members["analyst"]
    statement = build(member, deadline=int(liar.clock()) - 60)
    digest = liar.gateway.log_unchecked(sign(liar, member, statement))
    code, steps, report = auditor.verify(auditor.evidence(digest))
    assert (code, report["verdict"], steps[3], steps[10]) == (2, "undetermined", "PASS", "NOT CHECKED")
    assert "deadline" in next(step["detail"] for step in report["steps"] if step["number"] == 10)


@pytest.mark.slow
def test_a_key_used_after_its_revocation_and_the_revocation_left_out(liar: LyingWorld, auditor: Auditor) -> None:
    member = liar.world.enroll("thief")
    before = ask_and_wait(liar, member)
    member.client.run(participants.revoke_key(member.signing.address, member.control_identity, wait_s=30))
    liar.clock.ahead_s += 2
    ask_and_wait(liar, liar.world.members["bank"])  # a checkpoint of a later second than the revocation
    digest = liar.gateway.log_unchecked(sign(liar, member, build(member, deadline=int(liar.clock()) + 600)))
    raw = auditor.evidence(digest)
    code, steps, _ = auditor.verify(raw)
    assert (code, steps[3], steps[10]) == (1, "PASS", "FAIL")
    evidence = parse_evidence(raw)
    earlier = parse_evidence(auditor.evidence(before.digest))
    assert len(earlier.history) < len(evidence.history)
    code, steps, _ = auditor.verify(replace(evidence, history=earlier.history).to_bytes())
    assert (code, steps[10]) == (1, "FAIL")


def test_what_nobody_signed(liar: LyingWorld, auditor: Auditor) -> None:
    member, gateway = liar.world.members["bank"], liar.gateway
    forged = gateway.forge(build(member, deadline=int(liar.clock()) + 600))
    # Under the member's own key's name, the signature is not of that key either.
    claimed = replace(forged, signer=member.signing.address, statement=build(member, deadline=int(liar.clock()) + 601))
    digests = [gateway.log_unchecked(each) for each in (forged, claimed)]
    for digest in digests:
        code, steps, report = auditor.verify(auditor.evidence(digest))
        assert (code, steps[3]) == (1, "FAIL"), report
    code, answer = auditor.run(fsck, "--home", liar.parts.settings.home)
    found = {each["index"] for each in answer["findings"] if each["kind"] == "signature"}
    assert (code, found) == (1, {gateway.honest.outcome(digest).index for digest in digests})


def test_the_receipt_of_another(liar: LyingWorld) -> None:
    one, two = (ask_and_wait(liar, liar.world.members[handle]) for handle in ("analyst", "bank"))
    stated = liar.world.members["analyst"].client.run(statements.fetch(one.digest))
    entry = Entry.of(one.digest, one.participant, bytes.fromhex(str(stated["signature"])[2:])).to_bytes()
    key = liar.parts.log_signer.verifier_key
    verify_receipt(one.receipt.encode(), entry, key)
    with pytest.raises(VerificationError):
        verify_receipt(two.receipt.encode(), entry, key)


def build(member: Member, *, deadline: int) -> Statement:
    """A statement that logs alone keep."""
    members = {"participant": member.id, "deadline": deadline, "salt": Bytes32(deadline.to_bytes(32, "big"))}
    return Statement.build("AccessDenial", **members, consumer=member.id, request=member.id, reasonHash=member.id)


def sign(liar: LyingWorld, member: Member, statement: Statement) -> SignedStatement:
    digest = statement.digest(liar.parts.domains)
    return SignedStatement(statement, member.signing.sign(digest), member.signing.address)
