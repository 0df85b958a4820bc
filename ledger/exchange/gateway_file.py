"""``gateway.json``: what one gateway is. No secret stands in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ledger.canonical import encode_canonical
from ledger.chain import ChainSettings
from ledger.errors import MalformedError, NotFoundError
from ledger.statements import compute_log_id
from ledger.types import Address, Bytes32

__all__ = ["GatewayFile"]

_FORMAT = "concord-gateway/1"


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """Operator, origin of its log, and how the chain is reached (``rpc_url`` None: embedded).

    ``senders`` are outsiders who may send transactions through the embedded chain's JSON-RPC. ``gas_price_wei`` and
    ``finality_blocks`` are a node's; a file without them means 0.
    """

    operator: Bytes32
    origin: str
    genesis_accounts: tuple[Address, ...]
    senders: tuple[Address, ...] = ()
    rpc_url: str | None = None
    gas_price_wei: int = 0
    finality_blocks: int = 0

    @property
    def log(self) -> Bytes32:
        """Id of the gateway's log."""
        return compute_log_id(self.operator, self.origin)

    def chain_settings(
        self, chain_id: int, folder: Path | None, finality_blocks: int, *, founds: bool = False
    ) -> ChainSettings:
        """How the chain is opened; the greater of the file's and the given finality counts.

        An embedded chain is made while the consortium is founded, and never again: then ``founds``.
        """
        return ChainSettings(
            profile="embedded" if self.rpc_url is None else "node",
            chain_id=chain_id,
            rpc_url=self.rpc_url,
            folder=folder if self.rpc_url is None else None,
            genesis_accounts=self.genesis_accounts,
            founds=founds,
            finality_blocks=max(finality_blocks, self.finality_blocks),
            gas_price_wei=self.gas_price_wei,
        )

    def to_bytes(self) -> bytes:
        """The file."""
        return encode_canonical(
            {
                "finality_blocks": self.finality_blocks,
                "format": _FORMAT,
                "gas_price_wei": str(self.gas_price_wei),
                "genesis_accounts": [str(each) for each in self.genesis_accounts],
                "operator": str(self.operator),
                "origin": self.origin,
                "rpc_url": self.rpc_url,
                "senders": [str(each) for each in self.senders],
            }
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file. Raises: NotFoundError: no gateway was founded here; MalformedError: not such a file."""
        try:
            document = json.loads(path.read_bytes())
            if document["format"] != _FORMAT:
                raise MalformedError(f"{path.name} is not of the format {_FORMAT}")
            return cls(
                operator=Bytes32.parse(document["operator"]),
                origin=str(document["origin"]),
                genesis_accounts=tuple(Address.parse(each) for each in document["genesis_accounts"]),
                senders=tuple(Address.parse(each) for each in document["senders"]),
                rpc_url=document["rpc_url"],
                gas_price_wei=int(document.get("gas_price_wei", 0)),
                finality_blocks=int(document.get("finality_blocks", 0)),
            )
        except FileNotFoundError as error:
            raise NotFoundError(f"no gateway was founded in {path.parent.name}: run `concord init` first") from error
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedError(f"{path.name} is damaged: restore it from a backup") from error
