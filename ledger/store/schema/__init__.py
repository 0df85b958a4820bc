"""The tables, in rooms: the gateway's, what was said, what is in force on chain, who writes, what is delivered."""

from ledger.store.schema import chain, gateway, leases, said, sealings, transfers
from ledger.store.schema.metadata import METADATA

__all__ = ["METADATA", "chain", "gateway", "leases", "said", "sealings", "transfers"]
