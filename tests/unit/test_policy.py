"""The policy: its form, how a node makes and extends it, and what changed between two."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode_canonical, parse_canonical
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence import (
    Node,
    PinnedLog,
    PinnedRange,
    Policy,
    compute_block_root,
    create_policy,
    diff_policies,
    parse_policy,
)
from ledger.log import NoteSigner
from ledger.types import Address, Bytes32
from scripts.concord import main
from tests.support.evidence_node import serve_world
from tests.support.evidence_world import CONTRACTS, ORIGIN, World, make_event, make_log_opened, salt, word
from tests.support.qbft_world import SealedWorld


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def policy(world: World) -> Policy:
    return world.policy()


def test_round_trip_and_hash(policy: Policy) -> None:
    raw = policy.to_bytes()
    assert parse_policy(raw) == policy
    assert policy.sha256 == hashlib.sha256(raw).hexdigest()
    assert policy.find_log(policy.logs[0].id) == policy.logs[0]
    assert policy.find_log(salt(1)) is None
    assert policy.domains.contracts["AccessGrants"] == policy.address_of("AccessGrants")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "concord-policy/2"),
        (("chain_id",), 5),
        (("chain_id",), "05"),
        (("chain_id",), str(2**256)),
        (("genesis_hash",), "0x00"),
        (("contracts",), {}),
        (("contracts", "AccessGrants"), None),
        (("contracts", "AccessGrants", "address"), "0xAB"),
        (("contracts", "AccessGrants", "note"), "surplus"),
        (("contracts", "AccessGrants", "address"), str(CONTRACTS["CheckpointLog"])),
        (("epochs",), {}),
        (("epochs", 0, "first"), "99"),
        (("epochs", 0), {"first": "0"}),
        (("logs", 0, "vkeys"), []),
        (("logs", 0, "vkeys"), ["x"]),
        (("logs", 0, "vkeys"), [str(NoteSigner("other.example", bytes(32)).verifier_key)]),
        (("logs", 0, "vkeys"), [str(NoteSigner(ORIGIN, bytes(32)).verifier_key)] * 2),
        (("note",), "surplus"),
    ],
)
def test_malformed_policies(policy: Policy, path: tuple[Any, ...], value: Any) -> None:
    changed: Any = parse_canonical(policy.to_bytes())
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(MalformedError):
        parse_policy(encode_canonical(changed))


def test_order_and_names(policy: Policy) -> None:
    low, high = PinnedRange(0, 1, salt(1)), PinnedRange(0, 2, salt(2))
    assert replace(policy, epochs=(low, high)).epochs == (low, high)
    for epochs in ((high, low), (low, low)):
        with pytest.raises(MalformedError, match="ascending"):
            replace(policy, epochs=epochs)
    with pytest.raises(MalformedError, match="ascending"):
        replace(policy, logs=policy.logs * 2)
    with pytest.raises(MalformedError, match="names the contracts"):
        replace(policy, contracts={})


def test_epochs_of_validators(policy: Policy) -> None:
    one, two = Address(b"\1" * 20), Address(b"\2" * 20)
    closed, opened = PinnedRange(5, 9, salt(1), (one, two)), PinnedRange(10, None, None, (two,))
    sealed = replace(policy, epochs=(*policy.epochs, closed, opened))
    raw = sealed.to_bytes()
    assert parse_policy(raw) == sealed
    assert (sealed.sealed_epochs, sealed.open_epoch) == ((closed, opened), opened)
    assert (policy.sealed_epochs, policy.open_epoch) == ((), None)
    assert (str(closed), str(opened)) == ("blocks 5 to 9", "blocks from 10 on")
    assert [each for each in (4, 5, 9, 10) if closed.holds(each)] == [5, 9]
    assert [each for each in (9, 10, 2**70) if opened.holds(each)] == [10, 2**70]
    assert b'"validators"' not in policy.to_bytes()
    for epochs in (
        (closed, PinnedRange(11, None, None, (two,))),
        (closed, PinnedRange(9, None, None, (two,))),
        (opened, PinnedRange(11, None, None, (two,))),
        (opened, PinnedRange(11, 12, salt(1), (two,))),
    ):
        with pytest.raises(MalformedError, match="do not follow one another"):
            replace(policy, epochs=epochs)


@pytest.mark.parametrize(
    "epoch",
    [
        {"first": "10"},
        {"first": "10", "last": "12"},
        {"first": "10", "root": str(salt(1))},
        {"first": "10", "last": "12", "validators": ["0x" + "11" * 20]},
        {"first": "10", "validators": []},
        {"first": "10", "last": "12", "root": str(salt(1)), "validators": []},
        {"first": "10", "last": "9", "root": str(salt(1))},
        {"first": "10", "validators": ["0x" + "11" * 19]},
        {"first": "10", "validators": ["0x" + "11" * 20] * 2},
        {"first": "10", "validators": ["0x" + "22" * 20, "0x" + "11" * 20]},
        {"first": "10", "validators": "0x" + "11" * 20},
        {"first": "10", "validators": ["0x" + "11" * 20], "quorum": "1"},
    ],
)
def test_malformed_epochs(policy: Policy, epoch: Any) -> None:
    changed: Any = parse_canonical(policy.to_bytes())
    changed["epochs"] = [epoch]
    with pytest.raises(MalformedError):
        parse_policy(encode_canonical(changed))


def test_made_with_a_node_of_a_sealed_chain() -> None:
    world = SealedWorld()
    earlier = world.policy()
    with serve_world(world) as url:
        assert create_policy(Node(url), CONTRACTS) == earlier
    world.vote_out(2)
    world.mine()
    with serve_world(world) as url:
        later = create_policy(Node(url), CONTRACTS, extends=earlier)
        assert later == world.policy()
        assert create_policy(Node(url), CONTRACTS, extends=later) == later
        # Ranges that were pinned without validators stay good beside the epochs.
        hashes = [block.hash for block in world.blocks[:3]]
        ranges = (PinnedRange(0, 2, compute_block_root(hashes)), replace(later.epochs[0], validators=()))
        assert create_policy(Node(url), CONTRACTS, extends=replace(later, epochs=ranges)).epochs == (
            ranges[0],
            *later.epochs,
        )
        for epochs in (
            (replace(later.epochs[0], root=salt(1)), later.epochs[1]),
            (later.epochs[0], replace(later.epochs[1], validators=later.epochs[1].validators[1:])),
            (PinnedRange(1, None, None, later.epochs[0].validators),),
        ):
            with pytest.raises(VerificationError, match="not the one that the earlier policy pins"):
                create_policy(Node(url), CONTRACTS, extends=replace(later, epochs=epochs))
        with pytest.raises(VerificationError, match="not the one that the earlier policy pins"):
            create_policy(Node(url), CONTRACTS, last=4, extends=later)
    assert diff_policies(earlier, later) == [
        f"- blocks from 0 on, {', '.join(f'validator {each}' for each in earlier.epochs[0].validators)}",
        f"+ blocks 0 to {later.epochs[0].last}: {later.epochs[0].root}, "
        + ", ".join(f"validator {each}" for each in later.epochs[0].validators),
        f"+ blocks from {later.epochs[1].first} on, "
        + ", ".join(f"validator {each}" for each in later.epochs[1].validators),
    ]


def test_a_sealed_chain_that_can_not_be_followed() -> None:
    world = SealedWorld()
    world.keys = world.keys[:2]
    world.mine()
    with serve_world(world) as url, pytest.raises(VerificationError, match="votes in the blocks before do not"):
        create_policy(Node(url), CONTRACTS)
    world = SealedWorld(keys=[])
    with serve_world(world) as url, pytest.raises(UnavailableError, match="a contract chooses them"):
        create_policy(Node(url), CONTRACTS)


def test_made_with_a_node(world: World, policy: Policy) -> None:
    with serve_world(world) as url:
        assert create_policy(Node(url), CONTRACTS) == policy
        assert create_policy(Node(url), CONTRACTS, last=1) == replace(world.policy(1), logs=())
        for last in (-1, 99):
            with pytest.raises(MalformedError, match="can not be pinned"):
                create_policy(Node(url), CONTRACTS, last=last)
        with pytest.raises(MalformedError, match="names the contracts"):
            create_policy(Node(url), {})
        with pytest.raises(UnavailableError, match="no contract at"):
            create_policy(Node(url), {**CONTRACTS, "AccessGrants": Address(bytes(20))})


def test_extended_later() -> None:
    world = World()
    earlier = world.policy()
    fresh = NoteSigner(ORIGIN, b"\x07" * 32)
    rotated = word(1) + word(b"\x11" * 20) + fresh.verifier_key.public_key
    world.mine([make_event("LogRotated", [salt(1), world.log_id], rotated)])
    world.mine([make_event("LogRotated", [salt(2), salt(3)], rotated)])  # of a log that nobody opened
    with serve_world(world) as url:
        later = create_policy(Node(url), CONTRACTS, extends=earlier)
        assert create_policy(Node(url), CONTRACTS, extends=later) == later
        with pytest.raises(VerificationError, match="ends before"):
            create_policy(Node(url), CONTRACTS, last=1, extends=earlier)
    assert later.epochs == (*earlier.epochs, *world.policy().epochs)
    assert later.logs[0].keys == (world.signer.verifier_key, fresh.verifier_key)
    back = word(2) + word(b"\x11" * 20) + world.signer.verifier_key.public_key
    world.mine([make_event("LogRotated", [salt(4), world.log_id], back)])
    with serve_world(world) as url:
        again = create_policy(Node(url), CONTRACTS, extends=later)
    assert again.logs[0].keys == later.logs[0].keys[::-1]  # the newest is the last
    assert diff_policies(earlier, earlier) == []
    assert diff_policies(earlier, later) == [
        f"+ blocks 0 to 4: {later.epochs[1].root}",
        f"+ log {fresh.verifier_key}, operator {later.logs[0].operator}",
    ]


@pytest.mark.parametrize("origin", ["evil\u2003log".encode(), b"\xff\xfe", b"", b"a+b", b"a b", b"\x1b[2Jlog"])
def test_a_log_that_can_not_be_named_is_skipped_and_told(origin: bytes) -> None:
    world = World()
    key = NoteSigner("evil", bytes(32)).verifier_key.public_key
    world.mine([make_log_opened(salt(5), salt(6), origin, key)])
    world.mine([make_event("LogRotated", [salt(2), salt(5)], word(1) + word(b"\x11" * 20) + key)])
    warnings: list[str] = []
    with serve_world(world) as url:
        policy = create_policy(Node(url), CONTRACTS, warn=warnings.append)
        assert create_policy(Node(url), CONTRACTS, extends=policy) == policy
    assert policy.logs == world.policy().logs
    assert len(warnings) == 1
    assert str(salt(5)) in warnings[0]
    assert str(salt(6)) in warnings[0]
    assert warnings[0].isascii()
    assert warnings[0].isprintable()


def test_a_key_is_pinned_for_the_log_that_had_it_first() -> None:
    """Two members copy the gateway's origin and key: one opens a log with them, one rotates to the key."""
    world, warnings = World(), list[str]()
    earlier = world.policy()
    own = NoteSigner(ORIGIN, b"\x07" * 32).verifier_key
    clone, other = PinnedLog(salt(5), ORIGIN, (world.signer.verifier_key,)), PinnedLog(salt(6), ORIGIN, (own,))
    opened = make_log_opened(clone.id, clone.operator, ORIGIN.encode(), clone.keys[0].public_key)
    world.mine([opened, make_log_opened(other.id, other.operator, ORIGIN.encode(), own.public_key)])
    for counter, log in enumerate((clone.id, other.id), 1):
        key = own if log == clone.id else clone.keys[0]
        world.mine([make_event("LogRotated", [salt(20 + counter), log], word(1) + word(b"\x11" * 20) + key.public_key)])
    honest = tuple(sorted((*earlier.logs, other), key=lambda log: (log.operator, log.origin)))
    with serve_world(world) as url:
        assert create_policy(Node(url), CONTRACTS).logs == honest
        assert create_policy(Node(url), CONTRACTS, warn=warnings.append).logs == honest
        # An earlier policy, made before this was known, loses the copies too.
        copies = clone, replace(other, keys=(own, clone.keys[0]))
        before = tuple(sorted((*earlier.logs, *copies), key=lambda log: (log.operator, log.origin)))
        extended = replace(earlier, logs=before)
        assert create_policy(Node(url), CONTRACTS, extends=extended, warn=warnings.append).logs == honest
    assert len(warnings) == 6
    assert f"left out log {clone.id} of operator {clone.operator}" in warnings[0]
    assert "which had it first" in warnings[0]
    assert f"left out the key {clone.keys[0].key_id.hex()} of log {other.id}" in warnings[1]
    assert str(earlier.logs[0].operator) in warnings[1]


