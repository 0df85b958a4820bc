"""Deliveries to this gateway's consumers: versions fetched from other gateways, signed for by the custodial key."""

from ledger.exchange.deliveries.peers import UnknownPeerError
from ledger.exchange.deliveries.room import DeliveredFile, Deliveries

__all__ = ["DeliveredFile", "Deliveries", "UnknownPeerError"]
