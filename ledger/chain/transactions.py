"""Signed transactions: gas, gas price, nonce and chain id are ours to set (EIP-155, type 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from coincurve import PrivateKey

from ledger.evidence.rlp import encode_int, encode_rlp, expect_bytes, expect_list, parse_int, parse_rlp
from ledger.keccak import keccak256
from ledger.statements import address_of, sign_digest
from ledger.types import Address, Bytes32

__all__ = ["LocalSigner", "SignedTransaction", "Signer", "predict_contract_address", "sign_again", "sign_transaction"]

_EIP155_OFFSET: Final = 35


class Signer(Protocol):
    """An account that signs; its key may be elsewhere (Web3Signer's ``eth1/sign`` has this shape)."""

    @property
    def address(self) -> Address:
        """The account."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """Sign keccak256(payload): 65 bytes r || s || v, low s, v 27 or 28. Raises: UnavailableError."""
        ...


class LocalSigner:
    """A signer whose key is in this process."""

    def __init__(self, private_key: bytes) -> None:
        """Raises: ValueError: not a private key."""
        self._private_key = PrivateKey(private_key)  # whose public key is computed once
        self._address = address_of(private_key)

    @property
    def address(self) -> Address:
        """The account."""
        return self._address

    def sign(self, payload: bytes) -> bytes:
        """Sign keccak256(payload): 65 bytes r || s || v."""
        return sign_digest(self._private_key, keccak256(payload))

    def __repr__(self) -> str:
        return f"LocalSigner({self._address})"


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction ready to be stored and sent; the same bytes may be sent again and again."""

    sender: Address
    nonce: int
    raw: bytes
    hash: Bytes32


def sign_transaction(
    signer: Signer, *, chain_id: int, nonce: int, gas_limit: int, gas_price_wei: int, to: Address | None, data: bytes
) -> SignedTransaction:
    """Sign a legacy transaction, which every network takes; without ``to`` it creates a contract.

    Raises:
        UnavailableError: the signer can not be reached.
    """
    fields = [encode_int(nonce), encode_int(gas_price_wei), encode_int(gas_limit), bytes(to or b""), b"", data]
    signature = signer.sign(encode_rlp([*fields, encode_int(chain_id), b"", b""]))
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    v = chain_id * 2 + _EIP155_OFFSET + signature[64] - 27
    raw = encode_rlp([*fields, encode_int(v), encode_int(r), encode_int(s)])
    return SignedTransaction(signer.address, nonce, raw, Bytes32(keccak256(raw)))


def sign_again(signer: Signer, raw: bytes, *, chain_id: int, nonce: int, gas_price_wei: int) -> SignedTransaction:
    """Sign what a transaction of `sign_transaction` does once more, with another nonce.

    Raises:
        UnavailableError: the signer can not be reached.
        MalformedError: not such a transaction.
    """
    _, _, gas_limit, to, _, data, *_ = expect_list(parse_rlp(raw), 9)
    return sign_transaction(
        signer,
        chain_id=chain_id,
        nonce=nonce,
        gas_limit=parse_int(gas_limit),
        gas_price_wei=gas_price_wei,
        to=Address(expect_bytes(to)) if to else None,
        data=expect_bytes(data),
    )


def predict_contract_address(sender: Address, nonce: int) -> Address:
    """The address that CREATE gives to what this transaction creates (Yellow Paper, section 7)."""
    return Address(keccak256(encode_rlp([bytes(sender), encode_int(nonce)]))[12:])
