"""The verifier's steps: what passes, what each step refutes, and what it leaves open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.content import scan_folder
from ledger.evidence import (
    BlockProof,
    Content,
    Evidence,
    Header,
    Node,
    Outcome,
    PinnedLog,
    PinnedRange,
    Policy,
    Report,
    Verdict,
    Verifier,
    format_sentence,
    to_document,
)
from ledger.evidence.signing import format_time
from ledger.log import Checkpoint, NoteSignature, NoteSigner, SignedNote
from ledger.statements import (
    Custody,
    HistoryKind,
    Statement,
    address_of,
    compute_participant_id,
    sign_digest,
)
from ledger.types import Bytes32
from tests.support.evidence_node import serve, serve_world
from tests.support.evidence_world import (
    CONTRACTS,
    ORIGIN,
    START,
    Stated,
    World,
    make_event,
    private_key,
    salt,
    word,
)

REQUEST: dict[str, Any] = {
    "dataset": salt(1), "firstVersion": 1, "lastVersion": 0, "purpose": salt(2), "rights": 1, "validFrom": 0,
    "validUntil": 99, "policyHash": salt(3),
}  # fmt: skip


class Case:
    """A world in which the utility stated one registration, which took effect, and the maker one request."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "big.bin").write_bytes(bytes(range(256)) * 8192 + b"tail")
        (folder / "small.csv").write_bytes(b"a,b")
        self.scanned = scan_folder(folder)
        self.world = world = World()
        self.utility = world.admit("utility", 2)
        world.admit("maker", 3, Custody.CUSTODIAL)
        self.registration = world.register("utility", 1, self.scanned.manifest, chunks=self.scanned.chunks)
        self.request = world.state("maker", "AccessRequest", provider=self.utility.id, **REQUEST)
        world.publish(before=[make_event("LogAttested", [salt(5)], bytes(128))])
        self.enforce(self.registration)
        self.late = world.state("maker", "AccessRequest", provider=self.utility.id, **REQUEST)
        world.publish()
        self.policy = world.policy()
        self.evidence = world.prove_stated(self.registration)

    def enforce(self, stated: Stated) -> None:
        key = address_of(self.utility.signing)
        self.world.take_effect(stated, "DatasetRegistered", [salt(40), self.utility.id], word(key) + bytes(160))

    def check(self, evidence: Evidence, *, policy: Policy | None = None, data: Path | None = None) -> Report:
        return Verifier(policy or self.policy).verify(evidence.to_bytes(), data=data)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("case") / "data")


def outcomes(report: Report) -> dict[int, Outcome]:
    return {step.number: step.outcome for step in report.steps}


def failed(report: Report) -> set[int]:
    return {step.number for step in report.steps if step.outcome is Outcome.FAIL}


def left_open(report: Report) -> set[int]:
    return {step.number for step in report.steps if step.leaves_open}


def test_a_registration_in_force(case: Case) -> None:
    report = case.check(case.evidence, data=case.folder)
    assert report.verdict is Verdict.VERIFIED
    assert [step.number for step in report.steps] == list(range(1, 13))
    assert outcomes(report)[11] is Outcome.PASS
    assert outcomes(report)[12] is Outcome.NOT_APPLICABLE
    sentence = format_sentence(report)
    for words in (
        f"Participant {case.utility.id} stated this DatasetRegistration,",
        "DatasetRegistration, self-declared as utility/power@1 in its metadata,",
        "no later than 2027-01-15T08:00:50Z",
        f"its own key {address_of(case.utility.signing)}",
        "It is in force since block 6",
        "the pin of blocks 0 to 7 in your policy",
        "whether the dataset was retired since",
    ):
        assert words in sentence
    document = to_document(report)
    assert document["verdict"] == "verified"
    assert document["in_force"] == {"event": "DatasetRegistered", "block": "6", "time": "2027-01-15T08:01:00Z"}
    assert document["stated_no_later_than"] == "2027-01-15T08:00:50Z"


def test_a_request_that_only_logs_keep(case: Case) -> None:
    report = case.check(case.world.prove_stated(case.request))
    assert report.verdict is Verdict.VERIFIED
    assert "that a gateway holds for it. It is said in the log, which alone keeps" in format_sentence(report)
    assert outcomes(report)[11] is Outcome.NOT_APPLICABLE
    assert to_document(report)["in_force"] is None


