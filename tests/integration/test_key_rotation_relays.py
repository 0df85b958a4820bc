"""Relay accounts rotated by `concord key rotate`, one or several, and held by a remote signer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ledger.client import operations, statements
from ledger.errors import ConflictError, UnavailableError
from ledger.evidence import Verdict
from ledger.exchange import Gateway
from ledger.exchange.keystore import KeyStore
from ledger.statements import generate_private_key
from ledger.surface.outcomes import State
from ledger.types import Address
from tests.support.console import Console
from tests.support.rotating import concord, ending, evidence_of, finish, policy_of, state, traffic, verdict, world
from tests.support.web3signer_stand_in import stand_in_for_web3signer
from tests.support.world import PASSPHRASE, World, running, settings_of
from tests.support.world import listening as loopback

__all__ = ["concord", "ending", "world"]


def test_the_relay_account(world: World, concord: Console) -> None:
    mill = world.members["mill"]
    parts = world.gateway.parts
    old = parts.relay.address
    before = state(mill, "Old Mill")
    prepared = concord.run("key", "rotate", "relay", "--only-prepare", "--json").json
    assert prepared["relay"] == str(old)
    with traffic(mill):
        ran = concord.run("key", "rotate", "relay", "--json")
        assert ran.code == 0, ran
    assert ran.json["relay"] == prepared["next_relay"]
    assert ran.json["next_relay"] is None
    new = Address.parse(ran.json["relay"])
    assert parts.relay.address == new
    assert parts.store.outbox.in_flight(old) == ()
    spent = parts.edge.nonce(old)
    after = state(mill, "New Mill")
    assert parts.edge.nonce(old) == spent
    assert parts.edge.nonce(new) > 0
    policy = policy_of(world)
    for outcome in (before, after):
        assert verdict(policy, evidence_of(mill, outcome.digest, policy)) is Verdict.VERIFIED
    assert [each.name for each in (world.folder / "home/keys").glob("relay*")] == ["relay.json"]
    assert KeyStore.open(world.folder / "home/keys", PASSPHRASE).load_relay().address == new


@pytest.fixture
def further_relays(world: World) -> Iterator[list[Address]]:
    """Relay accounts 2 and 3, as settings ask for them; on the embedded chain they are there, and send nothing."""
    keystore, relays = world.gateway.parts.keystore, world.gateway._submitter._relays
    drawn = [keystore.ensure(f"relay-{number}").address for number in (2, 3)]
    relays._others = None
    yield drawn
    for path in (world.folder / "home/keys").glob("relay-*"):
        path.unlink()
    keystore.reread()
    relays._others = None


@pytest.mark.slow
def test_one_of_several_relay_accounts(world: World, concord: Console, further_relays: list[Address]) -> None:
    prepare = ("key", "rotate", "relay", "--which", "3", "--only-prepare", "--json")
    shown = concord.run(*prepare).json["further_relays"]
    assert [(each["number"], each["relay"]) for each in shown] == [
        (number, str(account)) for number, account in enumerate(further_relays, 2)
    ]
    ran = concord.run("key", "rotate", "relay", "--which", "3")
    assert (ran.code, shown[1]["next_relay"] in ran.out) == (0, True), ran
    assert world.gateway.parts.keystore.load_relay(3).address == Address.parse(shown[1]["next_relay"])
    concord.fail("chamber", 4, "numbered 1 to 3", "key", "rotate", "relay", "--which", "4")
    concord.fail("chamber", 3, "not 'second'", "key", "rotate", "relay", "--which", "second")
    named = ("--remote-url", "http://signer:9000", "--public-key", "0x" + "05" * 64)
    concord.fail("chamber", 3, "name which", "key", "rotate", "relay", "--which", "all", *named)


@pytest.mark.slow
@pytest.mark.usefixtures("further_relays")
def test_all_relay_accounts_one_by_one(world: World, concord: Console) -> None:
    """Stopped after the first of them, the same command goes on with those that are left."""
    keystore = world.gateway.parts.keystore
    before = [keystore.load_relay(number).address for number in (1, 2, 3)]
    waiting = concord.run("key", "rotate", "relay", "--which", "all", "--only-prepare")
    assert waiting.out.count("0x") == 3, waiting
    world.operator.run(operations.rotate_relay())
    followed = world.gateway.parts.relay.address
    ran = concord.run("key", "rotate", "relay", "--which", "all", "--json")
    assert ran.code == 0, ran
    after = [keystore.load_relay(number).address for number in (1, 2, 3)]
    assert after[0] == followed
    assert not set(before) & set(after)
    assert all(each["next_relay"] is None for each in ran.json["further_relays"])
    names = sorted(each.name for each in (world.folder / "home/keys").glob("relay*"))
    assert names == ["relay-2.json", "relay-3.json", "relay.json"]
    with stand_in_for_web3signer() as remote:
        taken = remote.hold(generate_private_key())
        world.gateway.keys.rotate_relay(taken, only_prepare=True, number=2)
    with pytest.raises(ConflictError, match="follows it"):
        world.gateway.keys.rotate_relay(taken, only_prepare=True, number=3)


@pytest.mark.slow
def test_a_relay_account_that_a_remote_signer_holds(world: World, concord: Console) -> None:
    mill = world.members["mill"]
    with stand_in_for_web3signer() as remote:
        key = remote.hold(generate_private_key())
        named = ("--remote-url", key.url, "--public-key", "0x" + key.public_key.hex())
        ran = concord.run("key", "rotate", "relay", *named, "--json")
        assert ran.code == 0, ran
        assert (ran.json["relay"], ran.json["remote"]) == (str(key.address), True)
        assert not any(key_bytes.hex() in ran.out + ran.err for key_bytes in remote.keys.values())
        state(mill, "Sent by a remote account")
        assert world.gateway.parts.edge.nonce(key.address) > 0
        again = concord.run("key", "rotate", "relay", *named)
        assert (again.code, "already" in again.err) == (1, True)
        # The signer goes away and comes back: nothing is lost.
        remote.twist = lambda _: (500, "")
        waiting = mill.client.run(statements.state("ProfileUpdate", {"profile": {"handle": "mill", "name": "Late"}}))
        assert mill.client.run(statements.outcome(waiting.digest)).state is State.ACCEPTED
        remote.twist = None
        finish(mill, waiting)
        concord.fail("chamber", 3, "together", "key", "rotate", "relay", "--remote-url", key.url)
        back = concord.run("key", "rotate", "relay", "--json")
        assert (back.code, back.json["remote"]) == (0, False)


@pytest.mark.slow
def test_a_remote_signer_that_does_not_answer_is_not_leant_on(world: World, concord: Console) -> None:
    with stand_in_for_web3signer() as remote:
        key = remote.hold(generate_private_key())
    named = ("--remote-url", key.url, "--public-key", "0x" + key.public_key.hex())
    present = world.gateway.keys.show()
    for only_prepare in (False, True):
        with pytest.raises(UnavailableError, match="does not answer"):
            world.gateway.keys.rotate_relay(key, only_prepare=only_prepare)
    assert world.gateway.keys.show() == present, "nothing leans on it, and nothing is left of it"
    row = world.gateway.parts.store.chain.find_log(world.gateway.parts.log)
    assert row is not None
    assert row.publisher == world.gateway.parts.relay.address
    state(world.members["mill"], "Goes on")
    concord.fail("chamber", 2, "does not answer", "key", "rotate", "relay", *named)
    assert concord.run("key", "rotate", "relay").code == 0


@pytest.mark.slow
def test_a_remote_signer_that_went_away_is_replaced_by_the_next(world: World, concord: Console) -> None:
    rotate = ("key", "rotate", "relay")
    with stand_in_for_web3signer() as remote:
        key = remote.hold(generate_private_key())
        named = ("--remote-url", key.url, "--public-key", "0x" + key.public_key.hex())
        waiting = concord.run(*rotate, *named, "--only-prepare", "--json")
        assert waiting.json["next_relay"] == str(key.address), waiting
    concord.fail("chamber", 2, "`--anew` draws another", *rotate)
    assert world.gateway.keys.show().next_relay == key.address
    ran = concord.run(*rotate, "--anew", "--json")
    assert (ran.code, ran.json["remote"], ran.json["next_relay"]) == (0, False, None), ran
    concord.fail("chamber", 3, "--anew draws a key", *rotate, "--anew", *named)


@contextmanager
def running_again(world: World) -> Iterator[Gateway]:
    """The same home, opened anew."""
    world.gateway.close()
    gateway = Gateway.open(settings_of(world.folder / "home"))
    with loopback() as (sock, _), running(gateway, sock):
        yield gateway


@pytest.mark.slow
@pytest.mark.parametrize("which", ["log", "relay"])
def test_what_the_chain_decided_is_finished_at_the_next_start(
    ending: World, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    keys, parts = ending.gateway.keys, ending.gateway.parts

    class KilledError(BaseException):
        """Stands for kill -9 between the chain's decision and the change of keys."""

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    monkeypatch.setattr(keys, "_adopt_log_key", killed)
    monkeypatch.setattr(keys._submitter, "hand_over", killed)
    with pytest.raises(KilledError):
        keys.rotate_log() if which == "log" else keys.rotate_relay()
    row = parts.store.chain.find_log(parts.log)
    assert row is not None
    assert row.rotations == 1
    with running_again(ending) as gateway:
        if which == "log":
            assert gateway.parts.log_signer.verifier_key.public_key == row.verifier_keys[-1]
        else:
            _eventually_relays(gateway, row.publisher)
        shown = gateway.keys.show()
        assert (shown.next_relay, shown.next_log_key) == (None, None)


def _eventually_relays(gateway: Gateway, account: Address) -> None:
    waited = threading.Event()
    for _ in range(500):
        if gateway.parts.relay.address == account:
            return
        waited.wait(0.02)
    raise AssertionError("the next relay account did not take over")
