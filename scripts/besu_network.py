"""The files of a Hyperledger Besu QBFT network: genesis block, validator keys, node folders, allow lists, commands.

    DIR/genesis.json                  the network's first block, the same for every node
    DIR/network.json                  chain id, nodes and their addresses: what members compare
    DIR/node-1/genesis.json           a node's folder is whole by itself and goes to its operator
              /node.key               the validator's key; nobody else may have it
              /config.toml            Besu's settings
              /static-nodes.json      the other nodes
              /permissions.toml       which nodes may connect, and, once accounts are named, who may send transactions
              /start.sh               starts Besu (BESU names another binary than besu)

London rules and a base fee of zero: the contracts are compiled for any EVM since, and transactions cost nothing.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from coincurve import PrivateKey

from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.evidence.rlp import encode_rlp
from ledger.keyfiles import write_private_file
from ledger.statements import address_of, generate_private_key
from ledger.types import Address

__all__ = ["BesuNode", "NetworkPlan", "add_node", "allow_accounts", "build_genesis", "write_network"]

_MIX_HASH: Final = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
_GAS_LIMIT: Final = 100_000_000
_EPOCH_BLOCKS: Final = 30_000
_LEAST_FOR_ONE_LOST: Final = 4
_LAST_PORT: Final = 65_535
_MOST_VALIDATORS: Final = 64
_P2P_PORT: Final = 30_303
_RPC_PORT: Final = 8_545
_NODES: Final = "nodes-allowlist="
_ACCOUNTS: Final = "accounts-allowlist="
"""The two lines of permissions.toml, in this order."""

_START: Final = """\
#!/bin/sh
# Starts this node; BESU names the binary, further options are Besu's.
cd "$(dirname "$0")" && exec "${BESU:-besu}" --config-file=config.toml "$@"
"""

_CONFIG: Final = """\
# Besu's settings of one validator; paths are relative to this folder, where start.sh goes.
genesis-file="genesis.json"
data-path="data"
node-private-key-file="node.key"

# Nobody pays for gas: 0 on every node, beside zeroBaseFee in the genesis block.
min-gas-price=0

# The state of every block stays there, so that a call at an old block is answered.
sync-mode="FULL"
data-storage-format="FOREST"

p2p-host="{host}"
p2p-interface="{interface}"
p2p-port={p2p_port}
discovery-enabled=false
static-nodes-file="static-nodes.json"
permissions-nodes-config-file-enabled=true
permissions-nodes-config-file="permissions.toml"
permissions-accounts-config-file-enabled={has_accounts}
permissions-accounts-config-file="permissions.toml"

# For the operator, the member's gateway and auditors; put a proxy in front of it before strangers reach it.
# ADMIN and PERM change the node: they are left out. QBFT, which adding and removing validators needs, lets whoever
# reaches this port propose validators in this node's name, and vote them in and out: where others than the operator
# reach it, leave "QBFT" out, or let the proxy refuse every method qbft_* (docs/operating/network.md).
rpc-http-enabled=true
rpc-http-host="{rpc_host}"
rpc-http-port={rpc_port}
rpc-http-api=["ETH","NET","WEB3","QBFT"]
host-allowlist={allowed_hosts}
"""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What `write_network` makes.

    Attributes:
        hosts: the address of each validator's machine, one for each; all alike: one machine, and ports count up.
        period_s: seconds between blocks.
        rpc_host: where each node's JSON-RPC listens.
        accounts: who may send transactions; none: everybody, until `allow_accounts`.
    """

    hosts: tuple[str, ...]
    period_s: int = 2
    p2p_port: int = _P2P_PORT
    rpc_port: int = _RPC_PORT
    rpc_host: str = "127.0.0.1"
    accounts: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        """Check what belongs together. Raises: MalformedError."""
        if not 1 <= len(self.hosts) <= _MOST_VALIDATORS:
            raise MalformedError(f"a network has 1 to {_MOST_VALIDATORS} validators")
        if self.period_s < 1:
            raise MalformedError("blocks are a second apart at least")
        if len(set(self.hosts)) not in {1, len(self.hosts)}:
            raise MalformedError("the validators' hosts are all alike (one machine) or all different")
        for host in (*self.hosts, self.rpc_host):
            try:
                ipaddress.ip_address(host)
            except ValueError as error:
                raise MalformedError(f"Besu's peers are named by IP address, and {host!r} is none") from error
        self._check_ports()

    def _check_ports(self) -> None:
        """Check every node's ports, which count up on one machine. Raises: MalformedError."""
        steps = range(len(self.hosts) if len(set(self.hosts)) == 1 else 1)
        of_peers, of_rpc = ({first + step for step in steps} for first in (self.p2p_port, self.rpc_port))
        _check_port(max(of_peers | of_rpc))
        if min(of_peers | of_rpc) < 1:
            raise MalformedError("ports are 1 to 65535")
        if taken := of_peers & of_rpc:
            raise MalformedError(
                f"port {min(taken)} would be one node's for peers, another's for JSON-RPC: set them apart"
            )

    @property
    def tolerates(self) -> int:
        """How many validators may be lost while the rest goes on: fewer than a third."""
        return (len(self.hosts) - 1) // 3

    @property
    def is_safe(self) -> bool:
        """Whether one validator may be lost."""
        return len(self.hosts) >= _LEAST_FOR_ONE_LOST