def test_said_and_not_in_force(case: Case) -> None:
    report = case.check(replace(case.evidence, effect=None, content=None))
    assert report.verdict is Verdict.VERIFIED
    assert "not as in force by a contract" in format_sentence(report)
    assert "step 11, data: the evidence carries no manifest" in format_sentence(report)


def test_fork_fields_and_the_second_checkpoint(case: Case) -> None:
    assert case.check(case.world.prove_stated(case.late)).verdict is Verdict.VERIFIED
    world = World(fork_fields={"baseFeePerGas": "0x7", "withdrawalsRoot": str(salt(1)), "blobGasUsed": "0x0"})
    stated = world.state("gateway", "AccessRequest", provider=salt(1), **REQUEST)
    world.publish()
    assert Verifier(world.policy()).verify(world.prove_stated(stated).to_bytes()).verdict is Verdict.VERIFIED


# Step 2


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff\xfe", b"[" * 99])
def test_malformed_evidence_is_refuted(case: Case, raw: bytes) -> None:
    report = Verifier(case.policy).verify(raw)
    assert report.verdict is Verdict.REFUTED
    assert failed(report) == {2}
    assert format_sentence(report).startswith("Refuted: step 2, statement:")
    assert set(to_document(report)) == {"source", "verdict", "sentence", "steps", "rests_on", "not_checked"}


def test_an_unknown_type_is_undetermined(case: Case) -> None:
    evidence = replace(case.evidence, type_name="DatasetBlessing", message={**case.evidence.message, "mood": "5"})
    report = case.check(evidence)
    assert report.verdict is Verdict.UNDETERMINED
    assert left_open(report) == {2}
    assert format_sentence(report).startswith("Undetermined, because this is missing: step 2")
    assert outcomes(report)[6] is Outcome.PASS
    assert outcomes(report)[9] is Outcome.PASS


def test_a_renamed_type_is_refuted(case: Case) -> None:
    report = case.check(replace(case.evidence, type_name="DatasetRegistratioo"))
    assert failed(report) == {2}
    assert report.steps[1].expected == "DatasetRegistration"


def test_surplus_parts_are_refuted(case: Case) -> None:
    request = case.world.prove_stated(case.request)
    assert failed(case.check(replace(request, content=case.evidence.content))) == {2}
    assert failed(case.check(replace(case.evidence, cosignature=bytes(65)))) == {2}


# Step 3


def test_a_signature_of_another_key(case: Case) -> None:
    world = World()
    world.admit("utility", 2)
    stated = world.state("utility", "DatasetRetirement", key=private_key(9), datasetSalt=salt(1))
    world.publish()
    report = Verifier(world.policy()).verify(world.prove_stated(stated).to_bytes())
    assert failed(report) == {3}
    assert outcomes(report)[10] is Outcome.NOT_CHECKED


def test_signatures_that_are_not_canonical(case: Case) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    good = case.evidence.signature
    high = good[:32] + (order - int.from_bytes(good[32:64], "big")).to_bytes(32, "big") + bytes([good[64] ^ 7])
    for signature in (high, good[:64] + b"\0", bytes(65)):
        report = case.check(replace(case.evidence, signature=signature))
        assert failed(report) == {3, 5}
        assert {"expected", "found"} <= set(report.steps[4].to_document())
    stranger = good[:64] + bytes([55 - good[64]])  # the effect shows who signed, the entry that it was not this
    assert failed(case.check(replace(case.evidence, signature=stranger))) == {5}
    assert failed(case.check(replace(case.evidence, signature=stranger, effect=None))) == {3, 5}


# Steps 4 and 5


def test_another_statement_for_the_same_entry(case: Case) -> None:
    report = case.check(replace(case.evidence, message=case.evidence.message | {"version": "2"}))
    assert {3, 5, 7} <= failed(report)


@pytest.mark.parametrize("index", [1, 2, 2**63 - 1])
def test_another_index(case: Case, index: int) -> None:
    assert failed(case.check(replace(case.evidence, log=replace(case.evidence.log, index=index)))) == {5}


def test_a_root_for_another_size(case: Case) -> None:
    published = case.world.published[0]
    log = case.world.signer
    for size in (1, 3, 2**40):
        note = log.sign(Checkpoint(ORIGIN, size, published.root).text).to_bytes()
        report = case.check(replace(case.evidence, log=replace(case.evidence.log, checkpoint=note)))
        assert 7 in failed(report)
        assert outcomes(report)[6] is Outcome.PASS


def test_a_later_checkpoint_passed_off_as_the_first(case: Case) -> None:
    evidence = case.world.prove_stated(case.registration, published=case.world.published[1])
    report = case.check(evidence)
    assert failed(report) == {5}
    assert report.steps[4].found == "0"


# Step 6


def with_note(case: Case, note: bytes) -> Evidence:
    return replace(case.evidence, log=replace(case.evidence.log, checkpoint=note))


def test_checkpoints_that_the_log_did_not_sign_alone(case: Case) -> None:
    signed = SignedNote.parse(case.evidence.log.checkpoint)
    line = signed.signatures[0]
    other = NoteSigner("witness.example", bytes(32)).sign(signed.text).signatures[0]
    notes = {
        "surplus": SignedNote(signed.text, (line, other)),
        "twice": SignedNote(signed.text, (line, line)),
        "another": SignedNote(signed.text, (other,)),
        "false": SignedNote(signed.text, (NoteSignature(line.name, line.key_id, bytes(64)),)),
        "renamed": SignedNote(signed.text, (NoteSignature(line.name, b"abcd", line.signature),)),
        "origin": case.world.signer.sign("other.example\n" + signed.text.partition("\n")[2]),
    }
    for name, note in notes.items():
        assert failed(case.check(with_note(case, note.to_bytes()))) == {6}, name
    for raw in (b"", b"x\n\n", b"not a checkpoint\n\n" + line.to_line().encode() + b"\n"):
        report = case.check(with_note(case, raw))
        assert failed(report) == {6}
        assert outcomes(report)[5] is outcomes(report)[7] is Outcome.NOT_CHECKED


def test_a_log_or_key_that_the_policy_does_not_know(case: Case) -> None:
    assert left_open(case.check(case.evidence, policy=replace(case.policy, logs=()))) == {6}
    fresh = NoteSigner(ORIGIN, b"\x05" * 32)
    only = PinnedLog(case.policy.logs[0].operator, ORIGIN, (fresh.verifier_key,))
    report = case.check(case.evidence, policy=replace(case.policy, logs=(only,)))
    assert (left_open(report), failed(report)) == ({6}, set())
    # The event's log is another than the checkpoint's origin says.
    other = replace(only, operator=salt(5), keys=case.policy.logs[0].keys)
    assert failed(case.check(case.evidence, policy=replace(case.policy, logs=(other,)))) == {7}


# Steps 7 to 9


def anchored(case: Case, **changes: Any) -> Evidence:
    return replace(case.evidence, anchor=replace(case.evidence.anchor, **changes))


def test_events_that_are_not_the_checkpoints(case: Case) -> None:
    for changes in ({"log_position": 0}, {"log_position": 9}, {"receipt": b"\xc0"}):
        report = case.check(anchored(case, **changes))
        assert 7 in failed(report)
        assert outcomes(report)[10] is Outcome.NOT_CHECKED
        assert outcomes(report)[6] is Outcome.PASS


def test_an_event_of_another_contract(case: Case) -> None:
    contracts = dict(case.policy.contracts)
    for name, other in (("CheckpointLog", "AccessGrants"), ("AccessGrants", "CheckpointLog")):
        contracts[name] = case.policy.contracts[other]
    policy = replace(case.policy, contracts=contracts)
    assert failed(case.check(case.world.prove_stated(case.request), policy=policy)) >= {7}


def test_an_effect_of_another_statement_or_kind(case: Case) -> None:
    other = case.world.prove_stated(case.request)
    report = case.check(replace(other, effect=case.evidence.effect))
    assert failed(report) == {7}
    assert report.in_force is None


def test_receipts_of_another_block_or_place(case: Case) -> None:
    other = case.world.prove_stated(case.late).anchor
    assert 8 in failed(case.check(anchored(case, header=other.header, block=other.block)))
    assert 8 in failed(case.check(anchored(case, receipt=other.receipt)))
    assert failed(case.check(anchored(case, receipt_index=0))) == {8}
    assert failed(case.check(anchored(case, receipt_proof=()))) == {8}
    assert failed(case.check(anchored(case, header=b"\xc0"))) == {8, 9}


def test_a_block_that_the_pin_does_not_hold(case: Case) -> None:
    block = case.evidence.anchor.block
    assert block is not None
    for change in (
        {"root": salt(1)},
        {"first": 6},
        {"last": 4},
        {"proof": block.proof[1:]},
        {"first": 1},
        {"last": block.last + 1},
    ):
        assert failed(case.check(anchored(case, block=replace(block, **change)))) == {9}, change
    header = Header.parse(case.evidence.anchor.header)
    forged = Header((*header.fields[:3], b"\1" * 32, *header.fields[4:]))
    assert failed(case.check(anchored(case, header=forged.to_bytes()))) == {9}


def test_another_pin_of_the_same_blocks(case: Case) -> None:
    ours = case.policy.epochs[0]
    assert ours.last is not None
    forged = replace(case.policy, epochs=(replace(ours, root=salt(1)),))
    assert failed(case.check(case.evidence, policy=forged)) == {9}
    moved = replace(case.policy, epochs=(replace(ours, last=ours.last + 1),))
    report = case.check(case.evidence, policy=moved)
    assert failed(report) == {9}
    assert report.steps[8].found == "blocks 0 to 7"


def test_evidence_under_a_pin_that_the_policy_does_not_know(case: Case) -> None:
    policy = case.world.policy(5)
    report = case.check(replace(case.evidence, effect=None), policy=policy)
    assert report.verdict is Verdict.UNDETERMINED
    assert "ask for the evidence with first=0 and last=5" in format_sentence(report)
    assert report.time is None
    again = case.world.prove_stated(replace(case.registration, effect=None), last=5)
    assert case.check(again, policy=policy).verdict is Verdict.VERIFIED
    beyond = case.check(case.evidence, policy=case.world.policy(3))
    assert "your policy pins no range with this block" in format_sentence(beyond)
    both = replace(policy, epochs=(*policy.epochs, *case.policy.epochs))
    assert case.check(case.evidence, policy=both).verdict is Verdict.VERIFIED


def test_a_header_without_seals_needs_a_block_proof(case: Case) -> None:
    report = case.check(anchored(case, block=None))
    assert failed(report) == {9}
    assert "no seals" in report.steps[8].detail


def test_the_event_names_its_blocks_time(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    stated = world.state("gateway", "AccessRequest", provider=salt(1), **REQUEST)
    world.fork_fields = {"timestamp": hex(START + 7)}
    world.publish()
    report = Verifier(world.policy()).verify(world.prove_stated(stated).to_bytes())
    assert failed(report) == {9}


# Step 10


def revoked(world: World, handle: str) -> tuple[HistoryKind, bytes, bytes]:
    member = world.members[handle]
    return (HistoryKind.KEY_REVOKED, member.id, address_of(member.signing))


def run(build: Callable[[World], Stated], *, deadline: int = START + 100_000) -> Report:
    """Publish a checkpoint with something else, let ``build`` state, publish again, verify."""
    world = World()
    world.admit("utility", 2)
    world.state("gateway", "AccessRequest", provider=salt(1), **REQUEST)
    world.publish()
    stated = build(world)
    if not stated.index < world.published[-1].size:
        world.publish()
    return Verifier(world.policy()).verify(world.prove_stated(stated).to_bytes())


def retire(world: World, **members: Any) -> Stated:
    return world.state("utility", "DatasetRetirement", **{"datasetSalt": salt(1), **members})


def revoke_grant(world: World) -> Stated:
    return world.state("utility", "AccessRevocation", grant=salt(1))


def test_a_key_revoked_before_within_and_after(case: Case) -> None:
    def before(world: World) -> Stated:
        world.extend_history(revoked(world, "utility"))
        world.publish()
        return retire(world)

    def within(world: World) -> Stated:
        stated = retire(world)
        world.extend_history(revoked(world, "utility"))
        return stated

    def after(world: World) -> Stated:
        stated = retire(world)
        world.publish()
        world.extend_history(revoked(world, "utility"))
        return stated

    assert failed(run(before)) == {10}
    report = run(within)
    assert (failed(report), left_open(report)) == (set(), {10})
    assert "only at some moment since the checkpoint before" in format_sentence(report)
    assert run(after).verdict is Verdict.VERIFIED


def test_a_suspended_participant_may_only_revoke(case: Case) -> None:
    def suspended(state: Callable[[World], Stated]) -> Callable[[World], Stated]:
        def build(world: World) -> Stated:
            world.extend_history((HistoryKind.SUSPENDED, world.members["utility"].id, 0))
            world.publish()
            return state(world)

        return build

    assert failed(run(suspended(retire))) == {10}
    assert run(suspended(revoke_grant)).verdict is Verdict.VERIFIED


def test_a_history_with_one_change_left_out(case: Case) -> None:
    for at in range(len(case.evidence.history)):
        history = case.evidence.history[:at] + case.evidence.history[at + 1 :]
        assert 10 in failed(case.check(replace(case.evidence, history=history)))
    longer = (*case.evidence.history, case.evidence.history[-1])
    assert failed(case.check(replace(case.evidence, history=longer))) == {10}


def test_a_kind_of_record_from_the_future_leaves_it_open() -> None:
    def build(world: World) -> Stated:
        world.extend_history((99, salt(1), 0))  # type: ignore[arg-type]  # no kind that is known
        return retire(world)

    assert left_open(run(build)) == {10}


def test_a_deadline_that_passed_before_the_checkpoint() -> None:
    report = run(lambda world: retire(world, deadline=START + 10))
    assert left_open(report) == {10}
    assert "the deadline 2027-01-15T08:00:10Z passed" in format_sentence(report)
    far = run(lambda world: retire(world, deadline=2**64 - 1))
    assert far.verdict is Verdict.VERIFIED


def test_the_contract_itself_settles_what_the_checkpoint_leaves_open() -> None:
    def rotate(world: World) -> Stated:
        member = world.members["utility"]
        fresh = private_key(77)
        stated = world.state("utility", "ControlKeyRotation", newKey=address_of(fresh))
        stated.cosignature = sign_digest(fresh, stated.statement.digest(world.domains))
        world.take_effect(stated, "ControlKeyRotated", [member.id, address_of(fresh)])
        world.extend_history((HistoryKind.CONTROL_KEY_SET, member.id, address_of(fresh)))
        return stated

    report = run(rotate)
    assert report.verdict is Verdict.VERIFIED
    assert "it could act just before block" in report.steps[9].detail
    assert "its control key" in format_sentence(report)

    def lifted_late(world: World) -> Stated:
        stated = retire(world, deadline=START + 10)
        key = address_of(world.members["utility"].signing)
        world.take_effect(stated, "DatasetRetired", [salt(1), world.members["utility"].id], word(key))
        return stated

    assert left_open(run(lifted_late)) == {10}

    def by_another_key(world: World) -> Stated:
        stated = retire(world)
        world.take_effect(stated, "DatasetRetired", [salt(1), salt(2)], word(b"\x33" * 20))
        world.extend_history(revoked(world, "utility"))
        return stated

    assert left_open(run(by_another_key)) == {10}


def rotate_keys(world: World) -> tuple[bytes, bytes]:
    """Revoke the signing key of the utility and give it another; return both."""
    member = world.members["utility"]
    old, new = member.signing, private_key(5555)
    added = (HistoryKind.KEY_ADDED, member.id, int.from_bytes(address_of(new), "big"))
    world.extend_history(revoked(world, "utility"), added)
    return old, new


def update_profile(world: World, key: bytes, version: int = 2) -> Stated:
    return world.state("utility", "ProfileUpdate", key=key, version=version, profileHash=salt(3))


def executed(world: World, stated: Stated) -> Stated:
    """Have the contract execute it, signed by whatever key: its event does not say."""
    world.take_effect(stated, "ProfileUpdated", [stated.statement.participant], word(2) + salt(3))
    return stated


def test_an_event_without_a_signer_vouches_for_no_revoked_key() -> None:
    def before_the_checkpoint(world: World) -> Stated:
        old, _ = rotate_keys(world)
        world.publish()
        return executed(world, update_profile(world, old))

    assert failed(run(before_the_checkpoint)) == {10}

    def after_the_checkpoint(world: World) -> Stated:
        old, _ = rotate_keys(world)
        world.publish()
        stated = update_profile(world, old)
        world.publish()
        return executed(world, stated)

    report = run(after_the_checkpoint)
    assert (failed(report), left_open(report)) == (set(), {10})
    assert "could act at no moment since the checkpoint before" in format_sentence(report)
    assert "the effect's event names no signer" in format_sentence(report)

    def revoked_since_the_checkpoint_before(world: World) -> Stated:
        old, _ = rotate_keys(world)
        return executed(world, update_profile(world, old))

    assert left_open(run(revoked_since_the_checkpoint_before)) == {10}


def test_an_event_without_a_signer_and_a_key_that_could_act_before_it() -> None:
    def build(world: World) -> Stated:
        stated = executed(world, update_profile(world, world.members["utility"].signing))
        rotate_keys(world)
        return stated

    assert run(build).verdict is Verdict.VERIFIED


@pytest.mark.parametrize(("others", "opened"), [(0, set()), (1, {10})])
def test_a_statement_that_ends_its_own_keys_power(others: int, opened: set[int]) -> None:
    def build(world: World) -> Stated:
        member = world.members["utility"]
        stated = world.state("utility", "ParticipantRetirement")
        digest = stated.statement.digest(world.domains)
        changes = [(HistoryKind.PROFILE_UPDATED, member.id, salt(at)) for at in range(others)]
        changes.append((HistoryKind.RETIRED, member.id, Bytes32(bytes(32))))
        stated.effect = world.prove(
            world.extend_history(*changes, also=[make_event("ParticipantRetired", [digest, member.id])]),
            0, len(changes),
        )  # fmt: skip
        return stated

    assert left_open(run(build)) == opened


# Signers that the statement names, co-signatures, contracts as signers


def apply(world: World, *, control: bytes, seed: int = 50, signer: bytes | None = None, known: bool = True) -> Stated:
    fresh = private_key(51)
    participant = compute_participant_id(address_of(control), salt(seed)) if known else salt(1)
    statement = Statement.build(
        "ParticipantApplication", participant=participant, controlKey=address_of(control), signingKey=address_of(fresh),
        custody=0, profileHash=salt(1), deadline=START + 1000, salt=salt(seed),
    )  # fmt: skip
    digest = statement.digest(world.domains)
    return world.append(statement, sign_digest(signer or control, digest), sign_digest(fresh, digest))


def test_an_application_proves_itself() -> None:
    control = private_key(50)
    report = run(lambda world: apply(world, control=control))
    assert report.verdict is Verdict.VERIFIED
    assert "that the statement itself names" in format_sentence(report)
    assert failed(run(lambda world: apply(world, control=control, signer=private_key(9)))) == {3}
    assert failed(run(lambda world: apply(world, control=control, known=False))) == {3}

    def without_cosignature(world: World) -> Stated:
        return replace(apply(world, control=control), cosignature=None)

    def with_another(world: World) -> Stated:
        stated = apply(world, control=control)
        return replace(stated, cosignature=stated.signature)

    def late(world: World) -> Stated:
        stated = apply(world, control=control)
        for _ in range(120):
            world.mine()
        return stated

    assert failed(run(without_cosignature)) == {3}
    assert failed(run(with_another)) == {3}
    assert left_open(run(late)) == {10}

    def filed(world: World) -> Stated:
        stated = without_cosignature(world)
        world.take_effect(stated, "ApplicationFiled", [stated.statement.participant], bytes(128))
        return stated

    report = run(filed)
    assert report.verdict is Verdict.VERIFIED
    assert "It is filed on chain since block" in format_sentence(report)

    def filed_elsewhere(world: World) -> Stated:
        stated = filed(world)
        assert stated.effect is not None
        stated.effect = replace(stated.effect, receipt_proof=())
        return stated

    report = run(filed_elsewhere)
    assert (failed(report), left_open(report)) == ({8}, {3})


def test_a_control_key_claim_is_signed_by_the_key_claimed() -> None:
    def claim(key: bytes) -> Callable[[World], Stated]:
        return lambda world: world.state("utility", "ControlKeyClaim", key=key, newKey=address_of(private_key(60)))

    report = run(claim(private_key(60)))
    assert report.verdict is Verdict.VERIFIED
    assert report.statement is not None
    sentence = format_sentence(report)
    assert sentence.startswith(
        f"Somebody who holds the key {address_of(private_key(60))} that the statement itself names"
    )
    assert f"claims with it the control key of participant {report.statement.participant}, who need not" in sentence
    assert f"Participant {report.statement.participant} stated" not in sentence
    assert failed(run(claim(private_key(61)))) == {3}


def retire_by_contract(
    world: World, signature: bytes, *, shown: bool = True, signer: bytes = b"\x44" * 20, known: bool = True
) -> Stated:
    member = world.members["utility"]
    if known:
        world.extend_history((HistoryKind.KEY_ADDED, member.id, signer))
    statement = Statement.build(
        "DatasetRetirement", participant=member.id, datasetSalt=salt(1), deadline=START + 9999, salt=salt(1)
    )
    stated = world.append(statement, signature)
    if shown:
        world.take_effect(stated, "DatasetRetired", [salt(1), member.id], word(signer))
    return stated


@pytest.mark.parametrize("signature", [b"erc-1271", sign_digest(private_key(9), bytes(32))])
def test_a_contract_as_signer_is_shown_by_the_event_alone(signature: bytes) -> None:
    report = run(lambda world: retire_by_contract(world, signature))
    assert report.verdict is Verdict.VERIFIED
    assert "0x" + "44" * 20 in format_sentence(report)
    assert failed(run(lambda world: retire_by_contract(world, signature, known=False))) == {3}
    hidden = run(lambda world: retire_by_contract(world, signature, shown=False))
    assert hidden.verdict is not Verdict.VERIFIED
    assert (left_open(hidden) | failed(hidden)) == {3}


def log_unsigned(world: World, signature: bytes, *, signer: bytes | None = None, deadline: int = 9999) -> Stated:
    """Log bytes that show nobody's signature, have them anchored, and only then let the contract be given one."""
    member = world.members["utility"]
    statement = Statement.build(
        "DatasetRetirement", participant=member.id, datasetSalt=salt(1), deadline=START + deadline, salt=salt(1)
    )
    stated = world.append(statement, signature)
    world.publish()
    for _ in range(20):
        world.mine()
    key = address_of(member.signing) if signer is None else signer
    if signer is not None:
        world.extend_history((HistoryKind.KEY_ADDED, member.id, signer))
    world.take_effect(stated, "DatasetRetired", [salt(1), member.id], word(key))
    return stated


@pytest.mark.parametrize("signature", [b"\x00\x00\x00", sign_digest(private_key(9), bytes(32))])
def test_bytes_that_show_no_signature_are_dated_by_the_effect(signature: bytes) -> None:
    report = run(lambda world: log_unsigned(world, signature))
    assert report.verdict is Verdict.VERIFIED
    assert report.in_force is not None
    assert report.time == report.in_force.time
    executed = to_document(report)["stated_no_later_than"]
    sentence = format_sentence(report)
    assert f"no later than {executed}, with its own key" in sentence
    assert "as the contract's event says (the bytes in the log do not show it)" in sentence
    late = run(lambda world: log_unsigned(world, signature, deadline=100))
    assert left_open(late) == {10}
    assert "where the contract found out who signed" in format_sentence(late)


def test_bytes_that_show_no_signature_of_a_key_that_came_later() -> None:
    report = run(lambda world: log_unsigned(world, b"", signer=address_of(private_key(77))))
    assert (failed(report), left_open(report)) == (set(), {3})
    assert "ask for the evidence with a newer checkpoint" in format_sentence(report)
    assert report.time is None
    assert "stated_no_later_than" not in to_document(report)


def test_a_key_that_could_not_act_yet_is_dated_by_the_effect() -> None:
    def build(world: World) -> Stated:
        member = world.members["utility"]
        world.extend_history((HistoryKind.SUSPENDED, member.id, 0))
        world.publish()
        stated = retire(world)
        world.publish()
        world.extend_history((HistoryKind.REINSTATED, member.id, 0))
        world.take_effect(stated, "DatasetRetired", [salt(1), member.id], word(address_of(member.signing)))
        return stated

    report = run(build)
    assert report.verdict is Verdict.VERIFIED
    assert report.in_force is not None
    assert report.time == report.in_force.time


def test_an_event_that_does_not_say_who_signed() -> None:
    def revoke_key(world: World) -> Stated:
        member = world.members["utility"]
        statement = Statement.build(
            "KeyRevocation", participant=member.id, key=address_of(member.signing), deadline=START + 9999, salt=salt(1)
        )
        stated = world.append(statement, b"erc-1271")
        world.take_effect(stated, "KeyRevoked", [member.id, address_of(member.signing)])
        return stated

    report = run(revoke_key)
    assert (failed(report), left_open(report)) == (set(), {3})


# Step 11


def test_content_that_is_not_the_registered_one(case: Case) -> None:
    content = case.evidence.content
    assert isinstance(content, Content)
    assert content.metadata is not None
    for changed in (
        replace(content, version_salt=salt(1)),
        replace(content, metadata=replace(content.metadata, salt=salt(1))),
        replace(content, metadata=replace(content.metadata, document={"slug": "other"})),
        replace(content, chunks={"format": "concord-chunks/1", "files": []}),
        replace(content, manifest={}),
    ):
        report = case.check(replace(case.evidence, content=changed), data=case.folder)
        assert failed(report) == {11}
        assert report.dataset is None
    assert case.check(replace(case.evidence, content=replace(content, metadata=None))).dataset is None


def test_data_that_changed_are_named(case: Case, tmp_path: Path) -> None:
    raw = bytearray((case.folder / "big.bin").read_bytes())
    raw[2_097_000] ^= 1
    (tmp_path / "big.bin").write_bytes(raw)
    (tmp_path / "small.csv").write_bytes(b"a,b")
    (tmp_path / "extra.txt").write_bytes(b"?")
    report = case.check(case.evidence, data=tmp_path)
    assert failed(report) == {11}
    assert "big.bin differs in chunk 1 (bytes 1048576 to 2097151)" in report.steps[10].detail
    assert "surplus: extra.txt" in report.steps[10].detail


def test_data_that_are_missing_leave_it_open(case: Case, tmp_path: Path) -> None:
    report = case.check(case.evidence, data=tmp_path)
    assert (failed(report), left_open(report)) == (set(), {11})
    assert "big.bin is not there" in report.steps[10].detail
    assert left_open(case.check(case.evidence, data=tmp_path / "nowhere")) == {11}
    bare = replace(case.evidence, content=None)
    assert left_open(case.check(bare, data=tmp_path)) == {11}


def test_many_findings_are_shortened(tmp_path: Path) -> None:
    for number in range(15):
        (tmp_path / f"{number:02}.csv").write_bytes(b"x")
    world = World()
    stated = world.register("gateway", 1, scan_folder(tmp_path).manifest, metadata={"title": "no names"})
    world.publish()
    raw = world.prove_stated(stated).to_bytes()
    for path in tmp_path.iterdir():
        path.unlink()
    report = Verifier(world.policy()).verify(raw, data=tmp_path)
    assert "and 5 more" in report.steps[10].detail
    assert report.dataset is None


# With a node


def test_a_node_knows_what_the_policy_does_not(case: Case) -> None:
    with serve_world(case.world) as url:
        raw = case.evidence.to_bytes()
        report = Verifier(case.policy, Node(url)).verify(raw)
        assert report.verdict is Verdict.VERIFIED
        assert "and the node 127.0.0.1" in report.rests_on[0]
        unpinned = replace(case.policy, epochs=())
        report = Verifier(unpinned, Node(url)).verify(raw)
        assert report.verdict is Verdict.VERIFIED
        assert report.rests_on[0].startswith("the node 127.0.0.1")
        other = replace(case.policy, chain_id=99)
        report = Verifier(other, Node(url)).verify(raw)
        assert outcomes(report)[1] is Outcome.NOT_CHECKED


def test_a_node_with_another_history(case: Case) -> None:
    forged = [block.form | {"hash": str(salt(1))} if block.number == 5 else block.form for block in case.world.blocks]
    original = case.world.blocks[5].form
    with serve_world(case.world) as url:
        case.world.blocks[5].form = forged[5]
        try:
            pinned = Verifier(case.policy, Node(url)).verify(case.evidence.to_bytes())
            unpinned = Verifier(replace(case.policy, epochs=()), Node(url)).verify(case.evidence.to_bytes())
        finally:
            case.world.blocks[5].form = original
    assert (failed(pinned), left_open(pinned)) == (set(), {9})
    assert "that chain was rewritten since" in pinned.steps[8].detail
    assert failed(unpinned) == {9}


def test_a_node_that_is_away(case: Case) -> None:
    with serve(lambda _: (200, b"")) as url:
        pass
    report = Verifier(case.policy, Node(url, timeout_s=2)).verify(case.evidence.to_bytes())
    assert (left_open(report), failed(report)) == ({1}, set())


def test_sealed_headers_wait_for_pinned_validators(case: Case) -> None:
    from tests.unit.test_header import Validators

    sealed = Validators().seal()
    report = case.check(anchored(case, header=sealed, block=None))
    assert left_open(report) == {9}
    block = BlockProof(0, 0, salt(1), ())
    assert "seals or a round" in case.check(anchored(case, header=sealed, block=block)).steps[8].detail


def test_reports_of_nothing_verified_have_no_sentence() -> None:
    with pytest.raises(ValueError, match="a statement and a time"):
        format_sentence(Report("x", ()))


def test_pins_describe_themselves() -> None:
    assert str(PinnedRange(0, 812, Bytes32(bytes(32)))) == "blocks 0 to 812"
    assert CONTRACTS


def test_times_beyond_the_calendar() -> None:
    assert format_time(2**64 - 1) == "second 18446744073709551615"
    assert format_time(START) == "2027-01-15T08:00:00Z"
