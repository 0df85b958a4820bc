"""The tables, in rooms: the gateway's own, what was said, what is in force on chain, who writes, what is sealed."""

from ledger.store.schema import chain, gateway, leases, said, sealings
from ledger.store.schema.metadata import METADATA

__all__ = ["METADATA", "chain", "gateway", "leases", "said", "sealings"]
