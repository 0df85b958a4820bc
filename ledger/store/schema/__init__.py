"""The tables, in rooms: the gateway's, what was said, what is on chain, who writes, what is delivered or offered."""

from ledger.store.schema import catalogue, chain, deliveries, erasures, gateway, leases, said, sealings, transfers
from ledger.store.schema.metadata import METADATA

__all__ = [
    "METADATA",
    "catalogue",
    "chain",
    "deliveries",
    "erasures",
    "gateway",
    "leases",
    "said",
    "sealings",
    "transfers",
]
