"""Deploying dies before and after every request: run again, it ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.chain import ChainEdge, ChainSettings, EmbeddedChain, LocalSigner, check_deployment, deploy, predict_domains
from ledger.chain.embedded import EmbeddedProvider, EmbeddedRpc
from ledger.errors import RefusedError, UnavailableError
from ledger.statements import generate_private_key
from tests.support.chain import CHAIN_ID, Person

SETTINGS = ChainSettings("embedded", CHAIN_ID)


class KilledError(BaseException):
    """Stands for kill -9: no handler of the product may catch it."""


class Mortal(EmbeddedProvider):
    """Dies at the N-th request, before the chain sees it or after."""

    def __init__(self, rpc: EmbeddedRpc, at: int, when: str) -> None:
        super().__init__(rpc)
        self.at = at
        self.when = when
        self.requests: list[str] = []

    def make_batch_request(self, requests: Any) -> Any:
        self.requests.append(requests[0][0])
        if len(self.requests) - 1 == self.at and self.when == "before":
            raise KilledError
        answers = super().make_batch_request(requests)
        if len(self.requests) - 1 == self.at:
            raise KilledError
        return answers


@pytest.fixture
def chain() -> Iterator[EmbeddedChain]:
    opened = EmbeddedChain.open(None, CHAIN_ID)
    yield opened
    opened.close()


def requests_of_a_whole_run() -> list[str]:
    chain = EmbeddedChain.open(None, CHAIN_ID)
    provider = Mortal(EmbeddedRpc(chain), -1, "never")
    deployer = LocalSigner(generate_private_key())
    domains = predict_domains(CHAIN_ID, deployer.address)
    deploy(ChainEdge(provider, SETTINGS), deployer, [Person().found(domains)], 1)
    chain.close()
    return provider.requests


REQUESTS = requests_of_a_whole_run()
SENDS = [index for index, method in enumerate(REQUESTS) if method == "eth_sendRawTransaction"]
STEPS = [(index, when) for index in range(len(REQUESTS)) for when in ("before", "after")]


@pytest.mark.parametrize(("at", "when"), [step for step in STEPS if step[0] in SENDS or step[0] % 6 == 0])
def test_death_at_any_request(chain: EmbeddedChain, at: int, when: str) -> None:
    deployer = LocalSigner(generate_private_key())
    foundings = [Person().found(predict_domains(CHAIN_ID, deployer.address))]
    with pytest.raises(KilledError):
        deploy(ChainEdge(Mortal(EmbeddedRpc(chain), at, when), SETTINGS), deployer, foundings, 1)
    edge = ChainEdge(EmbeddedProvider(EmbeddedRpc(chain)), SETTINGS)
    deployment = deploy(edge, deployer, foundings, 1)
    check_deployment(edge, deployment)
    assert edge.nonce(deployer.address) == 5
    assert edge.head().number == 5


def test_every_contract_is_sent_once() -> None:
    assert len(SENDS) == 5


class Forgetful(EmbeddedProvider):
    """Takes transactions and mines none: a network without a quorum, or a pool that loses them."""

    def __init__(self, rpc: EmbeddedRpc, losses: int) -> None:
        super().__init__(rpc)
        self.losses = losses

    def make_batch_request(self, requests: Any) -> Any:
        if requests[0][0] == "eth_sendRawTransaction" and self.losses:
            self.losses -= 1
            lost = EmbeddedChain.open(None, CHAIN_ID)
            answers = EmbeddedProvider(EmbeddedRpc(lost)).make_batch_request(requests)
            lost.close()
            return answers
        return super().make_batch_request(requests)


def test_lost_transaction_is_sent_again(chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.chain.deploying._POLL_S", 0.001)
    deployer = LocalSigner(generate_private_key())
    foundings = [Person().found(predict_domains(CHAIN_ID, deployer.address))]
    edge = ChainEdge(Forgetful(EmbeddedRpc(chain), 1), SETTINGS)
    check_deployment(edge, deploy(edge, deployer, foundings, 1))


def test_network_that_does_not_mine_is_unavailable(chain: EmbeddedChain) -> None:
    deployer = LocalSigner(generate_private_key())
    foundings = [Person().found(predict_domains(CHAIN_ID, deployer.address))]
    edge = ChainEdge(Forgetful(EmbeddedRpc(chain), 99), SETTINGS)
    with pytest.raises(UnavailableError, match="in no block yet: check that the network mines"):
        deploy(edge, deployer, foundings, 1, timeout_s=0.3)


class Tight(EmbeddedProvider):
    """Gives creations too little gas, after a simulation that went well."""

    def make_batch_request(self, requests: Any) -> Any:
        if requests[0][0] == "eth_call":
            return [{"jsonrpc": "2.0", "id": 0, "result": "0x"}]
        return super().make_batch_request(requests)


def test_creation_that_fails_in_its_block_is_a_refusal(chain: EmbeddedChain) -> None:
    deployer = LocalSigner(generate_private_key())
    founding = Person().found(predict_domains(CHAIN_ID, deployer.address))
    edge = ChainEdge(Tight(EmbeddedRpc(chain)), SETTINGS)
    with pytest.raises(RefusedError, match="failed in its block") as caught:
        deploy(edge, deployer, [founding, founding], 1)  # the registry refuses the same founder twice
    assert caught.value.code == "creation-failed"
