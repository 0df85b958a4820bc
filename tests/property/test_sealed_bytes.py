"""Every byte of sealed evidence counts, and every byte of a policy: what a policy trusts is what its hash says.

`test_evidence_bytes` does the same for a chain without seals.
"""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical, parse_canonical
from ledger.errors import MalformedError
from ledger.evidence import Policy, Verdict, Verifier, parse_policy
from ledger.evidence.policy import CONTRACT_NAMES
from tests.property.test_evidence_bytes import holder_of, paths_of
from tests.support.measuring import in_steps

SEALED = Path(__file__).parents[1] / "vectors" / "evidence" / "sealed"
POLICY = (SEALED / "policy.json").read_bytes()
RAW = (SEALED / "good" / "sealed.json").read_bytes()
CLOSED = (SEALED / "good" / "under-a-closed-epoch.json").read_bytes()
BESIDE_THE_POINT: dict[tuple[str | int, ...], str] = {
    ("genesis_hash",): "a node is asked about it when the policy is made, and by --rpc",
    **{("contracts", name, "code_hash"): "as the genesis block" for name in CONTRACT_NAMES},
    ("contracts", "SharingAgreements", "address"): "this evidence is of no agreement",
    **{("epochs", 0, "validators", at): "a closed epoch counts by its root alone" for at in range(5)},
}
"""What neither evidence rests on, and why; all else in the policy, changed, leaves one of them without ground."""


@cache
def verifier() -> Verifier:
    return Verifier(parse_policy(POLICY))


def verdict(raw: bytes) -> Verdict:
    return verifier().verify(raw).verdict


def flip(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_both_are_good() -> None:
    assert verdict(RAW) is verdict(CLOSED) is Verdict.VERIFIED


@pytest.mark.timeout(240)
@in_steps
def test_every_byte_of_a_sealed_header_flipped_is_refuted(step: int) -> None:
    start = RAW.index(b'"header":')
    for at in range(start, RAW.index(b'"log_position":', start), step):
        assert verdict(flip(RAW, at)) is Verdict.REFUTED, at


@pytest.mark.timeout(240)
@in_steps
def test_bytes_of_sealed_evidence_flipped_are_refuted(step: int) -> None:
    for at in range(0, len(RAW), 9 * step):
        assert verdict(flip(RAW, at)) is Verdict.REFUTED, at


def test_every_part_of_sealed_evidence_dropped_is_refuted() -> None:
    document = parse_canonical(RAW)
    for path in paths_of(document):
        changed = copy.deepcopy(document)
        del holder_of(changed, path)[path[-1]]
        expected = Verdict.VERIFIED if path == ("effect",) else Verdict.REFUTED
        assert verdict(encode_canonical(changed)) is expected, path


def test_every_part_taken_from_a_closed_epoch_is_refuted() -> None:
    document, other, taken = parse_canonical(RAW), parse_canonical(CLOSED), 0
    for path in paths_of(document):
        changed = copy.deepcopy(document)
        try:
            value = holder_of(other, path)[path[-1]]
        except (IndexError, KeyError):
            continue
        if holder_of(changed, path)[path[-1]] == value:
            continue
        holder_of(changed, path)[path[-1]] = value
        taken += 1
        assert verdict(encode_canonical(changed)) is Verdict.REFUTED, path
    assert taken >= 20


def differing(one: Any, two: Any, path: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """Where two documents differ first: ``("contracts", "AccessGrants", "address")``."""
    if isinstance(one, dict) and isinstance(two, dict) and set(one) == set(two):
        return next(differing(one[name], two[name], (*path, name)) for name in one if one[name] != two[name])
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        return next(
            differing(*each, (*path, at)) for at, each in enumerate(zip(one, two, strict=True)) if each[0] != each[1]
        )
    return path


def reparse(raw: bytes) -> Policy | None:
    try:
        return parse_policy(raw)
    except MalformedError:
        return None


@pytest.mark.timeout(240)
@in_steps
def test_every_byte_of_a_policy_flipped_is_malformed_or_another_policy(step: int) -> None:
    """Never the same hash; and what the evidence rests on, changed, does not verify it any more."""
    document, own = parse_canonical(POLICY), parse_policy(POLICY)
    reparsed = 0
    for at in range(0, len(POLICY), step):
        changed = reparse(flip(POLICY, at))
        if changed is None:
            continue
        reparsed += 1
        assert changed.sha256 != own.sha256
        if all(Verifier(changed).verify(raw).verdict is Verdict.VERIFIED for raw in (CLOSED, RAW)):
            assert differing(document, parse_canonical(flip(POLICY, at))) in BESIDE_THE_POINT, at
    assert reparsed * step > 400


def test_every_member_of_a_policy_dropped_is_malformed_or_trusts_less() -> None:
    document = parse_canonical(POLICY)
    for path in paths_of(document):
        changed: Any = copy.deepcopy(document)
        del holder_of(changed, path)[path[-1]]
        policy = reparse(encode_canonical(changed))
        if policy is not None and path[:3] != ("epochs", 0, "validators"):  # it leaves the same pin
            verdicts = {Verifier(policy).verify(raw).verdict for raw in (CLOSED, RAW)}
            assert verdicts != {Verdict.VERIFIED}, path
