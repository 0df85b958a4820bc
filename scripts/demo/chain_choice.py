"""Which chain the demo runs on: an embedded one, or one that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["EMBEDDED", "DemoChain"]


@dataclass(frozen=True)
class DemoChain:
    """``rpc_url`` None: the embedded one. ``fund`` gives accounts wei, where the chain asks a fee."""

    rpc_url: str | None = None
    gas_price_wei: int = 0
    finality_blocks: int = 0
    fund: Callable[[Mapping[str, int]], None] | None = None

    def __str__(self) -> str:
        return "an embedded chain" if self.rpc_url is None else f"the chain of the node at {self.rpc_url}"

    def node_of(self, service_url: str) -> str:
        """Where auditors, and who relays by himself, ask the chain."""
        return f"{service_url}/rpc" if self.rpc_url is None else self.rpc_url

    def init_options(self, outsider: str) -> list[str]:
        """Options of `concord init`; ``outsider`` is an account that sends a transaction of its own."""
        if self.rpc_url is None:
            return ["--relay-account", outsider]
        options = ["--rpc", self.rpc_url]
        for name, value in (("--gas-price", self.gas_price_wei), ("--finality", self.finality_blocks)):
            options += [name, str(value)] if value else []
        return options


EMBEDDED: Final = DemoChain()
