"""The verifier's steps about who could sign, and when: keys, participants, deadlines, applications, contracts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.evidence import (
    Report,
    Verdict,
    Verifier,
    format_sentence,
    to_document,
)
from ledger.statements import (
    HistoryKind,
    Statement,
    address_of,
    compute_participant_id,
    sign_digest,
)
from ledger.types import Bytes32
from tests.support.evidence_world import (
    START,
    Stated,
    World,
    make_event,
    private_key,
    salt,
    word,
)
from tests.support.verified_case import REQUEST, Case, failed, left_open


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("case") / "data")


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
