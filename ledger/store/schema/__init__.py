"""The tables, in four rooms: the gateway's own, what was said in statements, what is in force on chain, who writes."""

from ledger.store.schema import chain, gateway, leases, said
from ledger.store.schema.metadata import METADATA

__all__ = ["METADATA", "chain", "gateway", "leases", "said"]
