"""Two gateways, each with a database and a log of its own, whose keystores hold the same relay account."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ledger.exchange import Gateway, InForce, State
from ledger.exchange.doctor import Diagnosis, Standing
from ledger.exchange.gateway_file import GatewayFile
from ledger.exchange.keystore import KeyStore
from ledger.exchange.settings import Home
from ledger.statements import Statement, address_of, sign_digest
from ledger.surface.outcomes import SignedStatement
from ledger.types import Bytes32
from tests.support.bad_wire import SEND, cut
from tests.support.edge_world import EdgeWorld, settings_for
from tests.support.waiting import eventually

ORIGIN = "second.example/log"
PATIENCE_S = 90.0


def open_second_log(world: EdgeWorld, gateway: Gateway, home: Path) -> None:
    """The analyst, who runs a gateway too, opens its log with the same publisher and a key of its own."""
    settings = settings_for(home)
    keystore = KeyStore.open(Home(home).keys_folder, settings.passphrase)
    key = keystore.ensure_next_log_signer(ORIGIN).verifier_key
    keystore.adopt_next_log_signer()
    signatory, parts = world.signatory, gateway.parts
    statement = Statement.build(
        "LogOpening",
        participant=signatory.participant,
        origin=ORIGIN,
        publisher=parts.relay.address,
        verifierKey=Bytes32(key.public_key),
        deadline=int(time.time()) + 3600,
        salt=Bytes32(secrets.token_bytes(32)),
    )
    signature = sign_digest(signatory.key, signatory.digest(statement))
    signed = SignedStatement(statement, signature, address_of(signatory.key))
    assert world.settle(gateway, world.accept(gateway, [signed]))


def copy_of(world: EdgeWorld) -> Path:
    """The second gateway's home: its own log and database, the first one's relay account."""
    home = world.home.with_name("second")
    shutil.copytree(world.home, home)
    config = GatewayFile.load(home / "gateway.json")
    shutil.rmtree(home / "log")
    for database in home.glob("ledger.db*"):
        database.unlink()
    own = replace(config, operator=world.signatory.participant, origin=ORIGIN)
    (home / "gateway.json").write_bytes(own.to_bytes())
    return home


def is_told(gateway: Gateway) -> bool:
    health = gateway.health()
    return not health.ready and "not ours" in (health.reasons.get("submitter") or "")


def outcomes_of(gateway: Gateway, digests: Sequence[Bytes32]) -> set[tuple[State, InForce]]:
    found = [gateway.statements.wait(each, State.FINAL, PATIENCE_S) for each in digests]
    return {(each.state, each.in_force) for each in found}


def test_the_second_to_send_notices_and_nothing_is_lost(world: EdgeWorld) -> None:
    with world.gateway() as first:
        home = copy_of(world)
        open_second_log(world, first, home)
        with Gateway.open(settings_for(home)) as second:
            assert second.parts.relay.address == first.parts.relay.address
            both = (first, second)
            world.wire.break_with(cut, SEND)
            stated = [world.register(each, 3) for each in both]
            eventually(lambda: all(len(each.parts.store.outbox.in_flight()) >= 3 for each in both))
            nonces = [{row.nonce for row in each.parts.store.outbox.in_flight()} for each in both]
            assert nonces[0] & nonces[1]
            world.wire.heal()
            eventually(lambda: any(map(is_told, both)))
            for gateway, digests in zip(both, stated, strict=True):
                if is_told(gateway):
                    found = {each.name: each for each in Diagnosis(gateway.parts.settings, "http://127.0.0.1:1").run()}
                    assert found["nonces"].standing is Standing.FAILED
                    assert "not ours" in found["nonces"].detail
                    kept = {gateway.statements.outcome(each).in_force for each in digests}
                    assert kept <= {InForce.PENDING, InForce.YES}
    for settings, digests in zip((settings_for(world.home), settings_for(home)), stated, strict=True):
        with Gateway.open(settings) as alone:
            assert outcomes_of(alone, digests) == {(State.FINAL, InForce.YES)}
