"""A chain that is there, reached through a node: a consortium is founded on it, or has been and is joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.canonical import JsonValue
from ledger.chain import ChainEdge, fetch_chain_id
from ledger.errors import ConflictError, MalformedError
from ledger.types import Address

__all__ = ["DEPLOYMENT_GAS", "RELAY_GAS", "ExistingChain", "check_funds"]

DEPLOYMENT_GAS: Final = 50_000_000
"""What the five creations may take at most, all limits together."""
RELAY_GAS: Final = 100_000_000
"""What the relay account should be able to pay for to begin with: some 1,500 checkpoints."""


@dataclass(frozen=True, slots=True)
class ExistingChain:
    """A chain that is there. Where it asks a fee, new accounts are funded first: relay, and to found, deployer."""

    rpc_url: str
    gas_price_wei: int = 0
    finality_blocks: int = 0
    """blocks on top of one until it counts as final; 0 for engines with immediate finality"""

    def check(self) -> None:
        """Check what belongs together. Raises: MalformedError."""
        if not self.rpc_url.startswith(("http://", "https://")):
            raise MalformedError(f"the node's URL begins with http:// or https://, not {self.rpc_url!r}")
        if self.gas_price_wei < 0 or self.finality_blocks < 0:
            raise MalformedError("gas price and finality are at least 0")

    def fetch_chain_id(self) -> int:
        """The chain id, which the node says. Raises: UnavailableError."""
        return fetch_chain_id(self.rpc_url)

    def describe(self) -> JsonValue:
        """What another run of the same founding or joining must repeat."""
        return {
            "rpc_url": self.rpc_url,
            "gas_price_wei": str(self.gas_price_wei),
            "finality_blocks": str(self.finality_blocks),
        }


def check_funds(edge: ChainEdge, gas: Mapping[Address, int]) -> None:
    """Check that accounts can pay for so much gas, where the chain asks a fee; whoever has begun to send, could.

    Raises:
        ConflictError: one of them can not (``unfunded``); facts name each account and what it lacks, in wei.
        UnavailableError: the node does not answer.
    """
    price = edge.settings.gas_price_wei
    if price == 0:
        return
    needed = {address: amount * price for address, amount in gas.items()}
    new = [address for address in needed if edge.nonce(address) == 0]
    lacking = {address: needed[address] - edge.balance_wei(address) for address in new}
    lacking = {address: amount for address, amount in lacking.items() if amount > 0}
    if lacking:
        accounts = " and ".join(f"{amount} wei to {address}" for address, amount in lacking.items())
        raise ConflictError(
            f"the chain asks a fee and new accounts hold too little: send {accounts}, then run the same command again",
            code="unfunded",
            facts={str(address): str(amount) for address, amount in lacking.items()},
        )
