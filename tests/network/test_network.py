"""A consortium on a network of several validators: the whole demo, one of them lost, the quorum lost, and healed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import ConflictError
from ledger.exchange import ExistingChain, Founded, State, found
from ledger.surface.outcomes import InForce, Outcome
from ledger.types import Bytes32
from scripts.demo.chain_choice import DemoChain
from scripts.demo.display import Display
from scripts.demo.program import run
from tests.network.engines import prepare_network
from tests.network.nodes import Network, start_all, wait_until
from tests.support.exchange import Consortium, open_gateway, plan_of, registration

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = prepare_network(tmp_path_factory.mktemp("network"))
    try:
        start_all(network.nodes)
        network.connect()
        wait_until(lambda: all(node.head() >= 3 for node in network.nodes), "every validator has blocks", 240)
        yield network
    finally:
        for node in network.nodes:
            node.kill()


@pytest.fixture(scope="module")
def founding(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[tuple[Path, Founded]]]:
    """A second consortium on the same network, founded while the demo runs."""
    folder = tmp_path_factory.mktemp("gateway") / "home"
    with ThreadPoolExecutor(1) as aside:
        yield aside.submit(found_on, network, folder)


def found_on(network: Network, folder: Path) -> tuple[Path, Founded]:
    chain = ExistingChain(network.nodes[0].url, network.gas_price_wei, network.finality_blocks)
    plan = replace(plan_of(), chain=chain)
    if network.gas_price_wei:
        with pytest.raises(ConflictError) as unfunded:
            found(folder, plan)
        network.fund({address: int(str(amount)) for address, amount in unfunded.value.facts.items()})
    return folder, found(folder, plan)


@pytest.mark.usefixtures("founding")
def test_the_demo_runs_on_it(network: Network, tmp_path: Path) -> None:
    chain = DemoChain(network.nodes[0].url, network.gas_price_wei, network.finality_blocks, network.fund)
    run(tmp_path / "demo", Display(), keep=False, chain=chain)
    assert len(list((tmp_path / "demo" / "evidence").iterdir())) == 29
    verdicts = (tmp_path / "demo" / "verdicts.txt").read_text()
    assert verdicts.count("\n  VERIFIED\n") == 29
    assert verdicts.count("This rests on the seals of") == (29 if network.is_sealed else 0)


def test_validators_are_lost_and_come_back(network: Network, founding: Future[tuple[Path, Founded]]) -> None:
    home = founding.result()
    with open_gateway(*home) as consortium:
        before = accept(consortium, "before")
        assert finish(consortium, before, 240)
        lost = network.nodes[1 : 2 + network.spare]
        for node in lost[: network.spare]:
            node.kill()
        assert finish(consortium, accept(consortium, "one-lost"), 240), "the others go on"
        for node in lost[network.spare :]:
            node.kill()
        stalled = halt(network)
        waiting = [accept(consortium, f"halted-{number}") for number in range(5)]
        assert not finish(consortium, waiting[-1], 3), "writes wait"
        assert not any(finish(consortium, digest, 0) for digest in waiting), "all of them"
        assert network.nodes[0].head() == stalled
        start_all(lost)
        network.connect()
        assert all(finish(consortium, digest, 240) for digest in waiting), "nothing is lost"
        assert [effects(consortium, digest) for digest in waiting] == [1] * len(waiting), "and nothing happens twice"
        wait_until(lambda: agree(network, consortium.gateway.parts.edge.head().number), "all caught up", 240)
        assert consortium.gateway.health().log_size == 4 + 7
    with open_gateway(*home) as again:
        assert all(again.gateway.statements.wait(each, State.FINAL, 120).state is State.FINAL for each in waiting)


def accept(consortium: Consortium, slug: str) -> Bytes32:
    asker = consortium.asker("utility")
    outcome: Outcome = consortium.gateway.statements.sign_and_submit(asker, registration(slug, {"a": slug.encode()}))
    return outcome.digest


def finish(consortium: Consortium, digest: Bytes32, timeout_s: float) -> bool:
    """Whether it is final, and in force, in time."""
    outcome = consortium.gateway.statements.wait(digest, State.FINAL, timeout_s)
    return outcome.state is State.FINAL and outcome.in_force is InForce.YES


def halt(network: Network) -> int:
    """The block at which the network stands still."""
    heads = [-1]

    def stands() -> bool:
        heads.append(network.nodes[0].head())
        return len(heads) > 60 and len(set(heads[-50:])) == 1

    wait_until(stands, "the network halts", 180)
    return heads[-1]


def agree(network: Network, number: int) -> bool:
    hashes = {node.block_hash(number) for node in network.nodes}
    return len(hashes) == 1 and None not in hashes


def effects(consortium: Consortium, digest: Bytes32) -> int:
    """How many registrations of this statement the chain holds."""
    parts = consortium.gateway.parts
    contract, last = parts.deployment.contracts["DatasetRegistry"], parts.edge.head().number
    return len(parts.edge.find_events(contract, [[], [digest]], 0, last))
