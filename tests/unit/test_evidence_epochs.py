"""Epochs of validators: followed through recorded networks, and refused where headers, seals or votes do not fit."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import MalformedError, VerificationError
from ledger.evidence import Header, PinnedRange, Policy, compute_block_root, encode_header, extend_epochs
from ledger.statements import address_of
from ledger.types import Address, Bytes32
from tests.support.evidence_world import World, salt
from tests.support.qbft_world import SealedWorld, sealed_by, validator_keys, with_seals

VECTORS = Path(__file__).parents[1] / "vectors" / "qbft"
NETWORKS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(VECTORS.glob("*.json"))}
# By network: the first of the recorded blocks without a gap, and the last of the larger set of validators.
VOTED_OUT = {"besu_london": (99, 103), "besu_cancun": (12, 17)}
DROP, ADD = b"", b"\xff"


@pytest.fixture(scope="module")
def plain() -> Policy:
    return World().policy()


def recorded(name: str, first: int) -> list[dict[str, Any]]:
    return [block for block in NETWORKS[name]["blocks"] if int(block["number"], 16) >= first]


def open_policy(plain: Policy, first: int, validators: list[str] | tuple[Address, ...]) -> Policy:
    addresses = tuple(each if isinstance(each, Address) else Address.parse(each) for each in validators)
    return replace(plain, epochs=(PinnedRange(first, None, None, addresses),))


@pytest.mark.parametrize("name", VOTED_OUT)
def test_recorded_networks_that_voted_one_out(name: str, plain: Policy) -> None:
    first, last = VOTED_OUT[name]
    blocks, before = recorded(name, first), NETWORKS[name]["validators_at_genesis"]
    policy = open_policy(plain, first, before)
    after = extend_epochs(policy, map(encode_header, blocks))
    hashes = [Bytes32.parse(block["hash"]) for block in blocks if int(block["number"], 16) <= last]
    remaining = tuple(Address.parse(each) for each in before if each != NETWORKS[name]["removed"])
    closed = PinnedRange(first, last, compute_block_root(hashes), policy.epochs[0].validators)
    assert after.epochs == (closed, PinnedRange(last + 1, None, None, remaining))
    # The same again, from either epoch's first block on, changes nothing.
    assert extend_epochs(after, map(encode_header, blocks)) == after
    assert extend_epochs(after, map(encode_header, blocks[len(hashes) :])) == after
    # Nor do blocks without a change.
    assert extend_epochs(policy, map(encode_header, blocks[: len(hashes)])) == policy


def test_recorded_votes_that_do_not_suffice(plain: Policy) -> None:
    name, (first, last) = "besu_london", VOTED_OUT["besu_london"]
    blocks = recorded(name, last - 1)  # two of the three votes
    policy = open_policy(plain, last - 1, NETWORKS[name]["validators_at_genesis"])
    with pytest.raises(VerificationError, match="votes in the blocks before do not"):
        extend_epochs(policy, map(encode_header, blocks))
    blocks = recorded(name, first)
    with pytest.raises(VerificationError, match="gap"):
        extend_epochs(open_policy(plain, first, policy.epochs[0].validators), map(encode_header, blocks[::2]))


def test_a_recorded_network_with_a_gap(plain: Policy) -> None:
    network = NETWORKS["goquorum_4"]
    headers = list(map(encode_header, recorded("goquorum_4", 23)))
    policy = open_policy(plain, 23, network["validators_at_genesis"])
    assert extend_epochs(policy, headers[:-1]) == policy
    with pytest.raises(VerificationError, match="gap"):
        extend_epochs(policy, headers)
    after = open_policy(plain, 27, [each for each in network["validators_at_genesis"] if each != network["removed"]])
    assert extend_epochs(after, headers[-1:]) == after


def test_from_the_genesis_block_through_every_change() -> None:
    world = SealedWorld()
    four = world.validators
    world.vote_out(3)
    first_change = len(world.blocks)
    world.mine()
    joining = validator_keys(9)[0]
    newcomer = SealedWorld(keys=[joining]).validators[0]
    world.mine(vote=(newcomer, ADD), proposer=0)
    world.mine(vote=(newcomer, ADD), proposer=1)
    three, second_change = world.validators, len(world.blocks)
    world.keys = sorted([*world.keys, joining], key=lambda key: SealedWorld(keys=[key]).validators)
    world.mine()
    policy = world.policy()
    assert [(each.first, each.last, each.validators) for each in policy.sealed_epochs] == [
        (0, first_change - 1, four),
        (first_change, second_change - 1, three),
        (second_change, None, world.validators),
    ]
    assert newcomer in world.validators
    assert policy.open_epoch == policy.epochs[-1]
    world.mine()
    assert extend_epochs(policy, world.headers()) == policy
    assert extend_epochs(policy, world.headers(first_change)) == policy
    with pytest.raises(VerificationError, match="end before the open epoch"):
        extend_epochs(policy, world.headers(0, second_change - 1))
    with pytest.raises(VerificationError, match="end before the open epoch"):
        extend_epochs(policy, [])
    with pytest.raises(VerificationError, match="do not begin with an epoch"):
        extend_epochs(policy, world.headers(1))


def test_the_policy_that_headers_extend_is_not_contradicted() -> None:
    world = SealedWorld()
    world.vote_out(3)
    world.mine()
    policy, headers = world.policy(), world.headers()
    closed, opened = policy.sealed_epochs
    for epochs in (
        (replace(closed, root=salt(1)), opened),
        (closed, replace(opened, validators=tuple(sorted((Address(salt(1)[:20]), *opened.validators))))),
    ):
        with pytest.raises(VerificationError, match="contradict the epoch"):
            extend_epochs(replace(policy, epochs=epochs), headers)
    with pytest.raises(VerificationError, match="genesis block"):
        extend_epochs(replace(policy, genesis_hash=salt(1)), headers)
    with pytest.raises(VerificationError, match="genesis block"):
        extend_epochs(replace(policy, epochs=(replace(closed, validators=opened.validators), opened)), headers)


def test_ranges_without_validators_stay_as_they_are() -> None:
    world = SealedWorld()
    world.vote_out(3)
    world.mine()
    policy = world.policy()
    closed = policy.sealed_epochs[0]
    ranges = (PinnedRange(0, 1, salt(1)), replace(closed, validators=()))
    before = replace(policy, epochs=(*ranges, PinnedRange(0, None, None, closed.validators)))
    # A range that is now an epoch's gives way to that; the other is kept.
    assert extend_epochs(before, world.headers()).epochs == (ranges[0], *policy.epochs)


def test_nothing_to_extend(plain: Policy) -> None:
    with pytest.raises(MalformedError, match="no open epoch"):
        extend_epochs(plain, [])


def test_headers_of_another_branch_or_without_a_quorum() -> None:
    world = SealedWorld()
    policy, headers = world.policy(), world.headers()
    last = Header.parse(headers[-1])
    other = Header((salt(1), *last.fields[1:])).to_bytes()
    with pytest.raises(VerificationError, match="does not follow"):
        extend_epochs(policy, [*headers[:-1], with_seals(other, sealed_by(other, world.keys))])
    with pytest.raises(VerificationError, match="2 of 4"):
        extend_epochs(policy, [*headers[:-1], with_seals(headers[-1], sealed_by(headers[-1], world.keys[:2]))])


def test_a_set_that_its_own_seals_alone_speak_for() -> None:
    world = SealedWorld()
    policy = world.policy()
    world.keys = validator_keys(7)
    world.mine()
    with pytest.raises(VerificationError, match="votes in the blocks before do not"):
        extend_epochs(policy, world.headers())


def test_votes_count_once_a_validator_and_the_last_one() -> None:
    def vote(*votes: tuple[int, int, bytes]) -> SealedWorld:
        world = SealedWorld()
        for proposer, subject, kind in votes:
            world.mine(vote=(world.validators[subject], kind), proposer=proposer)
        world.keys = world.keys[:3]
        world.mine()
        return world

    assert len(vote((0, 3, DROP), (1, 3, DROP), (2, 3, b"\0")).policy().epochs) == 2
    for votes in (
        ((0, 3, DROP), (1, 3, DROP), (1, 3, DROP)),
        ((0, 3, DROP), (1, 3, DROP), (1, 3, ADD), (2, 3, DROP)),
        ((0, 3, DROP), (1, 2, DROP), (2, 3, DROP)),
    ):
        with pytest.raises(VerificationError, match="votes in the blocks before do not"):
            vote(*votes).policy()


def test_votes_that_lapsed_and_those_that_stay() -> None:
    world = SealedWorld(keys=validator_keys(1, 2, 3, 4, 5))
    fourth, fifth = world.validators[3:]
    for proposer in (0, 1, 2):
        world.mine(vote=(fifth, DROP), proposer=proposer)
    world.mine()  # not followed: the network's own epoch ended and its votes with it
    world.mine(vote=(fourth, DROP), proposer=4)
    world.mine(vote=(fourth, DROP), proposer=0)
    for proposer in (0, 1, 2):
        world.mine(vote=(fifth, DROP), proposer=proposer)
    world.keys = world.keys[:4]
    world.mine(vote=(fourth, DROP), proposer=1)  # with 4 left, 3 must vote: the fifth's own vote went with it
    world.mine(vote=(fourth, DROP), proposer=2)
    world.keys = world.keys[:3]
    world.mine()
    policy = world.policy()
    assert [len(each.validators) for each in policy.epochs] == [5, 4, 3]
    # From the second epoch on, the vote that was cast in the first is not seen.
    second = replace(policy, epochs=(policy.epochs[0], replace(policy.epochs[1], last=None, root=None)))
    with pytest.raises(VerificationError, match="votes in the blocks before do not"):
        extend_epochs(second, world.headers(policy.epochs[1].first))
    assert extend_epochs(second, world.headers()) == policy


def straddling(*cast: tuple[int, bool]) -> SealedWorld:
    """Blocks of these proposers, each with or without a vote against the fourth validator; then a block of three."""
    world = SealedWorld()
    fourth = world.validators[3]
    for proposer, is_vote in cast:
        world.mine(vote=(fourth, DROP) if is_vote else None, proposer=proposer)
    world.keys = world.keys[:3]
    world.mine()
    return world


# The network of the first case forgets its votes at the third of these blocks; that of the second at the fourth, whose
# own vote does not count either; that of the third at the third and at the sixth.
@pytest.mark.parametrize(
    "cast",
    [
        ((0, True), (1, True), (3, False), (2, True), (0, True), (1, True)),
        ((0, True), (1, True), (3, False), (2, True), (0, True), (1, True), (2, True)),
        ((0, True), (1, True), (3, False), (2, True), (0, True), (3, False), (1, True), (0, True), (2, True)),
    ],
)
def test_votes_on_both_sides_of_a_block_at_which_the_network_forgets_them(cast: tuple[tuple[int, bool], ...]) -> None:
    world = straddling(*cast)
    assert [each.last for each in world.policy().epochs] == [len(world.blocks) - 2, None]


def test_a_vote_that_must_have_lapsed_does_not_count_again() -> None:
    # Without the change after the third block the vote in the first has lapsed; 2 of 4 are no majority.
    with pytest.raises(VerificationError, match="votes in the blocks before do not"):
        straddling((0, True), (1, True), (2, True), (3, False)).policy()


class Network:
    """Validators that stand by their votes in every block they propose, counted as Besu counts them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = SealedWorld(keys=validator_keys(1, 2, 3, 4, 5))
        self.length = self.chance.randint(5, 12)
        self.votes: dict[Address, set[Address]] = {}

    def mine(self, subject: Address) -> None:
        """The next block drops ``subject``, or has no vote."""
        world, number = self.world, len(self.world.blocks)
        proposer = self.chance.randrange(len(world.keys))
        is_vote = subject in world.validators and self.chance.random() < 0.7
        world.mine(vote=(subject, DROP) if is_vote else None, proposer=proposer)
        if number % self.length == 0:
            self.votes = {}
        elif is_vote:
            voters = self.votes.setdefault(subject, set())
            voters.add(world.validators[proposer])
            if len(voters) > len(world.keys) // 2:
                del self.votes[subject]
                world.keys = [key for key in world.keys if address_of(key) != subject]
                self.votes = {each: cast - {subject} for each, cast in self.votes.items()}


@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_forgets_its_votes_is_followed_whatever_the_length_of_its_epochs(seed: int) -> None:
    network = Network(seed)
    first = network.world.validators
    for _ in range(45):
        network.mine(network.chance.choice(first[:2]))
    assert network.world.policy().epochs[-1].validators == network.world.validators
    assert len(network.world.validators) < len(first)


def test_votes_that_are_none() -> None:
    world = SealedWorld()
    policy = world.policy()
    subject = world.validators[3]
    world.mine(vote=(subject, b"\1"))
    with pytest.raises(MalformedError, match="neither adds nor drops"):
        extend_epochs(policy, world.headers())
    world.blocks.pop()
    world.mine(vote=(subject, DROP))
    voted = world.blocks[-1]
    header = Header.parse(encode_header(voted.form))
    stranger = Header((*header.fields[:2], salt(1)[:20], *header.fields[3:])).to_bytes()
    with pytest.raises(VerificationError, match="no validator"):
        extend_epochs(policy, [*world.headers()[:-1], with_seals(stranger, sealed_by(stranger, world.keys))])
