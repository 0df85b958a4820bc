"""Whose key signs on the client's side, and under which domains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.keccak import keccak256
from ledger.statements import Domains, address_of, sign_digest
from ledger.types import Address, Bytes32

__all__ = ["Identity", "LocalKey", "PayloadSigner", "Signatory", "Signer", "parse_domains"]


class PayloadSigner(Protocol):
    """Signs what it hashes itself, as remote signers do."""

    @property
    def address(self) -> Address:
        """The key's address."""

    def sign_payload(self, payload: bytes) -> bytes:
        """Sign Keccak-256 of ``payload``: 65 bytes r || s || v, low s."""


class Signer(PayloadSigner, Protocol):
    """Signs digests with one key."""

    def sign(self, digest: Bytes32) -> bytes:
        """65 bytes r || s || v, low s."""


class LocalKey:
    """A private key in memory; never printed."""

    def __init__(self, private_key: bytes) -> None:
        self._private_key = private_key
        self._address = address_of(private_key)

    @property
    def address(self) -> Address:
        """The key's address."""
        return self._address

    def sign(self, digest: Bytes32) -> bytes:
        """65 bytes r || s || v, low s."""
        return sign_digest(self._private_key, digest)

    def sign_payload(self, payload: bytes) -> bytes:
        """Sign Keccak-256 of ``payload``."""
        return self.sign(Bytes32(keccak256(payload)))


class Signatory(Protocol):
    """A key that signs statements of one consortium, wherever it is held."""

    @property
    def signer(self) -> PayloadSigner:
        """The key."""

    @property
    def domains(self) -> Domains:
        """The consortium's domains."""


@dataclass(frozen=True)
class Identity:
    """A key and the consortium under whose domains it signs.

    ``domains`` come from a ``consortium.json`` that the owner imported, so that a gateway can not lead it to sign for
    another consortium. ``cosigner`` is a new key that admits itself, where a type asks for it.
    """

    signer: Signer
    domains: Domains
    cosigner: Signer | None = None


def parse_domains(document: JsonValue) -> Domains:
    """The domains of a ``consortium.json``. Raises: MalformedError."""
    try:
        given = cast(Any, document)
        contracts = {name: Address.parse(each["address"]) for name, each in given["contracts"].items()}
        return Domains(int(given["chain_id"]), contracts)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MalformedError("this is no consortium.json: chain_id or contracts are missing") from error
