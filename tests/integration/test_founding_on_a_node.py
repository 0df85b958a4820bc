"""A consortium founded on a chain that is there, through a node (anvil): all works there as it does anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain import ChainSettings
from ledger.chain.http import open_session
from ledger.chain.node import NodeConnection, connect_http
from ledger.errors import ConflictError, MalformedError, UnavailableError
from ledger.exchange import ExistingChain, State, found
from ledger.exchange.gateway_file import GatewayFile
from ledger.types import Address
from tests.support.chain import running_anvil
from tests.support.exchange import open_gateway, plan_of, registration


@pytest.fixture(scope="module")
def anvil() -> Iterator[ChainSettings]:
    with running_anvil() as settings:
        yield settings


def url_of(anvil: ChainSettings) -> str:
    assert anvil.rpc_url is not None
    return anvil.rpc_url


def test_a_gateway_on_a_node_does_what_it_does_anywhere(anvil: ChainSettings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    founded = found(home, replace(plan_of(), chain=ExistingChain(url_of(anvil))))
    assert founded.chain_id == anvil.chain_id
    assert not (home / "chain").exists()
    with open_gateway(home, founded) as consortium:
        outcome = consortium.state("utility", registration("power", {"a": b"1"}))
        assert outcome.state is State.FINAL
        assert consortium.gateway.health().log_size == 5
    with open_gateway(home, founded) as consortium:
        assert consortium.gateway.health().log_size == 5


def test_two_consortia_share_a_chain_and_no_domain(anvil: ChainSettings, tmp_path: Path) -> None:
    plan = replace(plan_of(), chain=ExistingChain(url_of(anvil)))
    first, second = (found(tmp_path / name, plan) for name in ("first", "second"))
    assert not set(first.contracts.values()) & set(second.contracts.values())


def test_where_a_fee_is_asked_new_accounts_are_funded_first(anvil: ChainSettings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    plan = replace(plan_of(), chain=ExistingChain(url_of(anvil), gas_price_wei=7, finality_blocks=0))
    with pytest.raises(ConflictError) as unfunded:
        found(home, plan)
    assert unfunded.value.code == "unfunded"
    assert set(unfunded.value.facts.values()) == {str(50_000_000 * 7), str(100_000_000 * 7)}
    with open_session() as session:
        node = NodeConnection(connect_http(url_of(anvil), 5.0, session), 1)
        for address, amount in unfunded.value.facts.items():
            node.ask("anvil_setBalance", address, hex(int(str(amount))))
    founded = found(home, plan)
    config = GatewayFile.load(home / "gateway.json")
    assert (config.gas_price_wei, config.rpc_url) == (7, url_of(anvil))
    with open_gateway(home, founded) as consortium:
        assert consortium.gateway.health().log_size == 4


def test_chains_that_can_not_be_founded_on(anvil: ChainSettings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for wrong in (
        replace(plan_of(), chain=ExistingChain("ftp://node")),
        replace(plan_of(), chain=ExistingChain(url_of(anvil), gas_price_wei=-1)),
        replace(plan_of(), chain=ExistingChain(url_of(anvil)), relay_accounts=(Address(bytes(20)),)),
    ):
        with pytest.raises(MalformedError):
            found(home, wrong)
    with pytest.raises(UnavailableError):
        found(home, replace(plan_of(), chain=ExistingChain("http://127.0.0.1:9")))
    assert not (home / "founding.json").exists()


def test_an_older_gateway_file_asks_no_fee(tmp_path: Path) -> None:
    path = tmp_path / "gateway.json"
    zero = "0x" + "00" * 32
    older = {"format": "concord-gateway/1", "operator": zero, "origin": "a/b", "rpc_url": "http://node.example"}
    path.write_text(json.dumps(older | {"genesis_accounts": [], "senders": []}))
    settings = GatewayFile.load(path).chain_settings(7, None, 3)
    assert (settings.profile, settings.gas_price_wei, settings.finality_blocks) == ("node", 0, 3)
