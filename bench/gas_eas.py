"""Gas of the Ethereum Attestation Service, the contracts of its npm package, on the chain that ours are measured on.

https://github.com/ethereum-attestation-service/eas-contracts. An attestation keeps what it is given in the contract's
storage; ours keep a digest and emit it. The one relayed with a signature does what our register does: somebody else
sends it, and the signature counts.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_abi.grammar import parse

from bench.gas_operations import Measured
from ledger.chain.transactions import LocalSigner, SignedTransaction, predict_contract_address, sign_transaction
from ledger.keccak import keccak256
from ledger.statements import generate_private_key, sign_digest
from ledger.types import Address, Bytes32
from tests.support.chain import Consortium, await_receipt, draw

__all__ = ["EAS_FOLDER", "measure_eas"]

EAS_FOLDER: Final = (
    Path(__file__).parent / "node_modules/@ethereum-attestation-service/eas-contracts/artifacts/contracts"
)
_GAS_LIMIT: Final = 30_000_000
_REPEATS: Final = 10
_BATCH: Final = 100
_NOBODY: Final = Address(bytes(20))
_NONE: Final = bytes(32)
_DATA: Final = "(address,uint64,bool,bytes32,bytes,uint256)"
_ATTEST: Final = f"attest((bytes32,{_DATA}))"
_MULTI_ATTEST: Final = f"multiAttest((bytes32,{_DATA}[])[])"
_SIGNED: Final = f"(bytes32,{_DATA},(uint8,bytes32,bytes32),address,uint64)"

_SIGNED_WORDS: Final = (
    "bytes32", "address", "bytes32", "address", "uint64", "bool", "bytes32", "bytes32", "uint256", "uint256", "uint64",
)  # fmt: skip
"""Type hash, attester, schema, and the members of an attestation, as EIP-712 hashes them."""


def _encode(function: str, *arguments: Any) -> bytes:
    """A call by its canonical signature."""
    selector = keccak256(function.encode())[:4]
    if not arguments:
        return selector
    types = [part.to_type_str() for part in parse(function[function.index("(") :]).components]
    return selector + encode(types, arguments)


@dataclass
class _Eas:
    """The deployed contracts, and who sends and attests."""

    consortium: Consortium
    sender: LocalSigner
    address: Address = _NOBODY
    schema: bytes = _NONE

    def send(self, to: Address | None, data: bytes) -> int:
        """Send a transaction and return its gas. Raises: RuntimeError: it was reverted."""
        edge = self.consortium.edge
        receipt = await_receipt(edge, self._send(to, data).hash)
        if not receipt.is_successful:
            raise RuntimeError("a transaction to the Ethereum Attestation Service was reverted")
        return receipt.gas_used

    def _send(self, to: Address | None, data: bytes) -> SignedTransaction:
        edge = self.consortium.edge
        signed = sign_transaction(
            self.sender,
            chain_id=edge.settings.chain_id,
            nonce=edge.nonce(self.sender.address),
            gas_limit=_GAS_LIMIT,
            gas_price_wei=edge.settings.gas_price_wei,
            to=to,
            data=data,
        )
        if edge.send([signed]) != [None]:
            raise RuntimeError("the chain did not take a transaction to the Ethereum Attestation Service")
        return signed

    def create(self, name: str, arguments: bytes = b"") -> Address:
        """Deploy one of its contracts."""
        artifact = json.loads((EAS_FOLDER / f"{name}.sol" / f"{name}.json").read_bytes())
        address = predict_contract_address(self.sender.address, self.consortium.edge.nonce(self.sender.address))
        self.send(None, bytes.fromhex(artifact["bytecode"][2:]) + arguments)
        return address

    def ask(self, function: str, *arguments: Any) -> bytes:
        """What a view answers."""
        return self.consortium.edge.call(self.address, _encode(function, *arguments))

    def relay(self, attester: bytes) -> int:
        """Send an attestation that somebody else signed (EIP-712)."""
        who, data, deadline = _address(attester), bytes(draw()), int(time.time()) + 3600
        nonce = int.from_bytes(self.ask("getNonce(address)", str(who)), "big")
        terms = [str(_NOBODY), 0, True, _NONE, keccak256(data), 0, nonce, deadline]
        words = encode(_SIGNED_WORDS, [self.ask("getAttestTypeHash()"), str(who), self.schema, *terms])
        digest = keccak256(b"\x19\x01" + self.ask("getDomainSeparator()") + keccak256(words))
        raw = sign_digest(attester, Bytes32(digest))
        signature = (raw[64], raw[:32], raw[32:64])
        request = (self.schema, _request(data), signature, str(who), deadline)
        return self.send(self.address, _encode(f"attestByDelegation({_SIGNED})", request))


def _address(key: bytes) -> Address:
    return LocalSigner(key).address


def _request(data: bytes) -> tuple[object, ...]:
    """Recipient, no end, revocable, refers to nothing, ``data``, no payment."""
    return (str(_NOBODY), 0, True, _NONE, data, 0)


def _deploy(consortium: Consortium) -> _Eas:
    eas = _Eas(consortium, LocalSigner(generate_private_key()))
    registry = eas.create("SchemaRegistry")
    eas.address = eas.create("EAS", encode(["address"], [str(registry)]))
    eas.send(registry, _encode("register(string,address,bool)", "bytes32 digest", str(_NOBODY), True))
    eas.schema = keccak256(b"bytes32 digest" + _NOBODY + b"\x01")
    return eas


def measure_eas(consortium: Consortium) -> list[Measured]:
    """One word attested, alone, relayed and in a batch; one word given a time, alone and in a batch."""
    eas, attester = _deploy(consortium), generate_private_key()
    attested = [eas.send(eas.address, _encode(_ATTEST, (eas.schema, _request(draw())))) for _ in range(_REPEATS)]
    relayed = [eas.relay(attester) for _ in range(_REPEATS)]
    requests = [_request(draw()) for _ in range(_BATCH)]
    many = eas.send(eas.address, _encode(_MULTI_ATTEST, [(eas.schema, requests)]))
    timed = [eas.send(eas.address, _encode("timestamp(bytes32)", draw())) for _ in range(_REPEATS)]
    batch = eas.send(eas.address, _encode("multiTimestamp(bytes32[])", [draw() for _ in range(_BATCH)]))
    return [
        Measured("EAS: attest one word", attested),
        Measured("EAS: the same, signed and relayed", relayed),
        Measured(f"EAS: attest, each in a batch of {_BATCH}", [many / _BATCH]),
        Measured("EAS: timestamp one word", timed),
        Measured(f"EAS: timestamp, each in a batch of {_BATCH}", [batch / _BATCH]),
    ]
