"""The verifier's steps: what passes, what each step refutes, and what it leaves open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.evidence import (
    BlockProof,
    Evidence,
    Header,
    Outcome,
    PinnedLog,
    Verdict,
    Verifier,
    format_sentence,
    to_document,
)
from ledger.log import Checkpoint, NoteSignature, NoteSigner, SignedNote
from ledger.statements import (
    address_of,
)
from tests.support.evidence_world import (
    ORIGIN,
    START,
    World,
    private_key,
    salt,
)
from tests.support.verified_case import REQUEST, Case, failed, left_open, outcomes


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("case") / "data")


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


def test_sealed_headers_wait_for_pinned_validators(case: Case) -> None:
    from tests.unit.test_header import Validators

    sealed = Validators().seal()
    report = case.check(anchored(case, header=sealed, block=None))
    assert left_open(report) == {9}
    block = BlockProof(0, 0, salt(1), ())
    assert "seals or a round" in case.check(anchored(case, header=sealed, block=block)).steps[8].detail
