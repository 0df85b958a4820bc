"""Several relay accounts: who may go by which, and that order is kept where it matters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.chain import LocalSigner, SignedTransaction, Signer
from ledger.exchange import ExistingChain, Gateway, found
from ledger.exchange.relays import MOST_IN_FLIGHT, Lanes, Relays
from ledger.store.rows import OutboxRow, OutboxState, StatementRow
from ledger.types import Address, Bytes32
from tests.support.chain import await_receipt, running_anvil
from tests.support.edge_world import Signatory, settings_for
from tests.support.exchange import plan_of
from tests.support.waiting import eventually

ONE, TWO = Address(bytes([1]) * 20), Address(bytes([2]) * 20)


def word(number: int) -> Bytes32:
    return Bytes32(bytes([number]) * 32)


def row(participant: int, dataset: int | None = None) -> StatementRow:
    """A statement of a participant; with ``dataset`` a registration."""
    message = {} if dataset is None else {"datasetSalt": str(word(dataset))}
    kind = "KeyRevocation" if dataset is None else "DatasetRegistration"
    return SimpleNamespace(participant=word(participant), type=kind, message=message)  # type: ignore[return-value]  # what lanes look at


def test_one_account_takes_all_up_to_its_limit() -> None:
    lanes = Lanes([ONE])
    assert lanes.room == MOST_IN_FLIGHT
    assert [lanes.place(row(each % 7, each)) for each in range(MOST_IN_FLIGHT)] == [ONE] * MOST_IN_FLIGHT
    assert lanes.room == 0
    assert lanes.place(row(1, 200)) is None


def test_participants_and_datasets_are_spread() -> None:
    lanes = Lanes([ONE, TWO])
    assert {lanes.place(row(1)), lanes.place(row(2))} == {ONE, TWO}
    assert {lanes.place(row(3, each)) for each in range(4)} == {ONE, TWO}


def test_what_one_participant_states_keeps_its_order() -> None:
    lanes = Lanes([ONE, TWO])
    lanes.occupy(TWO, row(1))
    lanes.occupy(TWO, row(2))
    assert [lanes.place(row(1)), lanes.place(row(1, 5)), lanes.place(row(1))] == [TWO] * 3


def test_what_depends_on_all_waits_for_registrations_on_several_ways() -> None:
    lanes = Lanes([ONE, TWO])
    assert {lanes.place(row(1, 5)), lanes.place(row(1, 6))} == {ONE, TWO}
    assert lanes.place(row(1)) is None
    assert lanes.place(row(1, 7)) is None  # nor does what follows overtake it
    assert lanes.place(row(2)) is not None


def test_versions_of_a_dataset_go_one_way() -> None:
    lanes = Lanes([ONE, TWO])
    first = lanes.place(row(1, 5))
    lanes.occupy(ONE if first == TWO else TWO, row(1, 6))
    assert [lanes.place(row(1, 5)) for _ in range(3)] == [first] * 3


def test_what_an_account_still_has_that_sends_nothing_new_is_waited_for() -> None:
    lanes = Lanes([ONE])
    lanes.occupy(TWO, row(1))
    lanes.occupy(TWO, None)
    assert lanes.place(row(1)) is None
    assert lanes.place(row(2)) == ONE


def parts_of(folder: Path, *, signers: int, gas_price_wei: int = 0, rpc: object = None, funded: int = 9) -> Any:
    def ensure(name: str) -> Signer:
        drawn.setdefault(name, LocalSigner(bytes([len(drawn) + 1]) * 32))
        path = folder / "keys" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        return drawn[name]

    drawn: dict[str, Signer] = {}
    edge = SimpleNamespace(
        rpc=rpc,
        settings=SimpleNamespace(gas_price_wei=gas_price_wei),
        balance_wei=lambda account: account in [each.address for each in drawn.values()][:funded],
    )
    return SimpleNamespace(
        edge=edge,
        relay=LocalSigner(bytes([99]) * 32),
        keystore=SimpleNamespace(ensure=ensure),
        settings=SimpleNamespace(home=folder, relay_signers=signers),
    )


def test_further_accounts_are_drawn_and_followed_also_when_fewer_are_asked_for(tmp_path: Path) -> None:
    relays = Relays(parts_of(tmp_path, signers=3))
    assert len(relays.all()) == len(relays.active()) == 3
    assert [relays.find(each.address) for each in relays.all()] == list(relays.all())
    with pytest.raises(LookupError, match="no key in the keystore"):
        relays.find(Address(bytes(20)))
    fewer = Relays(parts_of(tmp_path, signers=1))
    assert (len(fewer.all()), len(fewer.active())) == (3, 1)


def test_the_embedded_chain_has_one(tmp_path: Path) -> None:
    assert len(Relays(parts_of(tmp_path, signers=3, rpc=object())).all()) == 1


def test_an_account_that_can_not_pay_sends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        relays = Relays(parts_of(tmp_path, signers=4, gas_price_wei=7, funded=1))
        assert (len(relays.all()), len(relays.active())) == (4, 2)
    assert str(relays.all()[2].address) in caplog.text


@dataclass
class OnANode:
    """A consortium on anvil; its gateways' workers do not run, but for the log's."""

    home: Path
    signatory: Signatory

    @contextmanager
    def gateway(self, signers: int) -> Iterator[Gateway]:
        gateway = Gateway.open(settings_for(self.home, relay_signers=signers))
        try:
            gateway._indexer.catch_up()
            gateway._writing.start()
            yield gateway
        finally:
            gateway._writing.stop()
            gateway.close()

    def register(self, gateway: Gateway, count: int) -> list[str]:
        signed = [self.signatory.register() for _ in range(count)]
        return [str(gateway.take(each).digest) for each in signed]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnANode]:
    home = tmp_path_factory.mktemp("relays") / "home"
    with running_anvil() as chain:
        founded = found(home, replace(plan_of(), chain=ExistingChain(str(chain.rpc_url))))
        yield OnANode(home, Signatory.of(founded))


def settle(gateway: Gateway) -> None:
    while gateway._submitter.step() or gateway._indexer.step() or gateway.parts.store.outbox.depth():
        pass


def outbox_of(gateway: Gateway, subjects: list[str]) -> list[OutboxRow]:
    found_rows = [gateway.parts.store.outbox.find(each) for each in subjects]
    return [row for row in found_rows if row is not None]


def test_each_account_has_nonces_of_its_own(node: OnANode) -> None:
    with node.gateway(3) as gateway:
        subjects = node.register(gateway, 9)
        settle(gateway)
        rows = outbox_of(gateway, subjects)
        assert [row.state for row in rows] == [OutboxState.DONE] * 9
        relays = gateway._submitter._relays.all()
        assert Counter(row.relay for row in rows) == {each.address: 3 for each in relays}
        for relay in relays[1:]:
            assert sorted(row.nonce for row in rows if row.relay == relay.address) == [0, 1, 2]


def test_what_a_further_account_was_given_is_sent_by_a_process_with_fewer(node: OnANode) -> None:
    with node.gateway(3) as gateway:
        subjects = node.register(gateway, 6)
        gateway._submitter._enqueue_new()
        assert {row.state for row in outbox_of(gateway, subjects)} == {OutboxState.PENDING}
    with node.gateway(1) as gateway:
        more = node.register(gateway, 2)
        settle(gateway)
        rows = outbox_of(gateway, subjects + more)
        assert [row.state for row in rows] == [OutboxState.DONE] * 8
        assert len({row.relay for row in rows[:6]}) == 3
        assert {row.relay for row in rows[6:]} == {gateway.parts.relay.address}


def test_what_another_process_sent_before_it_died_is_not_sent_again(
    node: OnANode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with node.gateway(2) as gateway:
        subjects = node.register(gateway, 4)
        gateway._submitter._enqueue_new()
        rows = outbox_of(gateway, subjects)
        gateway.parts.edge.send([SignedTransaction(row.relay, row.nonce, row.raw, row.hash) for row in rows])
    with node.gateway(2) as gateway:
        monkeypatch.setattr(gateway.parts.edge, "send", lambda _: pytest.fail("it was sent"))
        settle(gateway)
        assert {row.state for row in outbox_of(gateway, subjects)} == {OutboxState.DONE}


def test_many_in_flight_are_settled_before_any_is_sent_again(node: OnANode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.exchange.submitter._AT_ONCE", 2)
    monkeypatch.setattr("ledger.exchange.submitter.MOST_IN_FLIGHT", 0)
    with node.gateway(1) as gateway:
        subjects = node.register(gateway, 5)
        while gateway._submitter._enqueue_new():
            pass
        rows = outbox_of(gateway, subjects)
        gateway.parts.edge.send([SignedTransaction(row.relay, row.nonce, row.raw, row.hash) for row in rows[:4]])
    with node.gateway(1) as gateway:
        await_receipt(gateway.parts.edge, rows[3].hash)
        monkeypatch.setattr(gateway._submitter, "_send", lambda **_: pytest.fail("it was sent"))
        assert gateway._submitter.step()
        assert gateway._submitter.step()
        monkeypatch.undo()
        settle(gateway)
        assert {row.state for row in outbox_of(gateway, subjects)} == {OutboxState.DONE}


def test_it_looks_again_soon_and_then_later(node: OnANode) -> None:
    with node.gateway(1) as gateway:
        submitter = gateway._submitter
        assert submitter.pause_s() == gateway.parts.settings.resting_s
        node.register(gateway, 1)
        submitter._enqueue_new()
        submitter._send()
        submitter._pause_s = 0.005
        longest = gateway.parts.settings.poll_s
        assert [submitter.pause_s() for _ in range(2)] == [0.005, 0.01]
        assert [submitter.pause_s() for _ in range(8)][-1] == longest
        settle(gateway)


def test_a_further_account_is_followed_when_what_it_sent_has_its_outcome(node: OnANode) -> None:
    with node.gateway(3) as gateway:
        submitter, keys = gateway._submitter, gateway.keys
        first = node.register(gateway, 6)
        submitter._enqueue_new()
        former = [each.address for each in submitter._relays.all()]
        with ThreadPoolExecutor(1) as pool:
            rotated = pool.submit(keys.rotate_relay, number=2)
            eventually(lambda: bool(submitter._succession.is_asked))
            meanwhile = node.register(gateway, 3)
            eventually(lambda: submitter.step() or rotated.done())
            while not rotated.done():
                submitter.step()
                gateway._indexer.step()
            settle(gateway)
            shown = rotated.result().further_relays[0]
        present = [each.address for each in submitter._relays.all()]
        assert [present[0], present[2]] == [former[0], former[2]]
        assert present[1] == shown.relay != former[1]
        rows = outbox_of(gateway, first + meanwhile)
        assert {row.state for row in rows} == {OutboxState.DONE}
        assert sum(row.relay == former[1] for row in rows[:6]) == 2
        assert former[1] not in {row.relay for row in rows[6:]}
        more = node.register(gateway, 3)
        settle(gateway)
        assert {row.relay for row in outbox_of(gateway, more)} == set(present)
    with node.gateway(3) as gateway:  # and so it is after a start
        assert [each.address for each in gateway._submitter._relays.all()] == present