def _check_port(last: int) -> None:
    if last > _LAST_PORT:
        raise MalformedError(
            f"on one machine the nodes' ports count up, and the last would be {last}: begin so low that it is at most "
            f"{_LAST_PORT}"
        )


@dataclass(frozen=True, slots=True)
class BesuNode:
    """One validator."""

    name: str
    host: str
    p2p_port: int
    rpc_port: int
    key: bytes = field(repr=False)

    @classmethod
    def draw(cls, plan: NetworkPlan, place: int) -> Self:
        """With a fresh key; on one machine the ports count up."""
        step = place if len(set(plan.hosts)) == 1 else 0
        return cls(
            f"node-{place + 1}", plan.hosts[place], plan.p2p_port + step, plan.rpc_port + step, generate_private_key()
        )

    @property
    def address(self) -> Address:
        """The validator's address, which the genesis block names and its seals recover to."""
        return address_of(self.key)

    @property
    def enode(self) -> str:
        """How its peers name it."""
        public = PrivateKey(self.key).public_key.format(compressed=False)[1:]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"enode://{public.hex()}@{host}:{self.p2p_port}"

    def describe(self) -> dict[str, str | int]:
        """What network.json says of it."""
        return {
            "name": self.name,
            "address": str(self.address),
            "enode": self.enode,
            "host": self.host,
            "p2p_port": self.p2p_port,
            "rpc_port": self.rpc_port,
        }


def build_genesis(chain_id: int, validators: Sequence[Address], period_s: int, timestamp: int) -> dict[str, object]:
    """Besu's genesis file; its extra data name the validators: RLP[vanity, validators, vote, round, seals]."""
    extra = encode_rlp([bytes(32), [bytes(each) for each in sorted(validators, key=bytes)], [], b"", []])
    return {
        "config": {
            "chainId": chain_id,
            "berlinBlock": 0,
            "londonBlock": 0,
            "zeroBaseFee": True,
            "qbft": {
                "blockperiodseconds": period_s,
                "epochlength": _EPOCH_BLOCKS,
                "requesttimeoutseconds": 2 * period_s,
            },
        },
        "nonce": "0x0",
        "timestamp": hex(timestamp),
        "extraData": "0x" + extra.hex(),
        "gasLimit": hex(_GAS_LIMIT),
        "difficulty": "0x1",
        "mixHash": _MIX_HASH,
        "coinbase": "0x" + "00" * 20,
        "alloc": {},
    }


