"""A consortium's contracts: where they are, and the file ``consortium.json`` by which others join.

The file is canonical JSON (RFC 8785)::

    {"chain_id": "8412659912734650123", "contracts": {"AccessGrants": {"address": "0x…", "code_hash": "0x…"}, …},
     "deployment_block": {"hash": "0x…", "number": "1"}, "format": "concord-consortium/1", "genesis_hash": "0x…",
     "history_head": "0x…"}

``deployment_block`` is the block that created the registry, ``history_head`` the registry's history right after: who
founded the consortium, and with which keys. ``check_deployment`` compares all of it with a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from ledger.canonical import JsonValue, encode_canonical, parse_canonical
from ledger.chain.blocks import Block
from ledger.chain.contracts import CONTRACT_NAMES
from ledger.chain.edge import ChainEdge
from ledger.chain.events import decode_events
from ledger.chain.transactions import predict_contract_address
from ledger.errors import MalformedError, VerificationError
from ledger.statements import Domains
from ledger.types import Address, Bytes32

__all__ = ["Deployment", "check_deployment", "founding_head", "predict_addresses", "predict_domains"]

_FORMAT: Final = "concord-consortium/1"
_MAX_SIZE_BYTES: Final = 16_384
_MEMBERS: Final = {"chain_id", "contracts", "deployment_block", "format", "genesis_hash", "history_head"}


@dataclass(frozen=True)
class Deployment:
    """One consortium's chain and contracts."""

    chain_id: int
    genesis_hash: Bytes32
    contracts: Mapping[str, Address]
    code_hashes: Mapping[str, Bytes32]
    deployment_block: int
    deployment_block_hash: Bytes32
    history_head: Bytes32

    @property
    def domains(self) -> Domains:
        """The EIP-712 domains that the consortium's statements are signed under."""
        return Domains(self.chain_id, self.contracts)

    def to_bytes(self) -> bytes:
        """The file ``consortium.json``."""
        return encode_canonical(
            {
                "format": _FORMAT,
                "chain_id": str(self.chain_id),
                "genesis_hash": str(self.genesis_hash),
                "contracts": {
                    name: {"address": str(self.contracts[name]), "code_hash": str(self.code_hashes[name])}
                    for name in CONTRACT_NAMES
                },
                "deployment_block": {"number": str(self.deployment_block), "hash": str(self.deployment_block_hash)},
                "history_head": str(self.history_head),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read ``consortium.json``, strictly; one trailing newline is allowed.

        Raises:
            MalformedError: not such a file.
        """
        try:
            return cls._parse(parse_canonical(raw.removesuffix(b"\n"), max_size_bytes=_MAX_SIZE_BYTES))
        except MalformedError as error:
            raise MalformedError(
                f"not a consortium file: {error}. Take it, unchanged, from a member that you trust"
            ) from error

    @classmethod
    def _parse(cls, form: JsonValue) -> Self:
        top = _object(form, "the file", _MEMBERS)
        if top["format"] != _FORMAT:
            raise MalformedError(f"format is not {_FORMAT}")
        contracts = _object(top["contracts"], "contracts", set(CONTRACT_NAMES))
        entries = {name: _object(contracts[name], name, {"address", "code_hash"}) for name in CONTRACT_NAMES}
        block = _object(top["deployment_block"], "deployment_block", {"number", "hash"})
        return cls(
            chain_id=_number(top["chain_id"]),
            genesis_hash=Bytes32.parse(_text(top["genesis_hash"])),
            contracts={name: Address.parse(_text(entry["address"])) for name, entry in entries.items()},
            code_hashes={name: Bytes32.parse(_text(entry["code_hash"])) for name, entry in entries.items()},
            deployment_block=_number(block["number"]),
            deployment_block_hash=Bytes32.parse(_text(block["hash"])),
            history_head=Bytes32.parse(_text(top["history_head"])),
        )


def predict_addresses(deployer: Address) -> dict[str, Address]:
    """Where a fresh deployer's nonces 0 to 4 put the contracts (CREATE, Yellow Paper section 7)."""
    return {name: predict_contract_address(deployer, nonce) for nonce, name in enumerate(CONTRACT_NAMES)}


def predict_domains(chain_id: int, deployer: Address) -> Domains:
    """The domains that founders sign their applications under, before there are contracts."""
    return Domains(chain_id, predict_addresses(deployer))


def founding_head(block: Block, registry: Address) -> Bytes32 | None:
    """The registry's history head at the end of the transaction that created it; None: not in this block."""
    for receipt in block.receipts:
        if receipt.contract_address == registry and receipt.is_successful:
            events = decode_events(block, {"ParticipantRegistry": registry})
            heads = [
                event.args["head"]
                for event in events
                if event.name == "HistoryExtended" and event.tx_hash == receipt.transaction_hash
            ]
            return heads[-1] if heads else None
    return None


def check_deployment(edge: ChainEdge, deployment: Deployment) -> None:
    """Check that a chain holds just this deployment.

    Raises:
        ConflictError: the chain has another id.
        VerificationError: another genesis, code, or founding; both values are attached.
        UnavailableError: the node does not answer.
    """
    edge.check_chain_id()
    _compare("the genesis hash", deployment.genesis_hash, edge.genesis_hash)
    for name in CONTRACT_NAMES:
        found = edge.code_hash(deployment.contracts[name])
        _compare(f"the code of {name} at {deployment.contracts[name]}", deployment.code_hashes[name], found)
    block = edge.block(deployment.deployment_block)
    _compare("the deployment block", deployment.deployment_block_hash, block.hash if block else None)
    if block is not None:
        head = founding_head(block, deployment.contracts["ParticipantRegistry"])
        _compare("the founding history", deployment.history_head, head)


def _compare(what: str, expected: Bytes32, found: Bytes32 | None) -> None:
    if expected != found:
        raise VerificationError(
            f"{what} differs between the consortium file ({expected}) and the node ({found}): one of them is of "
            "another chain",
            expected=str(expected),
            found=str(found),
        )


def _object(form: JsonValue, what: str, members: set[str]) -> dict[str, JsonValue]:
    if not isinstance(form, dict) or set(form) != members:
        raise MalformedError(f"{what} has the members {', '.join(sorted(members))}")
    return form


def _text(form: JsonValue) -> str:
    if not isinstance(form, str):
        raise MalformedError("expected a string")
    return form


def _number(form: JsonValue) -> int:
    text = _text(form)
    if not (text.isascii() and text.isdigit()) or (len(text) > 1 and text[0] == "0") or len(text) > 20:
        raise MalformedError("expected a decimal number as a string")
    return int(text)
