"""The tables, in three rooms: the gateway's own, what was said in statements, what is in force on chain."""

from ledger.store.schema import chain, gateway, said
from ledger.store.schema.metadata import METADATA

__all__ = ["METADATA", "chain", "gateway", "said"]