def test_the_command_prints_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.mine([make_log_opened(salt(5), salt(6), "evil\u2003log".encode(), bytes(32))])
    consortium, output = tmp_path / "consortium.json", tmp_path / "policy.json"
    contracts = {name: {"address": str(address)} for name, address in CONTRACTS.items()}
    consortium.write_text(json.dumps({"chain_id": str(world.chain_id), "contracts": contracts}), encoding="utf-8")
    with serve_world(world) as url:
        command = ["concord", "policy", "create", "--rpc", url, "--consortium", str(consortium), "-o", str(output)]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0
    assert parse_policy(output.read_bytes()) == world.policy()
    assert f"concord: warning: left out log {salt(5)}" in capsys.readouterr().err


def test_an_extension_keeps_what_it_does_not_see_any_more(world: World, policy: Policy) -> None:
    other = PinnedLog(salt(5), "other.example", (NoteSigner("other.example", bytes(32)).verifier_key,))
    logs = tuple(sorted((*policy.logs, other), key=lambda log: (log.operator, log.origin)))
    with serve_world(world) as url:
        assert create_policy(Node(url), CONTRACTS, extends=replace(policy, logs=logs)).logs == logs


def test_a_rewritten_or_another_chain_is_no_extension(policy: Policy) -> None:
    rewritten = World()
    rewritten.mine()
    for changed in (
        replace(policy, chain_id=5),
        replace(policy, genesis_hash=salt(1)),
        replace(policy, epochs=(PinnedRange(0, 2, salt(1)),)),
    ):
        with serve_world(rewritten) as url, pytest.raises(VerificationError):
            create_policy(Node(url), CONTRACTS, extends=changed)


def test_a_node_that_answers_events_which_can_not_be_read(world: World) -> None:
    event = make_event("LogOpened", [salt(1), salt(2), salt(3)], b"")
    with serve_world(world, eth_getLogs=[event]) as url, pytest.raises(UnavailableError, match="can not be read"):
        create_policy(Node(url), CONTRACTS)
    other = make_event("LogClosed", [salt(1), salt(2)], b"")
    with serve_world(world, eth_getLogs=[other]) as url:
        assert create_policy(Node(url), CONTRACTS).logs == ()


def test_diff_names_everything(policy: Policy) -> None:
    contracts = dict(policy.contracts)
    contracts["AccessGrants"] = replace(contracts["AccessGrants"], address=Address(bytes(20)), code_hash=salt(1))
    other = replace(policy, chain_id=5, genesis_hash=salt(2), contracts=contracts, epochs=(), logs=())
    lines = diff_policies(policy, other)
    assert [line.split(":")[0] for line in lines][:4] == [
        "chain_id",
        "genesis_hash",
        "AccessGrants address",
        "AccessGrants code_hash",
    ]
    assert sum(line.startswith("- ") for line in lines) == 2
    assert Bytes32(salt(2)) == other.genesis_hash