def write_network(folder: Path, plan: NetworkPlan) -> list[BesuNode]:
    """Draw a network's chain id and keys, and write its files into a folder that is new or empty; its nodes.

    Raises:
        ConflictError: the folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} holds something already: name a new folder", code="folder-not-empty")
    nodes = [BesuNode.draw(plan, place) for place in range(len(plan.hosts))]
    chain_id = secrets.randbelow(1 << 52) + 1
    genesis = _dump(build_genesis(chain_id, [each.address for each in nodes], plan.period_s, int(time.time())))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for node in nodes:
        _write_node(folder / node.name, node, [each.enode for each in nodes], genesis, plan)
    (folder / "genesis.json").write_text(genesis)
    described = [each.describe() for each in nodes]
    (folder / "network.json").write_text(_dump({"chain_id": str(chain_id), "nodes": described}))
    return nodes


def add_node(
    folder: Path, host: str, rpc_host: str = "127.0.0.1", *, accounts: Sequence[Address] | None = None
) -> BesuNode:
    """Draw one more node, write its folder and make the others that lie in ``folder`` know it.

    It follows the chain at once and becomes a validator by the validators' votes. Operators whose folder is elsewhere
    enter its enode by hand. The new node's list of accounts is that of a folder that is here; where none is,
    ``accounts`` names who may send transactions: a validator that was told nobody would take anybody's.

    Raises:
        NotFoundError: that is no network's folder.
        MalformedError: the host is no IP address, or nothing tells whose transactions the node is to take.
    """
    try:
        network = json.loads((folder / "network.json").read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"{folder} holds no network.json: name the folder of `concord network init`") from error
    known: list[dict[str, str | int]] = network["nodes"]
    neighbours = [each for each in known if each["host"] == host]
    p2p_port, rpc_port = (
        max((int(each[port]) + 1 for each in neighbours), default=usual)
        for port, usual in (("p2p_port", _P2P_PORT), ("rpc_port", _RPC_PORT))
    )
    node = BesuNode(f"node-{len(known) + 1}", host, p2p_port, rpc_port, generate_private_key())
    enodes = [str(each["enode"]) for each in known]
    here = [folder / str(each["name"]) for each in known if (folder / str(each["name"])).is_dir()]
    if not here and accounts is None:
        raise MalformedError(
            "no other node's folder is here, so nothing tells whose transactions the new node is to take: name the "
            "relay accounts that the network allows (--account), as another member's permissions.toml lists them, or "
            "say that it allows everybody (--everybody)"
        )
    allowed = list(dict.fromkeys([*(_allowed_in(here[0]) if here else ()), *(accounts or ())]))
    _check_port(max(p2p_port, rpc_port))
    plan = NetworkPlan((host,), rpc_host=rpc_host, accounts=tuple(allowed))
    _write_node(folder / node.name, node, [*enodes, node.enode], (folder / "genesis.json").read_text(), plan)
    for neighbour in here:
        _introduce(neighbour, node.enode)
    _replace(folder / "network.json", _dump(network | {"nodes": [*known, node.describe()]}))
    return node


def _introduce(folder: Path, enode: str) -> None:
    others = json.loads((folder / "static-nodes.json").read_bytes())
    _replace(folder / "static-nodes.json", _dump([*others, enode]))
    path = folder / "permissions.toml"
    nodes, *rest = path.read_text().splitlines()
    allowed = [*json.loads(nodes.removeprefix(_NODES)), enode]
    _replace(path, "\n".join([f"{_NODES}{json.dumps(allowed)}", *rest]) + "\n")


def allow_accounts(folder: Path, accounts: Sequence[Address]) -> list[Address]:
    """Let these accounts, too, send transactions, and from now on nobody who is not named; who is now.

    Of each node folder in ``folder`` (a network's, or one that holds single nodes); a node takes it up when it starts,
    or by ``perm_reloadPermissionsFromFile``.

    Raises:
        NotFoundError: there is no node.
    """
    permissions = sorted(folder.glob("node-*/permissions.toml"))
    if not permissions:
        raise NotFoundError(
            f"{folder} holds no node-*/permissions.toml: name a folder that `concord network init` made"
        )
    allowed: list[Address] = []
    for path in permissions:
        allowed = list(dict.fromkeys([*_allowed_in(path.parent), *accounts]))
        nodes, *_ = path.read_text().splitlines()
        _replace(path, f"{nodes}\n{_accounts_line(allowed)}\n")
        config = path.with_name("config.toml")
        was = "permissions-accounts-config-file-enabled="
        _replace(config, config.read_text().replace(f"{was}false", f"{was}true"))
    return allowed


def _allowed_in(node: Path) -> list[Address]:
    """The accounts that a node lets send."""
    _, accounts = (node / "permissions.toml").read_text().splitlines()
    return [Address.parse(each) for each in json.loads(accounts.removeprefix(_ACCOUNTS))]


def _write_node(folder: Path, node: BesuNode, enodes: Sequence[str], genesis: str, plan: NetworkPlan) -> None:
    folder.mkdir(mode=0o700)
    write_private_file(folder / "node.key", f"0x{node.key.hex()}\n".encode())
    (folder / "genesis.json").write_text(genesis)
    (folder / "static-nodes.json").write_text(_dump([each for each in enodes if each != node.enode]))
    permissions = f"{_NODES}{json.dumps(list(enodes))}\n{_accounts_line(plan.accounts)}\n"
    (folder / "permissions.toml").write_text(permissions)
    config = _CONFIG.format(
        host=node.host,
        interface="127.0.0.1" if ipaddress.ip_address(node.host).is_loopback else "0.0.0.0",  # noqa: S104 - its peers are listed
        p2p_port=node.p2p_port,
        rpc_host=plan.rpc_host,
        rpc_port=node.rpc_port,
        has_accounts="true" if plan.accounts else "false",
        allowed_hosts=json.dumps(sorted({"localhost", "127.0.0.1", node.host, node.name})),
    )
    (folder / "config.toml").write_text(config)
    (folder / "start.sh").write_text(_START)
    (folder / "start.sh").chmod(0o755)


def _accounts_line(accounts: Sequence[Address]) -> str:
    return f"{_ACCOUNTS}{json.dumps([str(each) for each in accounts])}"


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.replace(path)


def _dump(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"
