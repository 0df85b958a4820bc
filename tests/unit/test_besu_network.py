"""A Besu network's files: the genesis block as Besu reads it, keys that stay private, allow lists."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.statements import address_of
from ledger.types import Address
from scripts.besu_network import NetworkPlan, add_node, allow_accounts, build_genesis, write_network

RECORDED = Path(__file__).parents[1] / "vectors" / "qbft" / "besu_london.json"
LOOPBACK = ("127.0.0.1",) * 4


def accounts_of(node: Path) -> list[str]:
    accounts: list[str] = tomllib.loads((node / "permissions.toml").read_text())["accounts-allowlist"]
    return accounts


def test_the_genesis_block_is_that_of_a_recorded_network() -> None:
    recorded = json.loads(RECORDED.read_bytes())
    validators = [Address.parse(each) for each in reversed(recorded["validators_at_genesis"])]
    genesis = build_genesis(1337, validators, 1, 0x5F000000)
    theirs = recorded["genesis_json"]
    differing = {name for name in theirs if genesis[name] != theirs[name]}
    assert differing == {"gasLimit", "alloc"}
    assert set(genesis) == set(theirs)


def test_every_node_has_its_key_and_knows_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    nodes = write_network(folder, NetworkPlan(LOOPBACK, p2p_port=30400, rpc_port=8600))
    described = json.loads((folder / "network.json").read_bytes())
    assert [each["address"] for each in described["nodes"]] == [str(node.address) for node in nodes]
    assert 0 < int(described["chain_id"]) <= 1 << 52
    for place, node in enumerate(nodes):
        own = folder / node.name
        assert (own / "node.key").stat().st_mode & 0o077 == 0
        assert address_of(bytes.fromhex((own / "node.key").read_text().strip()[2:])) == node.address
        assert (own / "genesis.json").read_bytes() == (folder / "genesis.json").read_bytes()
        others = json.loads((own / "static-nodes.json").read_bytes())
        assert others == [each.enode for each in nodes if each is not node]
        config = tomllib.loads((own / "config.toml").read_text())
        assert (config["p2p-port"], config["rpc-http-port"]) == (30400 + place, 8600 + place)
        assert (config["min-gas-price"], config["p2p-interface"]) == (0, "127.0.0.1")
        assert config["permissions-accounts-config-file-enabled"] is False
        permitted = tomllib.loads((own / "permissions.toml").read_text())["nodes-allowlist"]
        assert set(permitted) == {each.enode for each in nodes}
        assert (own / "start.sh").stat().st_mode & 0o111
        assert node.key.hex() not in repr(node)
    assert len({node.address for node in nodes}) == 4


def test_nodes_on_machines_of_their_own_share_the_ports(tmp_path: Path) -> None:
    hosts = ("10.0.0.1", "10.0.0.2", "fd00::3")
    plan = NetworkPlan(hosts, accounts=(Address(b"\x01" * 20),))
    nodes = write_network(tmp_path, plan)
    assert {(node.p2p_port, node.rpc_port) for node in nodes} == {(30303, 8545)}
    assert nodes[2].enode.endswith("@[fd00::3]:30303")
    config = tomllib.loads((tmp_path / "node-2" / "config.toml").read_text())
    assert (config["p2p-host"], config["p2p-interface"]) == ("10.0.0.2", "0.0.0.0")
    assert config["permissions-accounts-config-file-enabled"] is True
    assert accounts_of(tmp_path / "node-3") == ["0x" + "01" * 20]
    assert (plan.tolerates, plan.is_safe, NetworkPlan(LOOPBACK).tolerates) == (0, False, 1)


def test_accounts_are_allowed_once_and_the_list_counts_from_then_on(tmp_path: Path) -> None:
    write_network(tmp_path, NetworkPlan(LOOPBACK))
    first, second = Address(b"\x01" * 20), Address(b"\x02" * 20)
    assert allow_accounts(tmp_path, [first]) == [first]
    assert allow_accounts(tmp_path, [second, first]) == [first, second]
    for node in tmp_path.glob("node-*"):
        assert accounts_of(node) == [str(first), str(second)]
        config = tomllib.loads((node / "config.toml").read_text())
        assert config["permissions-accounts-config-file-enabled"] is True
        assert len(tomllib.loads((node / "permissions.toml").read_text())["nodes-allowlist"]) == 4


def test_one_more_node_is_known_to_all(tmp_path: Path) -> None:
    nodes = write_network(tmp_path, NetworkPlan(LOOPBACK, p2p_port=30400, rpc_port=8600))
    allow_accounts(tmp_path, [Address(b"\x01" * 20)])
    shutil.rmtree(tmp_path / "node-1")  # given to its operator
    near, far = add_node(tmp_path, "127.0.0.1"), add_node(tmp_path, "10.0.0.9", "10.0.0.9")
    assert (near.name, near.p2p_port, near.rpc_port) == ("node-5", 30404, 8604)
    assert (far.name, far.p2p_port, far.rpc_port) == ("node-6", 30303, 8545)
    everybody = {each.enode for each in (*nodes, near, far)}
    for node in (*nodes[1:], near, far):
        own = tmp_path / node.name
        assert set(tomllib.loads((own / "permissions.toml").read_text())["nodes-allowlist"]) == everybody
        assert set(json.loads((own / "static-nodes.json").read_bytes())) == everybody - {node.enode}
        assert accounts_of(own) == ["0x" + "01" * 20]
        assert (own / "genesis.json").read_bytes() == (tmp_path / "genesis.json").read_bytes()
    assert len(json.loads((tmp_path / "network.json").read_bytes())["nodes"]) == 6
    with pytest.raises(MalformedError):
        add_node(tmp_path, "node.example")
    assert not (tmp_path / "node-7").exists()
    with pytest.raises(NotFoundError):
        add_node(tmp_path / "node-2", "127.0.0.1")


def test_networks_that_can_not_be(tmp_path: Path) -> None:
    for hosts, period in (
        ((), 2), (("127.0.0.1",) * 65, 2), (LOOPBACK, 0), (("10.0.0.1", "10.0.0.1", "10.0.0.2"), 2),
        (("node.example",), 2),
    ):  # fmt: skip
        with pytest.raises(MalformedError):
            NetworkPlan(hosts, period_s=period)
    with pytest.raises(MalformedError):
        NetworkPlan(LOOPBACK, rpc_host="localhost")
    (tmp_path / "something").touch()
    with pytest.raises(ConflictError):
        write_network(tmp_path, NetworkPlan(LOOPBACK))
    with pytest.raises(NotFoundError):
        allow_accounts(tmp_path, [Address(bytes(20))])


@pytest.mark.parametrize(
    ("p2p_port", "rpc_port", "words"),
    [
        (30303, 65534, "the last would be 65537"),
        (65533, 8545, "the last would be 65536"),
        (30303, 30301, "port 30303 would be one node's for peers"),
        (0, 8545, "1 to 65535"),
    ],
)
def test_every_nodes_ports_are_looked_at(p2p_port: int, rpc_port: int, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        NetworkPlan(LOOPBACK, p2p_port=p2p_port, rpc_port=rpc_port)
    NetworkPlan(("10.0.0.1", "10.0.0.2"), p2p_port=65535, rpc_port=65534)


def test_a_member_that_keeps_its_key_says_whose_transactions_its_node_takes(tmp_path: Path) -> None:
    write_network(tmp_path, NetworkPlan(LOOPBACK))
    for given in tmp_path.glob("node-*"):
        shutil.rmtree(given)
    with pytest.raises(MalformedError, match="whose transactions the new node is to take"):
        add_node(tmp_path, "10.0.0.9")
    assert list(tmp_path.glob("node-*")) == []
    node = add_node(tmp_path, "10.0.0.9", accounts=[Address(b"\x01" * 20)])
    config = tomllib.loads((tmp_path / node.name / "config.toml").read_text())
    assert config["permissions-accounts-config-file-enabled"] is True
    assert accounts_of(tmp_path / node.name) == ["0x" + "01" * 20]
    shutil.rmtree(tmp_path / node.name)
    everybody = add_node(tmp_path, "10.0.0.9", accounts=[])
    config = tomllib.loads((tmp_path / everybody.name / "config.toml").read_text())
    assert config["permissions-accounts-config-file-enabled"] is False


def test_the_settings_say_what_the_enabled_methods_can_do(tmp_path: Path) -> None:
    write_network(tmp_path, NetworkPlan(LOOPBACK))
    text = (tmp_path / "node-1" / "config.toml").read_text()
    assert tomllib.loads(text)["rpc-http-api"] == ["ETH", "NET", "WEB3", "QBFT"]
    assert "lets whoever\n# reaches this port propose validators" in text
    assert "qbft_*" in text


def test_the_proxy_example_refuses_what_votes() -> None:
    proxy = (Path(__file__).parents[2] / "deploy" / "besu" / "haproxy.cfg").read_text()
    assert re.search(r"deny_status 403 if \{ req.body -m sub -i qbft_ ", proxy)
    assert (
        proxy.index("option http-buffer-request") < proxy.index("deny_status 413 unless") < proxy.index("qbft_ admin_")
    )


def test_the_compose_file_mounts_what_its_head_makes() -> None:
    text = (Path(__file__).parents[2] / "deploy" / "besu" / "compose.yaml").read_text()
    named = re.findall(r"--host (\S+)", text)
    assert named == re.findall(r"ipv4_address: (\S+) }", text)
    assert [f"node-{place}" for place in range(1, 5)] == re.findall(r'"\./network/(node-[0-9]):/node"', text)
    assert NetworkPlan(tuple(named), rpc_host="0.0.0.0").is_safe
    assert re.search(r"concord init --rpc \S+ --governor", text)
