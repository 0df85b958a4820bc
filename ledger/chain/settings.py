"""Settings of the chain edge: three profiles, one code path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ledger.types import Address

__all__ = ["ChainSettings", "Profile"]

Profile = Literal["embedded", "node", "consortium"]


@dataclass(frozen=True)
class ChainSettings:
    """How to reach the chain.

    Attributes:
        profile: ``embedded`` (a chain in this process), ``node`` (any JSON-RPC node) or ``consortium`` (a permissioned
            network with immediate finality).
        chain_id: the consortium's chain id; a chain that answers another is refused.
        rpc_url: where the node answers; for node and consortium.
        folder: where the embedded chain lives; None keeps it in memory.
        genesis_accounts: the accounts named when the embedded chain was founded.
        founds: whether an embedded chain that is not in the folder is founded there; else it is missed.
        finality_blocks: a block is final when so many stand upon it (0: at once).
        gas_price_wei: what our transactions offer; 0 where the network asks no fee.
        timeout_s: how long one request may take.
        batch_size: most requests in one JSON-RPC batch.
    """

    profile: Profile
    chain_id: int
    rpc_url: str | None = None
    folder: Path | None = None
    genesis_accounts: tuple[Address, ...] = ()
    founds: bool = True
    finality_blocks: int = 0
    gas_price_wei: int = 0
    timeout_s: float = 10.0
    batch_size: int = 100

    def __post_init__(self) -> None:
        """Check what belongs together. Raises: ValueError."""
        if self.profile != "embedded" and not self.rpc_url:
            raise ValueError(f"the {self.profile} profile needs the URL of a node: set rpc_url")
        if self.profile == "embedded" and self.rpc_url:
            raise ValueError("the embedded profile has no node to ask: leave rpc_url out, or choose the node profile")
        if self.finality_blocks < 0 or self.gas_price_wei < 0 or self.timeout_s <= 0 or self.batch_size < 1:
            raise ValueError("finality_blocks and gas_price_wei are at least 0, timeout_s and batch_size above 0")
